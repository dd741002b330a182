"""Training: what sections of a spec ask for, and how it is done."""

from graphdsl.learn.callbacks import CALLBACKS, Callback, Memory
from graphdsl.learn.curves import curves
from graphdsl.learn.events import (
    Action,
    Begun,
    Ended,
    EpochDone,
    Keep,
    Restore,
    Save,
    ScaleRate,
    StepDone,
    Stop,
)
from graphdsl.learn.metrics import METRICS, Metric, metric
from graphdsl.learn.optimizers import OPTIMIZERS, Optimizer
from graphdsl.learn.reading import Pair, Reading, reading_of, steps_that_exist
from graphdsl.learn.schedules import SCHEDULES, Cosine, Moment, Schedule, schedule_of
from graphdsl.learn.section import STEP, TRAIN

__all__ = [
    "Action",
    "Begun",
    "CALLBACKS",
    "Callback",
    "Cosine",
    "Ended",
    "EpochDone",
    "Keep",
    "METRICS",
    "Memory",
    "Metric",
    "Moment",
    "OPTIMIZERS",
    "Optimizer",
    "Pair",
    "Reading",
    "Restore",
    "SCHEDULES",
    "STEP",
    "Save",
    "ScaleRate",
    "Schedule",
    "StepDone",
    "Stop",
    "TRAIN",
    "curves",
    "metric",
    "reading_of",
    "schedule_of",
    "steps_that_exist",
]
