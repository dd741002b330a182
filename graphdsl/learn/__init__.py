"""Training: what sections of a spec ask for, and how it is done."""

from graphdsl.learn.ascent import Ascent, summed
from graphdsl.learn.boxes import average_precision, curve, hits
from graphdsl.learn.callbacks import CALLBACKS, Callback, Memory
from graphdsl.learn.checkpoint import State, load_state, read_weights_or_checkpoint
from graphdsl.learn.curves import curves
from graphdsl.learn.dream import DREAM, Dream, dreams
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
from graphdsl.learn.feed import Batches, Feeder, Feeds, NoData
from graphdsl.learn.files import metrics_lines, write_table
from graphdsl.learn.folder import CHECKPOINT, METRICS_FILE, SUMMARY, WEIGHTS, new_folder, newest_weights, weights_of_run
from graphdsl.learn.interrupt import Interrupted
from graphdsl.learn.keeper import Keeper, KeepsFolder, KeepsNothing
from graphdsl.learn.lbfgs import Lbfgs
from graphdsl.learn.localised import LocalisationAccuracy
from graphdsl.learn.machine import IN_USE, Judge, counter
from graphdsl.learn.metrics import METRICS, Metric, metric
from graphdsl.learn.optimizers import OPTIMIZERS, Optimizer
from graphdsl.learn.own import load_callbacks
from graphdsl.learn.picture_files import PALETTE, as_bytes, enlarged, grid, png
from graphdsl.learn.plan import Objective, Plan, judging, plans
from graphdsl.learn.points import FailureRate, NormalisedError
from graphdsl.learn.precision import DOUBLE, in_double, in_use, shared
from graphdsl.learn.precision_recall import Quality, qualities, quality_files, quality_lines, quality_of
from graphdsl.learn.progress import Progress, progress
from graphdsl.learn.reading import Pair, Reading, reading_of, steps_that_exist
from graphdsl.learn.run import Done, Job, run
from graphdsl.learn.sample import DRAWN, GREEDY, SAMPLE, Draw, Sampling, samplings
from graphdsl.learn.schedules import SCHEDULES, Cosine, Moment, Schedule, schedule_of
from graphdsl.learn.section import STEP, TRAIN
from graphdsl.learn.texts import edits
from graphdsl.learn.verification import Rates, rates_of, rates_of_embeddings
from graphdsl.learn.write import Heads, Reader, Writer, heads

__all__ = [
    "Action",
    "Ascent",
    "Batches",
    "Begun",
    "CALLBACKS",
    "PALETTE",
    "Quality",
    "qualities",
    "quality_files",
    "quality_lines",
    "quality_of",
    "CHECKPOINT",
    "Callback",
    "Cosine",
    "DOUBLE",
    "DREAM",
    "DRAWN",
    "Done",
    "Dream",
    "Ended",
    "Draw",
    "EpochDone",
    "FailureRate",
    "Feeder",
    "Feeds",
    "IN_USE",
    "GREEDY",
    "Heads",
    "Interrupted",
    "Job",
    "Judge",
    "Keep",
    "Keeper",
    "KeepsFolder",
    "KeepsNothing",
    "Lbfgs",
    "LocalisationAccuracy",
    "METRICS",
    "METRICS_FILE",
    "Memory",
    "Metric",
    "Moment",
    "NoData",
    "NormalisedError",
    "OPTIMIZERS",
    "Objective",
    "Optimizer",
    "Pair",
    "Plan",
    "Progress",
    "Rates",
    "Reader",
    "Reading",
    "Restore",
    "SCHEDULES",
    "SAMPLE",
    "STEP",
    "SUMMARY",
    "Sampling",
    "Save",
    "ScaleRate",
    "Schedule",
    "State",
    "StepDone",
    "Stop",
    "TRAIN",
    "WEIGHTS",
    "Writer",
    "as_bytes",
    "average_precision",
    "counter",
    "curve",
    "curves",
    "enlarged",
    "dreams",
    "edits",
    "grid",
    "hits",
    "heads",
    "in_double",
    "in_use",
    "load_callbacks",
    "load_state",
    "metric",
    "metrics_lines",
    "new_folder",
    "newest_weights",
    "judging",
    "plans",
    "png",
    "progress",
    "rates_of",
    "rates_of_embeddings",
    "read_weights_or_checkpoint",
    "reading_of",
    "run",
    "samplings",
    "schedule_of",
    "shared",
    "steps_that_exist",
    "summed",
    "weights_of_run",
    "write_table",
]
