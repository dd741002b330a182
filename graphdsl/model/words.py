"""Every word that a spec may use, from all registries."""

from __future__ import annotations

from graphdsl.data import AUGMENTS, READERS, SOURCES, STEPS
from graphdsl.ir import SECTIONS
from graphdsl.lang import Vocabulary
from graphdsl.learn import CALLBACKS, METRICS, OPTIMIZERS, SCHEDULES

VOCABULARY = Vocabulary.of(
    OPTIMIZERS, SCHEDULES, METRICS, CALLBACKS, READERS, AUGMENTS, STEPS, SOURCES, sections=SECTIONS
)
