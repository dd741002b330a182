"""Neural Amp Modeler's files: real ones against its own program, small ones step by step, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.interop import format_of, written
from graphdsl.ir import Array
from graphdsl.report import Failed
from graphdsl.runtime import save_weights
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[3] / "specs"
REAL = DATA / "wavenet_nam" / "my_model.nam"


def imported(path: Path, to: Path) -> graphdsl.Model:
    made = written(format_of(path).read(path, None))
    spec = to / "imported.dag"
    spec.write_text(made.text)
    model = graphdsl.compile(spec)
    model.load(save_weights(made.weights, to / "imported.safetensors"))
    return model


@needs("wavenet_nam")
def test_a_real_amplifier_sounds_as_in_its_own_program(tmp_path: Path) -> None:
    """Both the spec that is written and our own, which gets the weights by position."""
    golden = np.load(DATA / "wavenet_nam" / "golden_nam_cpp.npz")
    model = imported(REAL, tmp_path)
    assert model.summary().count("parameters: 13,801 ") == 1, "and the number that the head is multiplied with"
    ours = graphdsl.compile(SPECS / "amplifier.dag")
    ours.load(tmp_path / "imported.safetensors")
    for each in (model, ours):
        found = each.predict(golden["x"][None])["amplified"][0, :, 0]
        assert np.abs(found - golden["my_model"]).max() < 1e-4
    assert "receptive field of amplified: 4,093 steps, 4,092 before and 0 after" in ours.summary()


def stack(before: int, after: int, **other: Any) -> dict[str, Any]:
    """A stack of two layers."""
    told = {"input_size": before, "condition_size": 1, "head_size": after, "channels": 3, "kernel_size": 2}
    return {**told, "dilations": [1, 3], "activation": "ReLU", "gated": True, "head_bias": True, **other}


def file(to: Path, layers: Any, weights: Any, **other: Any) -> Path:
    path = to / "small.nam"
    whole = {"architecture": "WaveNet", "config": {"layers": layers, "head_scale": 0.5}, "weights": weights, **other}
    path.write_text(json.dumps(whole))
    return path


def played(sound: Array, weights: Array, gated: list[bool]) -> Array:
    """Two stacks of `stack`, sample after sample, with all of the past as lists; silence comes first."""
    numbers = iter(weights)

    def take(*shape: int) -> Array:
        return np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape)

    silence = np.concatenate([np.zeros(20), sound])[:, None]
    x, head = silence, None
    for number, before in enumerate((1, 3)):
        x = x @ take(3, before).T
        width = 6 if gated[number] else 3
        for dilation in (1, 3):
            kernel, bias, mix = take(width, 3, 2), take(width), take(width, 1)
            back, back_bias = take(3, 3), take(3)
            past = np.concatenate([np.zeros((dilation, 3)), x])[: len(x)]
            y = past @ kernel[:, :, 0].T + x @ kernel[:, :, 1].T + bias + silence @ mix.T
            z = np.maximum(y[:, :3], 0)
            z = z / (1 + np.exp(-y[:, 3:])) if gated[number] else z
            head = z if head is None else head + z
            x = x + z @ back.T + back_bias
        size = 3 if number == 0 else 1
        head = head @ take(size, 3).T + take(size)
    return np.asarray(head[20:, 0] * next(numbers))


@pytest.mark.parametrize("gated", [[True, True], [False, True]])
def test_a_small_one_step_by_step(tmp_path: Path, gated: list[bool]) -> None:
    rng = np.random.default_rng(0)
    count = [(9 if i else 3) + 2 * (60 if g else 36) + (4 if i else 12) for i, g in enumerate(gated)]
    weights = rng.normal(size=sum(count) + 1).astype(np.float32) * 0.5
    layers = [stack(1, 3, gated=gated[0]), stack(3, 1, gated=gated[1])]
    model = imported(file(tmp_path, layers, weights.tolist()), tmp_path)
    sound = rng.normal(size=30).astype(np.float32)
    wanted = played(sound, weights, gated)
    np.testing.assert_allclose(model.predict(sound[None])["amplified"][0, :, 0], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "weights", "other", "code", "words"),
    [
        ([stack(1, 1)], [0.0] * 5, {}, "E0903", "needs .* numbers"),
        ([stack(1, 1)], [0.0] * 500, {}, "E0903", "belong to nothing"),
        ([stack(2, 1)], [], {}, "E0903", "takes 2 channels"),
        ([stack(1, 2), stack(3, 1)], [], {}, "E0903", "to a head of 2"),
        ([stack(1, 1)], ["a"], {}, "E0902", "finite numbers"),
        ([stack(1, 1)], [1e99], {}, "E0902", "finite numbers"),
        ([stack(1, 1, channels=10**9)], [], {}, "E0902", "`channels` of .* is no whole number"),
        ([stack(1, 1, dilations=[])], [], {}, "E0902", "no list of dilations"),
        ([stack(1, 1, gated=1)], [], {}, "E0902", "neither true nor false"),
        ([stack(1, 1, activation="Mish9")], [], {}, "E0901", "activation"),
        ([stack(1, 1, condition_size=2)], [], {}, "E0901", "the sound itself"),
        ([stack(1, 1, bottleneck=4)], [], {}, "E0901", "bottleneck"),
        ([stack(1, 1)], [], {"architecture": "LSTM"}, "E0901", "WaveNet is"),
        ([stack(1, 1)], [], {"config": 3}, "E0902", "no JSON object"),
        ("none", [], {}, "E0902", "no list of layers"),
    ],
)
def test_mistakes(tmp_path: Path, layers: Any, weights: Any, other: Any, code: str, words: str) -> None:
    with pytest.raises(Failed, match=words) as caught:
        format_of(Path("x.nam")).read(file(tmp_path, layers, weights, **other), None)
    assert caught.value.diagnostics[0].code == code


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.nam").write_bytes(content)
    with pytest.raises(Failed) as caught:
        format_of(Path("x.nam")).read(tmp_path / "x.nam", None)
    assert caught.value.diagnostics[0].code == "E0902"


@pytest.mark.triggers("E0902")
@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (
            [stack(1, 1, dilations=[1 << 20] * 2, kernel_size=4096)],
            "depend on the last 8,587,837,440; at most 16,777,216",
        ),
        ([stack(1, 1, dilations=[1] * 4000)] * 3, "it has 12,000 layers; at most 10,000"),
    ],
)
def test_sizes_are_bounded(tmp_path: Path, layers: Any, told: str) -> None:
    with pytest.raises(Failed, match=f"E0902.*{told}"):
        format_of(file(tmp_path, layers, [0.5])).read(tmp_path / "small.nam", None)
