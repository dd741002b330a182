"""What acts in training only: penalties are translated, the rest is named in the head comment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphdsl.interop.keras.scene import Scene, Step

KERNELS = ("kernel_regularizer", "depthwise_regularizer", "embeddings_regularizer")
LEFT_OUT = "left out, since it acts in training only: "
STANDARD = 0.01
"""What `"l2"` stands for in Keras."""


def penalties(scene: Scene, step: Step) -> dict[str, float]:
    """l1 and l2 of the kernel; what else acts in training is noted."""
    found: dict[str, float] = {}
    for key in KERNELS:
        found = found or _amounts(step.options.raw(key))
    if step.options.raw("kernel_regularizer") and not found and _acts(step.options.raw("kernel_regularizer")):
        scene.note(f"{LEFT_OUT}kernel_regularizer", step.name)
    note_training(scene, step)
    return found


def note_training(scene: Scene, step: Step) -> None:
    """Notes constraints and penalties that we have no setting for."""
    for key, value in step.options.data.items():
        known = key in KERNELS or not (key.endswith("_regularizer") or key.endswith("_constraint"))
        if not known and _acts(value):
            scene.note(f"{LEFT_OUT}{key}", step.name)


def _acts(value: Any) -> bool:
    """Whether a regularizer or constraint does anything."""
    if not isinstance(value, Mapping):
        return bool(value)
    amounts = _amounts(value)
    config = value.get("config", value)
    names = set(config) if isinstance(config, Mapping) else set()
    return bool(amounts) or not names & {"l1", "l2"}


def _amounts(value: Any) -> dict[str, float]:
    if isinstance(value, str):
        return {part: STANDARD for part in ("l1", "l2") if part in value.lower()}
    if not isinstance(value, Mapping):
        return {}
    config = value.get("config", value)
    if not isinstance(config, Mapping):
        return {}
    given = {part: config.get(part) for part in ("l1", "l2")}
    return {p: float(v) for p, v in given.items() if isinstance(v, int | float) and v > 0}
