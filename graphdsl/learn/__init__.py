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
from graphdsl.learn.roc import rates_found, roc_files
from graphdsl.learn.run import Done, Job, run
from graphdsl.learn.sample import DRAWN, GREEDY, SAMPLE, Draw, Sampling, samplings
from graphdsl.learn.schedules import SCHEDULES, Cosine, Moment, Schedule, schedule_of
from graphdsl.learn.section import STEP, TRAIN
from graphdsl.learn.texts import edits
from graphdsl.learn.verification import MOST_JUDGED, Rates, rates_of, rates_of_embeddings
from graphdsl.learn.write import Heads, Reader, Writer, heads

__all__ = [
    "CALLBACKS",
    "CHECKPOINT",
    "DOUBLE",
    "DRAWN",
    "DREAM",
    "GREEDY",
    "IN_USE",
    "METRICS",
    "METRICS_FILE",
    "MOST_JUDGED",
    "OPTIMIZERS",
    "PALETTE",
    "SAMPLE",
    "SCHEDULES",
    "STEP",
    "SUMMARY",
    "TRAIN",
    "WEIGHTS",
    "Action",
    "Ascent",
    "Batches",
    "Begun",
    "Callback",
    "Cosine",
    "Done",
    "Draw",
    "Dream",
    "Ended",
    "EpochDone",
    "FailureRate",
    "Feeder",
    "Feeds",
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
    "Memory",
    "Metric",
    "Moment",
    "NoData",
    "NormalisedError",
    "Objective",
    "Optimizer",
    "Pair",
    "Plan",
    "Progress",
    "Quality",
    "Rates",
    "Reader",
    "Reading",
    "Restore",
    "Sampling",
    "Save",
    "ScaleRate",
    "Schedule",
    "State",
    "StepDone",
    "Stop",
    "Writer",
    "as_bytes",
    "average_precision",
    "counter",
    "curve",
    "curves",
    "dreams",
    "edits",
    "enlarged",
    "grid",
    "heads",
    "hits",
    "in_double",
    "in_use",
    "judging",
    "load_callbacks",
    "load_state",
    "metric",
    "metrics_lines",
    "new_folder",
    "newest_weights",
    "plans",
    "png",
    "progress",
    "qualities",
    "quality_files",
    "quality_lines",
    "quality_of",
    "rates_found",
    "rates_of",
    "rates_of_embeddings",
    "read_weights_or_checkpoint",
    "reading_of",
    "roc_files",
    "run",
    "samplings",
    "schedule_of",
    "shared",
    "steps_that_exist",
    "summed",
    "weights_of_run",
    "write_table",
]
