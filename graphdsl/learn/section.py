"""The words of a train section, and what they are when nothing is written."""

from __future__ import annotations

from graphdsl.backends import BF16, SINGLE, STRICT, TF32
from graphdsl.ir import SECTIONS, Choice, EntryOf, Many, SectionKind, SectionSetting, Slot, TextDomain, Whole
from graphdsl.learn.precision import CHOICES

EPOCHS = 10
SEED = 0
OPTIMIZER = "rmsprop"

_OBJECTIVE = (
    SectionSetting("loss", Slot.LOSS, doc="what is made small: losses, added up"),
    SectionSetting("metrics", Slot.METRICS, doc="what is watched"),
    SectionSetting("optimizer", EntryOf("optimizer"), doc=f"how weights change; {OPTIMIZER} unless set"),
    SectionSetting("learn", Slot.WEIGHTS, doc="only these weights change"),
    SectionSetting("rates", Slot.RATES, doc="what the learning rate of some weights is multiplied with"),
    SectionSetting("within", Slot.BOUNDS, doc="between which numbers some weights stay: every step ends there"),
    SectionSetting("freeze", Slot.WEIGHTS, doc="these weights do not change, nor do running averages"),
)

PREDICT = SECTIONS.add(
    SectionKind(
        "predict",
        (
            SectionSetting("data", EntryOf("reader"), doc="what is predicted where no samples are given"),
            SectionSetting("metrics", Slot.METRICS, doc="what a model that is not trained here is judged by"),
            SectionSetting(
                "precision",
                Choice((SINGLE, STRICT, TF32, BF16)),
                doc=f"of predictions; that of the train sections unless set; {STRICT}: {SINGLE} without shortcuts",
            ),
        ),
        doc="How the model is used once it is trained.",
    )
)

STEP = SectionKind(
    "step",
    (
        *_OBJECTIVE,
        SectionSetting("every", Whole(1), doc="learns only from every so many-th batch; 1 unless set"),
    ),
    doc="One of several objectives that take turns on every batch, each with weights and an optimizer of its own.",
)

TRAIN = SECTIONS.add(
    SectionKind(
        "train",
        (
            SectionSetting("data", EntryOf("reader"), doc="what to learn from"),
            SectionSetting("valid", EntryOf("reader"), doc="what to judge each epoch by, never learned from"),
            SectionSetting("test", EntryOf("reader"), doc="what to judge the end by, once"),
            SectionSetting("augment", Slot.RECIPE, doc="changes to samples as they are learned from"),
            *_OBJECTIVE,
            SectionSetting("callbacks", Many(EntryOf("callback")), doc="what else happens while training goes on"),
            SectionSetting("epochs", Whole(1), doc=f"how often all data is seen; {EPOCHS} unless set"),
            SectionSetting("steps", Whole(1), doc="how many steps are made, in place of epochs"),
            SectionSetting("seed", Whole(0), doc=f"decides everything that is drawn at random; {SEED} unless set"),
            SectionSetting("load", TextDomain(), doc="a weights file to begin with"),
            SectionSetting(
                "precision",
                Choice(CHOICES),
                doc=f"of all numbers, in all sections; {SINGLE} unless set; {STRICT}: {SINGLE} without shortcuts; "
                f"{TF32}, {BF16}: factors of products rounded, on a GPU",
            ),
        ),
        nested=(STEP,),
        doc="Trains the model; several sections run in the order of the file, each going on from the one before.",
    )
)
