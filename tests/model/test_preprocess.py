"""`preprocess` in a spec: wherever an input is fed; and files of weights that are whole models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.data import Dataset, Images
from graphdsl.report import Failed

HEAD = "input image: float[4, 4, 3]\n"
SPEC = (
    HEAD
    + """param width = 2
target label: int(2)
preprocess = image -> resize(4) -> subtract([100, 0, 0]) -> bgr
output pixels = image * 1
output pet = image -> flatten -> dense(width) -> softmax
train {
  data  = folder("pets", batch=4, valid=0.5)
  test  = folder("pets")
  loss  = [pet, label] -> categorical_crossentropy
  epochs = 1
}
"""
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Red cats, blue dogs, larger than the input."""
    monkeypatch.chdir(tmp_path)
    for name, colour in (("cat", (250, 0, 0)), ("dog", (0, 0, 250))):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (9, 7), colour).save(tmp_path / "pets" / name / f"{i}.png")
    (tmp_path / "pet.dag").write_text(SPEC)
    return tmp_path


def test_it_holds_wherever_samples_come_from(folder: Path) -> None:
    model = graphdsl.compile("pet.dag")
    feeds = model._supply.feeds(model.plans[0])
    assert feeds.valid is not None
    assert feeds.test is not None
    for batches in (feeds.train, feeds.valid, feeds.test):
        pixels = np.concatenate([batch.arrays["image"] for batch in batches.epoch()])
        assert {tuple(p) for p in pixels.reshape(-1, 3).tolist()} <= {(0, 0, 150), (250, 0, -100)}
    assert model.predict()["pixels"][0, 0, 0].tolist() == [0, 0, 150]
    model.evaluate()


def test_arrays_of_a_program_go_through_it_too(folder: Path) -> None:
    pictures = np.zeros((1, 6, 6, 3), np.uint8)
    assert graphdsl.compile("pet.dag").predict(pictures)["pixels"][0, 0, 0].tolist() == [0, 0, -100]


def test_one_recipe_for_several_inputs(tmp_path: Path) -> None:
    text = """input left, right: float[2, 2, 1]
preprocess = [[left, right] -> scale(2), left -> subtract(1)]
output y = left + right
"""
    (tmp_path / "two.dag").write_text(text)
    got = graphdsl.compile(tmp_path / "two.dag").predict([np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1))])["y"]
    assert (got == 3).all()


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    "steps",
    ["resize(5)", "resize(4) -> grey", "subtract([1, 2])", "divide(0)", "resize(1x2x3)", "crop(1, 1, 1, 5)"],
)
def test_wrong_steps_are_told_before_any_data(tmp_path: Path, steps: str) -> None:
    (tmp_path / "wrong.dag").write_text(f"{HEAD}preprocess = image -> {steps}\noutput y = image * 1\n")
    with pytest.raises(Failed, match="E0518") as failed:
        graphdsl.compile(tmp_path / "wrong.dag")
    span = failed.value.diagnostics[0].span
    assert span is not None
    assert span.source.position(span.start)[0] == 2


@pytest.mark.parametrize(
    ("steps", "place", "said", "help"),
    [
        ("grey", "grey", "makes pictures of 1 channel, input `image` takes `float[4, 4, 3]`", "leave `grey` out"),
        ("resize(5) -> bgr", "resize(5)", "makes pictures of 5x5, input `image` takes", "make them 4x4"),
        ("bgr -> subtract([1, 2])", "subtract([1, 2])", "2 numbers; there are 3 channels", "give 3 numbers"),
        ("grey -> scale([1, 2])", "scale([1, 2])", "2 numbers; there is 1 channel", "give one number"),
        ("bgr -> divide(0)", "divide(0)", "by 0", "a divisor other than 0"),
        ("bgr -> normalize(0.5, 0)", "normalize(0.5, 0)", "by 0", "`std`, other than 0"),
        ("bgr -> crop(3, 3, 1, 1)", "crop(3, 3, 1, 1)", "leaves nothing", "right must be more than left"),
        ("grey -> bgr", "bgr", "there is 1 channel at that point", "leave `bgr` out"),
        ("resize(4x4x3) -> bgr", "resize(4x4x3)", "two numbers, got 3", "write `4x4`"),
        ("resize(4) -> center_crop(5)", "center_crop(5)", "cannot cut 5 x 5 out of 4 x 4", "cut less"),
    ],
)
def test_the_step_that_is_wrong_is_underlined(tmp_path: Path, steps: str, place: str, said: str, help: str) -> None:
    (tmp_path / "wrong.dag").write_text(f"{HEAD}preprocess = image -> {steps}\noutput y = image * 1\n")
    with pytest.raises(Failed) as failed:
        graphdsl.compile(tmp_path / "wrong.dag")
    (diagnostic,) = failed.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.source.text[diagnostic.span.start : diagnostic.span.end] == place
    assert said in diagnostic.message
    assert help in diagnostic.help


def test_wrong_size_and_wrong_channels_are_two_mistakes(tmp_path: Path) -> None:
    (tmp_path / "wrong.dag").write_text(f"{HEAD}preprocess = image -> resize(5) -> grey\noutput y = image * 1\n")
    with pytest.raises(Failed) as failed:
        graphdsl.compile(tmp_path / "wrong.dag")
    assert [d.span.column for d in failed.value.diagnostics if d.span] == [23, 36]


def test_recipes_for_one_input_are_one(tmp_path: Path) -> None:
    steps = "[image -> resize(5), image -> center_crop(4)]"
    (tmp_path / "two.dag").write_text(f"{HEAD}preprocess = {steps}\noutput y = image * 1\n")
    assert graphdsl.compile(tmp_path / "two.dag").predict(np.ones((1, 9, 9, 3)))["y"].shape == (1, 4, 4, 3)


def test_free_channels_are_looked_at_when_there_are_data(tmp_path: Path) -> None:
    text = "input image: float[4, 4, C]\npreprocess = image -> bgr -> subtract([1, 2, 3])\noutput y = image * 1\n"
    (tmp_path / "free.dag").write_text(text)
    model = graphdsl.compile(tmp_path / "free.dag")
    assert model.predict(np.ones((1, 4, 4, 3)))["y"][0, 0, 0].tolist() == [0, -1, -2]
    with pytest.raises(Failed, match="there are 4 channels"):
        model.predict(np.ones((1, 4, 4, 4)))


@pytest.mark.triggers("E0320")
@pytest.mark.parametrize(
    ("name", "help"), [("image", "the inputs are `data_0`, `mask`"), ("data_1", "did you mean `data_0`?")]
)
def test_a_name_that_is_no_input(tmp_path: Path, name: str, help: str) -> None:
    text = f"input data_0, mask: float[4, 4, 3]\npreprocess = {name} -> bgr\noutput y = data_0 + mask\n"
    (tmp_path / "wrong.dag").write_text(text)
    with pytest.raises(Failed, match=f"`{name}` is no input") as failed:
        graphdsl.compile(tmp_path / "wrong.dag")
    assert failed.value.diagnostics[0].help == help


def test_a_mean_beyond_1_is_told_with_the_steps_that_are_meant(tmp_path: Path) -> None:
    text = f"{HEAD}preprocess = image -> normalize([123.7, 116.8, 103.9], 58.4)\noutput y = image * 1\n"
    (tmp_path / "bytes.dag").write_text(text)
    (warning,) = graphdsl.compile(tmp_path / "bytes.dag").warnings
    assert warning.code == "E0228"
    assert "`subtract([123.7, 116.8, 103.9]) -> divide(58.4)` counts from 0 to 255" in warning.help


def test_a_name_in_a_block_is_a_name(tmp_path: Path) -> None:
    text = (
        f"{HEAD}block b {{\n  preprocess = in -> flatten\n  out = preprocess -> dense(1)\n}}\noutput y = image -> b\n"
    )
    (tmp_path / "block.dag").write_text(text)
    assert graphdsl.compile(tmp_path / "block.dag").spec.preprocess == ()


@pytest.mark.triggers("E0227")
def test_what_a_model_inside_would_do_first_is_not_done(folder: Path) -> None:
    text = f'{HEAD}output y = image -> model("pet.dag", upto=pixels)\n'
    (folder / "use.dag").write_text(text)
    used = graphdsl.compile("use.dag")
    (warning,) = used.warnings
    assert warning.code == "E0227"
    assert used.predict(np.ones((1, 4, 4, 3)))["y"].max() == 1
    (folder / "use.dag").write_text(f"{text}preprocess = image -> scale(1)\n")
    assert graphdsl.compile("use.dag").warnings == ()


def test_a_file_of_weights_is_a_whole_model(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "head.dag").write_text("block head(n) = in -> flatten -> dense(n) -> softmax\n")
    text = SPEC.replace("image -> flatten -> dense(width) -> softmax", "image -> head(width)")
    (folder / "pet.dag").write_text('use "parts/head.dag"\n' + text.replace("width = 2", "width = 9"))
    model = graphdsl.compile("pet.dag", {"width": 2})
    model.fit(shown=False, runs=None)
    model.save("out/pet.safetensors")
    said = model.predict()
    for path in ("pet.dag", "parts/head.dag"):
        (folder / path).unlink()
    whole = graphdsl.compile("out/pet.safetensors")
    whole.load()
    assert np.array_equal(whole.predict(model_data())["pet"], said["pet"])
    assert whole.classes["pet"].names == ("cat", "dog")


def model_data() -> np.ndarray:
    """The pictures of the folder as arrays."""
    return np.stack([np.asarray(Image.open(path)) for path in sorted(Path("pets").rglob("*.png"))])


@pytest.mark.triggers("E0604")
def test_weights_without_a_spec(folder: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3, np.float32)}, "bare.safetensors")
    with pytest.raises(Failed, match="holds no spec"):
        graphdsl.compile("bare.safetensors")


@pytest.mark.parametrize("names", ["[", "[1]", '{"label": 3}', '{"label": [1]}', "[" * 100_000])
def test_what_a_file_says_of_itself_may_make_no_sense(folder: Path, names: str) -> None:
    from safetensors.numpy import save_file

    weights = dict(graphdsl.compile("pet.dag").executor.weights)
    own = json.dumps({"spec": SPEC, "names": names, "params": names, "files": names})
    save_file(weights, "odd.safetensors", {"graphdsl": own})
    model = graphdsl.compile("odd.safetensors")
    model.load()
    assert model.classes == {}


def test_a_file_of_weights_reads_no_other_file(folder: Path) -> None:
    from safetensors.numpy import save_file

    (folder / "other.dag").write_text("block b = in -> relu\n")
    own = json.dumps({"spec": 'use "other.dag"\n' + SPEC})
    save_file({"a": np.ones(3, np.float32)}, "odd.safetensors", {"graphdsl": own})
    with pytest.raises(Failed, match="does not hold"):
        graphdsl.compile("odd.safetensors")


def test_a_long_thin_picture_is_no_bomb(folder: Path) -> None:
    Image.new("L", (2, 60_000)).save("thin.png")
    (folder / "wide.dag").write_text(
        "input image: float[2000, 2000, 1]\npreprocess = image -> resize(2000)\noutput y = image * 1\n"
    )
    model = graphdsl.compile("wide.dag")
    with pytest.raises(Failed, match=r"2000 pixels.*thin\.png"):
        model.predict(Dataset({"image": Images((folder / "thin.png",))}, {"image": "input"}))


def test_weights_beside_the_spec_serve_where_nothing_was_trained(folder: Path) -> None:
    model = graphdsl.compile("pet.dag")
    model.save("pet.safetensors")
    assert graphdsl.compile("pet.dag").find_weights() == Path("pet.safetensors")
    done = model.fit(shown=False)
    assert done.folder is not None
    assert graphdsl.compile("pet.dag").find_weights() == done.folder / "weights.safetensors"
