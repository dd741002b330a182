"""PyTorch on a GPU, in every way that its users run it: eager, compiled in three modes, as a recorded graph.

All are given the same weights and samples, which lie on the GPU already, and the same precision for convolutions,
products and recurrent layers: `precise` sets it and `rounding` measures what came of it.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from tests.benchmarks.cases import STILL, TRAIN, Case
from tests.benchmarks.peers import CHANNELS_LAST, CONTIGUOUS, Batch, Learning, Served, Weights, made, tensors

PLAIN, DEFAULT, OVERHEAD, AUTOTUNE, RECORDED = "eager", "compile", "reduce-overhead", "max-autotune", "recorded"
WAYS = (PLAIN, DEFAULT, OVERHEAD, AUTOTUNE, RECORDED)
"""recorded: the whole eager step as one CUDA graph, which users write by hand."""

PRECISIONS = ("float32", "tf32", "bf16")
WARM = 11
"""Steps before a step is recorded, as PyTorch's notes on CUDA graphs want it."""


@dataclass(frozen=True)
class Way:
    """How PyTorch runs a network. layout: of pictures and kernels."""

    kind: str
    layout: str

    @property
    def name(self) -> str:
        return f"{self.kind} {self.layout}" if self.layout == CHANNELS_LAST else self.kind


def ways(case: Case, kinds: Sequence[str]) -> list[Way]:
    """Eager PyTorch in both layouts where there are pictures; else the layout that tensor cores want."""
    found = []
    for kind in kinds:
        both = case.pictures and kind == PLAIN
        layouts = (CONTIGUOUS, CHANNELS_LAST) if both else (CHANNELS_LAST if case.pictures else CONTIGUOUS,)
        found += [Way(kind, layout) for layout in layouts]
    return found


class GpuPeer:
    """Steps in PyTorch on a device.

    step   begins a step on samples that are there; does not wait for it
    feed   copies the samples there again, out of pinned memory
    """

    def __init__(
        self, case: Case, mode: str, batch: Batch, weights: Weights, way: Way, precision: str, on: str
    ) -> None:
        self.train = mode == TRAIN
        self.network = made(case, weights, way.layout).to(on)
        module = Learning(self.network, case) if self.train else Served(self.network, case).eval()
        self.module: Any = module
        names = case.inputs + case.targets if self.train else case.inputs
        self.host = [_pinned(tensor, on) for tensor in tensors(case, batch, way.layout, names)]
        self.arrays = [tensor.to(on) for tensor in self.host]
        self.half = precision == "bf16"
        self.on = on
        self.last: Any = None
        self.optimizer = self._sgd(on) if self.train else None
        self.compile_s = 0.0
        self._record: Any = None
        self._prepare(way.kind)

    def step(self) -> Any:
        if self._record is not None:
            self._record.replay()
            return self.last
        torch.compiler.cudagraph_mark_step_begin()  # what the last step gave is not needed any more
        with torch.inference_mode(not self.train):
            self.last = self._once()
        return self.last

    def feed(self) -> None:
        for to, tensor in zip(self.arrays, self.host, strict=True):
            to.copy_(tensor, non_blocking=True)

    def fed(self) -> Any:
        """A step on samples that come from the host."""
        self.feed()
        return self.step()

    def results(self) -> list[np.ndarray]:
        """The loss, or the outputs, of one step."""
        given = self.step()
        return [t.detach().float().cpu().numpy() for t in ((given,) if self.train else given)]

    def _once(self) -> Any:
        with self._rounded():
            given = self.module(*self.arrays)
        if self.optimizer is None:
            return given
        given.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return given.detach()

    def _rounded(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.on.split(":")[0], torch.bfloat16) if self.half else nullcontext()

    def _sgd(self, on: str) -> torch.optim.SGD:
        """PyTorch's fastest on a GPU: one kernel over all weights."""
        learning = [p for p in self.network.parameters() if p.requires_grad]
        return torch.optim.SGD(learning, lr=STILL, momentum=0.9, fused=True)

    def _prepare(self, kind: str) -> None:
        if kind == RECORDED:
            self._capture()
        elif kind != PLAIN:
            self.module = torch.compile(self.module, mode=None if kind == DEFAULT else kind)
            self.compile_s = self._first()

    def _first(self) -> float:
        """Seconds of the first step. What the compiler keeps on disk is used; a few steps more, and all is recorded."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = perf_counter()
            self.results()
            spent = perf_counter() - start
            for _ in range(3):
                self.results()
        return spent

    def _capture(self) -> None:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), torch.inference_mode(not self.train):
            for _ in range(WARM):
                self._once()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        record = torch.cuda.CUDAGraph()
        with torch.cuda.graph(record), torch.inference_mode(not self.train):
            self.last = self._once()
        self._record = record


def _pinned(tensor: torch.Tensor, on: str) -> torch.Tensor:
    return tensor.pin_memory() if on.startswith("cuda") else tensor


@contextmanager
def precise(precision: str) -> Iterator[None]:
    """Products and convolutions of float32 numbers so, whichever library makes them. bf16: what autocast leaves in
    float32 may be rounded to tf32."""
    rounded = precision != "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_float32_matmul_precision("high" if rounded else "highest")
        torch.backends.cuda.matmul.allow_tf32 = rounded
        torch.backends.cudnn.allow_tf32 = rounded
        torch.backends.cudnn.benchmark = True
        yield


def rounding(on: str, side: int = 512) -> dict[str, float]:
    """The relative error of a product and of a convolution as PyTorch makes them now: about 1e-6 in float32, 3e-4 in
    tf32."""
    a = torch.randn(1, side, 16, 16, device=on)
    kernel = torch.randn(64, side, 3, 3, device=on)
    pairs = {
        "matmul": (a[0, :, :, 0].T @ a[0, :, :, 1], a[0, :, :, 0].double().T @ a[0, :, :, 1].double()),
        "conv": (
            torch.nn.functional.conv2d(a, kernel),
            torch.nn.functional.conv2d(a.double(), kernel.double()),
        ),
    }
    return {name: float(f"{float((x - y).norm() / y.norm()):.1g}") for name, (x, y) in pairs.items()}


def forget() -> None:
    """Frees what a peer held, and what PyTorch's compiler knows of it."""
    gc.collect()
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
