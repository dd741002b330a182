"""Every mistake of a spec is told at its exact place: `«` and `»` stand around it."""

from __future__ import annotations

import pytest

from tests.support.language import elaborated

IMAGE = "input image: float[28, 28, 1]\ntarget label: int(10)\n"
HEAD = IMAGE + "output class = image -> flatten -> dense(10) -> softmax\n"
VECTOR = "input x: float[8]\n"

NAMES = {
    "misspelt layer": ("E0202", IMAGE + "y = image -> «flaten»", "did you mean `flatten`?"),
    "a layer's name elsewhere": ("E0202", IMAGE + "y = image -> flatten -> «fc»(3)", "did you mean `dense`?"),
    "misspelt block": ("E0202", "block bottleneck = in -> relu\n" + VECTOR + "y = x -> «botleneck»", "`bottleneck`"),
    "misspelt name": ("E0201", IMAGE + "y = «imag» -> flatten", "did you mean `image`?"),
    "misspelt setting of a layer": ("E0205", IMAGE + "y = image -> conv(8, 3, «strid»=2)", "did you mean `stride`?"),
    "misspelt setting of a block": (
        "E0205",
        "block b(c, stride=1) = in -> relu\n" + VECTOR + "y = x -> b(1, «strid»=2)",
        "did you mean `stride`?",
    ),
    "setting twice": ("E0206", IMAGE + "y = image -> conv(8, 3, stride=1, «stride»=2)", ""),
    "setting twice, once by place": ("E0206", IMAGE + "y = image -> conv(8, 3, «filters»=2)", ""),
    "setting missing": ("E0207", IMAGE + "y = image -> flatten -> «dense»", "dense(units"),
    "setting missing, of an example": ("E0207", IMAGE + "y = image -> «reshape»", "), such as reshape(7x7x128)"),
    "block's setting missing": ("E0207", "block b(c) = in -> dense(c)\n" + VECTOR + "y = x -> «b»", "b(c)"),
    "setting too many": ("E0209", VECTOR + "y = x -> relu(«3»)", ""),
    "setting outside its domain": ("E0208", VECTOR + "y = x -> dropout(«1.5»)", ""),
    "no such word for a setting": ("E0208", IMAGE + "y = image -> conv(8, 3, pad=«smae»)", "did you mean `same`?"),
    "key misspelt": ("E0211", HEAD + "train {\n  «optimiser» = adam(lr=0.001)\n}", "did you mean `optimizer`?"),
    "key unknown": ("E0211", HEAD + "train {\n  «banana» = 3\n}", "its settings are"),
    "key twice": ("E0206", HEAD + "train {\n  epochs = 3\n  «epochs» = 4\n}", ""),
    "key outside its domain": ("E0208", HEAD + "train {\n  epochs = «0»\n}", ""),
    "kind of section unknown": ("E0210", HEAD + "«trian» {\n  epochs = 3\n}", "did you mean `train`?"),
    "kind of section in the wrong place": ("E0210", HEAD + "train {\n  «stepp» a {\n  }\n}", "did you mean `step`?"),
    "optimizer misspelt": ("E0214", HEAD + "train {\n  optimizer = «adan»(lr=1)\n}", "did you mean `adam`?"),
    "optimizer misspelt, bare": ("E0214", HEAD + "train {\n  optimizer = «adan»\n}", "did you mean `adam`?"),
    "loss in place of an optimizer": ("E0214", HEAD + "train {\n  optimizer = «mse»()\n}", ""),
    "setting of an optimizer misspelt": ("E0205", HEAD + "train {\n  optimizer = adam(«lrr»=1)\n}", "`lr`?"),
    "tensor as a layer": ("E0213", VECTOR + "read = x -> relu\ny = x -> «read» -> dense(2)", "follow `->`"),
    "layer as a tensor": ("E0213", VECTOR + "y = [x, «relu»] -> add", "x -> relu"),
    "block as a tensor": ("E0213", "block b = in -> relu\n" + VECTOR + "y = [x, «b»] -> add", "x -> b"),
    "call without an arrow": ("E0213", VECTOR + "y = «relu»()", "`->`"),
    "loss as a layer": ("E0223", IMAGE + "y = image -> «mse»", "`loss`"),
    "metric as a layer": ("E0223", IMAGE + "y = image -> «accuracy»", "`metrics`"),
    "augmentation as a layer": ("E0223", IMAGE + "y = image -> «random_crop»(3)", "`augment`"),
    "name twice": ("E0203", VECTOR + "y = x -> relu\n«y» = x -> tanh", ""),
    "input and name": ("E0203", VECTOR + "«x» = 3", ""),
    "setting of a block that hides a param": (
        "E0203",
        "param c = 3\nblock b(«c») = in -> relu\n" + VECTOR + "y = x -> b(1)",
        "",
    ),
    "block called as a layer is": ("E0203", "block «dense»(c) = in -> relu", ""),
    "name too early": ("E0204", VECTOR + "y = «z» -> relu\nz = x -> relu", ""),
    "name in its own definition": ("E0204", VECTOR + "y = x + «y»", "no cycles"),
    "block in itself": ("E0204", VECTOR + "block b = in -> «b»\ny = x -> b", "never uses itself"),
    "block too early": ("E0204", VECTOR + "y = x -> «b»\nblock b = in -> relu", ""),
    "block sees what is defined later": ("E0204", VECTOR + "block b = in + «z»\nz = x -> relu\ny = x -> b", ""),
    "target outside sections": ("E0217", IMAGE + "y = «label» -> relu", ""),
    "names and results": ("E0219", VECTOR + "«a, b» = x -> relu", ""),
    "block without out": ("E0221", "block «b» { a = in -> relu }\n" + VECTOR + "y = x -> b", "`out = …`"),
    "fact misspelt": ("E0222", IMAGE + "n = image.«chanels»", "did you mean `channels`?"),
    "fact that is not there": ("E0222", VECTOR + "n = x.«height»", ""),
    "freeze of nothing": ("E0218", HEAD + "train {\n  freeze = «clas»\n}", "did you mean `class`?"),
    "freeze of what has no weights": ("E0218", HEAD + "train {\n  freeze = «image»\n}", "no weights"),
    "recipe for what is no input": ("E0320", HEAD + "train {\n  augment = «class» -> flip\n}", ""),
    "no recipe": ("E0320", HEAD + "train {\n  augment = «3»\n}", "->"),
    "assertion": ("E0215", 'param c = 3\nassert «c % 2 == 0» "c must be even"', ""),
    "assertion about weights": ("E0215", HEAD + "assert «weights < 6e3»", ""),
}

PARAMS = {
    "default outside its list": ("E0212", "param width = «65» in [16, 32]", ""),
    "default outside its range": ("E0212", "param rate = «0.7» in range(0.1, 0.5)", ""),
    "range the wrong way": ("E0212", "param rate = 0.3 in «range(0.5, 0.1)»", ""),
    "logarithm of nothing": ("E0212", "param rate = 0.3 in log(«0», 1)", ""),
    "param that is a tensor": ("E0212", VECTOR + "param p = «x»", ""),
    "type misspelt": ("E0313", "input x: «flaot»[3]", "did you mean `float`?"),
    "dimension that is no size": ("E0313", "input x: float[«0»]", ""),
    "dimension that is not defined": ("E0201", "input x: float[«n»]", ""),
    "type with settings": ("E0313", "input x: «float(3)»", "float[…]"),
}

SHAPES = {
    "sum of unequal shapes": ("E0301", VECTOR + "a = x -> dense(4)\ny = a «+» x", "`a` has 4 features, `x` has 8"),
    "add of unequal shapes": ("E0301", VECTOR + "a = x -> dense(4)\ny = [a, «x»] -> add", ""),
    "concat of unequal sizes": (
        "E0301",
        IMAGE + "y = [image -> conv(4, 1), «image -> conv(4, 3)», image -> conv(4, 1)] -> concat",
        "",
    ),
    "dense on an image": ("E0301", IMAGE + "y = image -> «dense(10)»", "flatten"),
    "loss fed with logits": (
        "E0303",
        IMAGE + "output y = image -> flatten -> dense(10)\n"
        "train {\n  loss = [«y», label] -> categorical_crossentropy\n}",
        "softmax",
    ),
    "head against classes": (
        "E0304",
        IMAGE + "output y = image -> flatten -> dense(12) -> softmax\n"
        "train {\n  loss = [«y», label] -> categorical_crossentropy\n}",
        "",
    ),
    "merge without brackets": ("E0311", VECTOR + "y = x -> «concat» -> relu", "`[a, b] -> concat`"),
    "list into one": ("E0311", VECTOR + "y = [x, x] -> «dense»(3)", "merge"),
    "number into a layer": ("E0310", VECTOR + "y = «3» -> relu", ""),
    "tensor as a setting": ("E0310", VECTOR + "y = x -> dense(«x»)", "parentheses hold settings"),
    "condition that is a number": ("E0310", VECTOR + "y = if «1» then x else x", ""),
    "comparison of tensors": ("E0310", VECTOR + "y = if x «==» x then x else x", ""),
    "output that is a number": ("E0310", "output y = «3»", ""),
    "loss that is no number": ("E0317", HEAD + "train {\n  loss = «class»\n}", ""),
    "metric that is none": ("E0317", HEAD + "train {\n  metrics = «class»\n}", ""),
    "shared layer with other inputs": (
        "E0302",
        VECTOR + "shared s = «dense(3)»\na = x -> s\nz = x -> dense(4)\nb = z -> s",
        "",
    ),
}

LIMITS = {
    "repeated a thousand million times": ("E0402", VECTOR + "y = x -> relu * «1000000000»", ""),
    "repeated less than not at all": ("E0310", VECTOR + "y = x -> relu * «(0 - 1)»", ""),
    "a layer of a million million": ("E0208", VECTOR + "y = x -> dense(«10**12»)", ""),
    "a power of a power": ("E0406", "n = 10 «**» (10 ** 10)", ""),
    "division by zero": ("E0406", "n = 1 «/» 0", ""),
    "a tensor too large": ("E0405", "input x: «float[100000, 100000]»", ""),
    "a layer's tensor too large": ("E0405", "input x: float[1000, 1000, 1]\ny = x -> «upsample(1000)»", ""),
    "a size known at run time only": ("E0401", "input x: float[T, 3]\ny = x -> flatten -> «dense(3)»", ""),
    "repeated a run-time size": ("E0401", "input x: float[T, 3]\ny = x -> relu * «x.length»", ""),
    "compared with a run-time size": ("E0401", "input x: float[T, 3]\nassert x.length «>» 3", ""),
}


@pytest.mark.parametrize("name", mistakes := {**NAMES, **PARAMS, **SHAPES, **LIMITS})
def test_told_at_its_place(name: str) -> None:
    code, marked, help = mistakes[name]
    text = marked.replace("«", "").replace("»", "")
    start, end = marked.index("«"), marked.index("»") - 1
    _, diagnostics = elaborated(text)
    found = [(d.code, d.span.start, d.span.end) for d in diagnostics if d.span]
    assert found == [(code, start, end)], [(str(d.span), d.code, d.message, d.span.text) for d in diagnostics]
    assert help in diagnostics[0].help + diagnostics[0].message
