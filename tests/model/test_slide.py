"""A network at every window of a picture in one pass, beside the same network on every crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.backends import DEFAULT
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.registry import BACKENDS
from graphdsl.draw.view import BoxRole, fold, layer_view
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.ops import WindowMap
from graphdsl.report import Failed
from tests.support.cuda.checks import needs_compiler
from tests.support.cuda.simulated import SimulatedDevice

PICTURE = (45, 61, 3)

CROPS = {
    "conv, pool, dense": "conv(6, 3) -> relu -> max_pool(2) -> flatten -> dense(9) -> relu -> dense(4) -> softmax",
    "strides": "conv(6, 5, stride=2) -> relu -> conv(8, 3, stride=1x2, bias=false) -> flatten -> dense(4) -> sigmoid",
    "pools that overlap": "avg_pool(3, stride=1) -> conv(5, 2x3) -> max_pool(3, stride=2) -> flatten -> dense(3)",
    "batch_norm": "conv(6, 3) -> batch_norm -> prelu -> dropout(0.3) -> flatten -> batch_norm -> dense(4)",
    "global_avg_pool": "conv(6, 3, stride=2) -> relu -> conv(8, 3) -> global_avg_pool -> dense(4) -> softmax",
    "global_max_pool": "conv(6, 3) -> max_pool(3) -> global_max_pool -> dense(4) -> softmax",
    "convolutions only": "conv(6, 4, stride=4) -> relu -> conv(5, 4) -> flatten -> softmax",
    "no map at the end": "conv(6, 3, stride=3) -> conv(4, 2)",
    "depthwise, dilated": "depthwise_conv(3) -> conv(6, 1) -> gelu -> conv(4, 3, dilation=2) -> flatten -> dense(2)",
    "over channels": "conv(6, 3) -> local_response_norm -> layer_norm -> softmax -> flatten -> dense(3)",
    "turned before dense": "conv(6, 5, stride=2) -> transpose([2, 0, 1]) -> flatten -> dense(4) -> layer_norm",
    "rows of a crop": "conv(6, 3, stride=2) -> reshape([7, 42]) -> lstm(5) -> dense(3)",
    "attention": "conv(4, 4, stride=4) -> reshape([16, 4]) -> attention(2) -> flatten -> dense(3)",
    "larger again": "conv(4, 4, stride=4) -> upsample(2) -> flatten -> dense(3)",
    "one number": "flatten -> dense(1) -> sigmoid",
    "nothing learned": "max_pool(4) -> flatten",
}
BRANCHES = """
left  = image -> conv(4, 3)
right = image -> conv(4, 5) -> relu
both  = [left -> crop(1), right] -> concat
skip  = both + (both -> conv(8, 1))
far   = skip -> max_pool(2) -> conv(5, 2, stride=2) -> flatten -> dense(6) -> relu
near  = skip -> global_avg_pool -> dense(6)
output class = [far + near, far] -> concat -> dense(4) -> softmax
"""


def written(
    folder: Path, crop: str, slide: str, size: str = "16, 16, 3", backend: str = DEFAULT
) -> tuple[Model, Model]:
    """The network of a crop, and the same slid over a picture, with the same numbers."""
    lines = crop if "\n" in crop else f"output class = image -> {crop}\n"
    (folder / "crop.dag").write_text(f"input image: float[{size}]\n{lines}")
    high, wide, channels = PICTURE
    (folder / "slid.dag").write_text(
        f'input picture: float[{high}, {wide}, {channels}]\noutput map = picture -> slide("crop.dag"{slide})\n'
    )
    return compile(folder / "crop.dag", backend=backend), compile(folder / "slid.dag", backend=backend)


def shaken(model: Model) -> None:
    """Biases and running averages that are not as they begin."""
    draw = np.random.default_rng(3)
    for name in [n for n in model.executor.weights if model.executor.weights[n].ndim == 1]:
        old = model.executor.weights[name]
        model.executor.weights[name] = (old + draw.uniform(0.05, 0.3, old.shape)).astype(old.dtype)


def given_to(crop: Model, slid: Model) -> None:
    """The weights of the crop's network, in the slid one."""
    for name in crop.executor.weights:
        slid.executor.weights[f"map/slide_1/{name}"] = crop.executor.weights[name]


def the_map(model: Model) -> WindowMap:
    """What is known of the only map of a spec."""
    (found,) = [node.op for _, node in model.graph.items() if isinstance(node.op, WindowMap)]
    return found


def crop_by_crop(crop: Model, picture: Array, slid: WindowMap) -> Array:
    """What the network says of every window, each cut out: [rows, columns, ...]."""
    (high, wide), (down, across) = slid.crop, slid.windows
    corners = [(r * slid.stride[0], c * slid.stride[1]) for r in range(down) for c in range(across)]
    said = crop.predict(np.stack([picture[y : y + high, x : x + wide] for y, x in corners]))["class"]
    return said.reshape(down, across, *said.shape[1:])


def pictures(count: int = 2) -> Array:
    return np.random.default_rng(1).uniform(-1, 1, (count, *PICTURE)).astype(np.float32)


def compared(folder: Path, crop: str, slide: str = "", size: str = "16, 16, 3", backend: str = DEFAULT) -> WindowMap:
    """Demands that both say the same of all windows."""
    one, slid = written(folder, crop, slide, size, backend)
    shaken(one)
    given_to(one, slid)
    made = slid.predict(pictures())["map"]
    for picture, found in zip(pictures(), made, strict=True):
        wanted = crop_by_crop(one, picture, the_map(slid))
        assert found.shape == wanted.shape and np.ptp(wanted) > 1e-3
        np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1, np.abs(wanted).max()), rtol=0)
    return the_map(slid)


@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
def test_one_pass_says_what_crops_say(tmp_path: Path, crop: str) -> None:
    found = compared(tmp_path, crop)
    assert found.once <= found.apart


@pytest.mark.parametrize("backend", ["reference", "cpu", pytest.param("simulated", marks=needs_compiler)])
@pytest.mark.parametrize("kind", ["conv, pool, dense", "batch_norm", "global_max_pool", "rows of a crop"])
def test_on_every_backend(
    tmp_path: Path, kind: str, backend: str, monkeypatch: pytest.MonkeyPatch, fresh_backends: None
) -> None:
    """The kernels of CPUs, those of GPUs run on the CPU, and what operators mean."""
    monkeypatch.setitem(BACKENDS, "simulated", lambda: CudaBackend(SimulatedDevice()))
    monkeypatch.setattr("tests.model.test_slide.PICTURE", (22, 25, 3))
    compared(tmp_path, CROPS[kind], backend=backend)


def test_branches_of_several_strides(tmp_path: Path) -> None:
    assert compared(tmp_path, BRANCHES).stride == (4, 4)


@pytest.mark.parametrize("size", ["17, 19, 3", "16, 23, 3"])
def test_what_a_crop_leaves_over(tmp_path: Path, size: str) -> None:
    """Sizes that strides do not divide: a crop's last rows go into nothing, and windows beyond the picture are none."""
    compared(tmp_path, CROPS["pools that overlap"], "", size)
    compared(tmp_path, CROPS["strides"], "", size)


def test_a_stride_of_its_own(tmp_path: Path) -> None:
    found = compared(tmp_path, CROPS["conv, pool, dense"], ", stride=6x4")
    assert found.stride == (6, 4) and found.windows == (5, 12)


REFUSED = {
    "conv(4, 3, pad=same)": (r"`conv` of `.*crop.dag` does not slide: it pads the border", "leave `pad`"),
    "max_pool(3, pad=1)": (r"`max_pool` of", "leave `pad`"),
    "max_pool(3, ceil=true)": (r"`max_pool` of", "leave `pad`"),
    "pad(1)": (r"`pad` of", "leave `pad`"),
    "instance_norm": (r"`instance_norm` of .* the rest of the crop", "one pass takes"),
}


@pytest.mark.triggers("E0410")
@pytest.mark.parametrize(("crop", "told"), REFUSED.items(), ids=REFUSED)
def test_what_no_picture_can_tell(tmp_path: Path, crop: str, told: tuple[str, str]) -> None:
    """The place is that of the layer in the file of the crop, the chain says where it was slid."""
    with pytest.raises(Failed, match=told[0]) as failed:
        written(tmp_path, f"conv(4, 3) -> {crop} -> flatten -> dense(2)", "")
    (diagnostic,) = failed.value.diagnostics
    assert diagnostic.code == "E0410" and told[1] in diagnostic.help
    assert diagnostic.span is not None and Path(diagnostic.span.source.path).name == "crop.dag"


def test_a_gate_from_the_whole_crop_is_refused(tmp_path: Path) -> None:
    gate = "seen = image -> conv(4, 3)\ngate = seen -> global_avg_pool -> dense(4) -> reshape(1x1x4)\n"
    with pytest.raises(Failed, match=r"`multiply` of .* does not slide"):
        written(tmp_path, gate + "wide = gate -> upsample(14)\noutput class = [seen, wide] -> multiply\n", "")


def test_windows_of_several_sizes_see_the_picture_in_other_sizes(tmp_path: Path) -> None:
    """Windows of 16 as they are, of 24x32 on the picture made smaller; all with one set of weights."""
    crop, _ = written(tmp_path, CROPS["conv, pool, dense"], "")
    (tmp_path / "slid.dag").write_text(
        'input picture: float[45, 61, 3]\noutput small, large = picture -> slide("crop.dag", windows=[16, 24x32])\n'
        "output seen = picture -> resize(30x30, mode=linear, antialias=true, exclude_outside=true)\n"
    )
    slid = compile(tmp_path / "slid.dag")
    for name in crop.executor.weights:
        slid.executor.weights[f"small/slide_1/{name}"] = crop.executor.weights[name]
    assert len(list(slid.executor.weights)) == len(list(crop.executor.weights))
    made = slid.predict(pictures(1))
    found = {node.op.picture: node.op for _, node in slid.graph.items() if isinstance(node.op, WindowMap)}
    assert set(found) == {(45, 61), (30, 30)}
    np.testing.assert_allclose(made["small"][0], crop_by_crop(crop, pictures(1)[0], found[45, 61]), atol=1e-5)
    np.testing.assert_allclose(made["large"][0], crop_by_crop(crop, made["seen"][0], found[30, 30]), atol=1e-5)


def test_shared_over_two_pictures(tmp_path: Path) -> None:
    written(tmp_path, CROPS["batch_norm"], "")
    (tmp_path / "slid.dag").write_text(
        'input left, right: float[20, 30, 3]\nshared look = slide("crop.dag")\n'
        "output a = left -> look\noutput b = right -> look\n"
    )
    slid = compile(tmp_path / "slid.dag")
    assert all(name.startswith("look/slide_1/") for name in slid.executor.weights)
    x = np.random.default_rng(0).uniform(size=(1, 20, 30, 3)).astype(np.float32)
    made = slid.predict({"left": x, "right": x})
    np.testing.assert_array_equal(made["a"], made["b"])


def test_windows_become_boxes(tmp_path: Path) -> None:
    """A crop that looks for light: the window over the light patch is the best box of its class, in its place."""
    (tmp_path / "crop.dag").write_text(
        "input image: float[8, 8, 1]\nmean = image -> global_avg_pool\n"
        "output class = [mean, mean * 0 + 0.5, mean * 0 - 9] -> concat -> softmax\n"
    )
    (tmp_path / "slid.dag").write_text(
        'input picture: float[32, 48, 1]\nfar, near = picture -> slide("crop.dag", windows=[8, 16], stride=4)\n'
        "output found = [far, near] -> decode_windows(background=1) -> nms(score=0.9, iou=0.2)\n"
    )
    picture = np.zeros((1, 32, 48, 1), np.float32)
    picture[0, 8:16, 20:28] = 4
    (found,) = compile(tmp_path / "slid.dag").predict(picture)["found"]
    np.testing.assert_allclose(found[0, :4], [24 / 48, 12 / 32, 8 / 48, 8 / 32], atol=1e-6)
    assert found[0, 4] == pytest.approx(1 / (1 + np.exp(-3.5)), abs=1e-3) and found[0, 5] == 0
    assert not found[1:, 4].any()


TRAIN = """
target truth: int(4)[15, 23]
train {
  loss      = [map, truth] -> categorical_crossentropy
  optimizer = adam(lr=0.01)
  epochs    = 40
}
"""


def test_a_slid_network_learns(tmp_path: Path) -> None:
    """Every window has a true class of its own; gradients of all reach the one set of weights."""
    written(tmp_path, "conv(8, 1) -> batch_norm -> relu -> conv(8, 2, stride=2) -> flatten -> dense(4) -> softmax", "")
    spec = tmp_path / "slid.dag"
    spec.write_text(spec.read_text() + TRAIN)
    x = pictures(4)
    middle = x[:, 8:37:2, 8:53:2] > 0
    y = 2 * middle[..., 0] + middle[..., 1]
    model = compile(spec)
    before = model.evaluate(x, y)["loss"]
    model.fit(x, y, batch=2, runs=None, shown=False)
    assert model.evaluate(x, y)["loss"] < before / 2


def test_windows_of_several_sizes_are_told_apart(tmp_path: Path) -> None:
    """In the summary, in the picture and by `slide`; the layers that both use are one box each, with their relu."""
    written(tmp_path, CROPS["conv, pool, dense"], "")
    (tmp_path / "slid.dag").write_text(
        'input picture: float[45, 61, 3]\noutput small, large = picture -> slide("crop.dag", windows=[20, 24x32])\n'
    )
    slid = compile(tmp_path / "slid.dag")
    assert [found.name for found in slid.slides(pictures(1))] == ["small/slide_1/20", "small/slide_1/24x32"]
    view = fold(layer_view(slid.graph), frozenset({"relu"}))
    boxes = {key: box for key, box in view.boxes.items() if box.kind in ("slide", "resize")}
    assert {key: box.settings for key, box in boxes.items()} == {
        "small/slide_1/20/resize": "",
        "small/slide_1/20": '"crop.dag", windows=20',
        "small/slide_1/24x32/resize": "",
        "small/slide_1/24x32": '"crop.dag", windows=24x32',
    }
    arrows = {(a.source, a.target) for a in view.arrows}
    assert ("picture", "small/slide_1/20/resize") in arrows and ("small/slide_1/20", "output small") in arrows
    assert not any(source in boxes and source == target for source, target in arrows)
    assert all(box.uses == 2 for box in view.boxes.values() if box.role is BoxRole.LAYER and box.key not in boxes)
    assert not any(box.kind == "relu" for box in view.boxes.values())


CLASSES = ("cat", "dog", "empty", "fox")
NAMED = """
input image: float[16, 16, 3]
target kind: int(4)
output class = image -> max_pool(4) -> flatten -> dense(4) -> softmax
train { data = folder("kinds", batch=4)  loss = [class, kind] -> categorical_crossentropy  epochs = 1 }
"""


@pytest.mark.parametrize("background", ["", "background=2", "background=0"])
def test_names_of_classes_go_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, background: str) -> None:
    """From the folder that the network of the window has learned from to the boxes; also out of a file of weights."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(CLASSES):
        folder = tmp_path / "kinds" / name
        folder.mkdir(parents=True)
        Image.fromarray(np.full((16, 16, 3), 60 * number, np.uint8)).save(folder / "a.png")
    (tmp_path / "crop.dag").write_text(NAMED)
    crop = compile("crop.dag")
    crop.fit(runs=None, shown=False)
    crop.save("crop.safetensors")
    (tmp_path / "slid.dag").write_text(
        "input picture: float[45, 61, 3]\n"
        'small, large = picture -> slide("crop.dag", weights="crop.safetensors", windows=[16, 24])\n'
        f"output found = [small, large] -> decode_windows({background})"
        " -> nms(score=0, several=true, iou=1, max=999)\n"
    )
    kept = [name for number, name in enumerate(CLASSES) if background != f"background={number}"]
    slid = compile("slid.dag")
    for model in (slid, compile(slid.save("slid.safetensors"))):
        (found,) = model.found(model.predict(pictures(1)))["found"]
        assert {(thing.number, thing.label) for thing in found} == set(enumerate(kept))
        assert "found" not in model.classes


def test_names_that_nobody_knows_are_numbers(tmp_path: Path) -> None:
    crop, _ = written(tmp_path, CROPS["conv, pool, dense"], "")
    crop.save(tmp_path / "crop.safetensors")
    (tmp_path / "slid.dag").write_text(
        'input picture: float[45, 61, 3]\noutput found = picture -> slide("crop.dag", weights="crop.safetensors")'
        " -> decode_windows(background=0) -> nms(score=0.01)\n"
    )
    slid = compile(tmp_path / "slid.dag")
    (found,) = slid.found(slid.predict(pictures(1)))["found"]
    assert found and {thing.label for thing in found} <= {"0", "1", "2"}
