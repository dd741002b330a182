"""The other side: the same network in PyTorch, eager and compiled, in ONNX Runtime and in JAX, with our weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.cases import INFER, STILL, TRAIN, Case
from tests.benchmarks.nets import NETWORKS
from tests.benchmarks.timing import alone
from tests.benchmarks.transfer import fill

Batch = Mapping[str, np.ndarray]
Weights = Sequence[np.ndarray] | None
"""In the order of the spec; None: as PyTorch begins them."""

EAGER, COMPILE, ONNX, JAX = "eager", "compile", "onnxruntime", "jax"
KINDS = (EAGER, COMPILE, ONNX, JAX)
CONTIGUOUS, CHANNELS_LAST = "contiguous", "channels_last"

ENDINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: torch.softmax(x, -1),
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
}
LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": F.cross_entropy,
    "sigmoid": F.binary_cross_entropy_with_logits,
    "linear": F.mse_loss,
}
"""The losses of the specs after each ending, for logits, as PyTorch's users write them."""


class Side(Protocol):
    """What is timed. compile_s: seconds that a compiler took."""

    compile_s: float

    def step(self) -> object: ...


class Served(nn.Module):
    """A network with the endings of its outputs."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        super().__init__()
        self.network, self.case = network, case

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        results = several(self.network(*inputs))
        return tuple(ENDINGS[head.ending](result) for head, result in zip(self.case.heads, results, strict=True))


class Learning(nn.Module):
    """A network with its weighted losses. Takes the inputs, then the targets."""

    def __init__(self, network: nn.Module, case: Case) -> None:
        super().__init__()
        self.network, self.case = network, case

    def forward(self, *arrays: Tensor) -> Tensor:
        count = len(self.case.inputs)
        results = several(self.network(*arrays[:count]))
        parts = zip(self.case.heads, results, arrays[count:], strict=True)
        terms = [head.weight * LOSSES[head.ending](result, target) for head, result, target in parts]
        return sum(terms[1:], terms[0])


class Trainer:
    """Training steps in PyTorch, with momentum 0.9.

    The optimizer is the faster here of PyTorch's plain and its fused SGD.
    """

    def __init__(self, case: Case, batch: Batch, weights: Weights, layout: str, rate: float = STILL) -> None:
        self.network = made(case, weights, layout)
        self.module: Any = Learning(self.network, case)
        self.arrays = tensors(case, batch, layout, case.inputs + case.targets)
        self.optimizer = self._sgd(rate, fused=False)
        self.compile_s = 0.0

    def compile(self) -> None:
        """Through torch.compile from now on."""
        self.module = torch.compile(self.module)
        self.compile_s = first(self.step)

    def choose_optimizer(self) -> None:
        """The faster of the two, for this network on this machine."""
        rate = self.optimizer.defaults["lr"]
        made = [self._sgd(rate, fused) for fused in (False, True)]
        self.optimizer = min(made, key=self._seconds)

    def step(self) -> float:
        loss = self.module(*self.arrays)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.item())

    def _seconds(self, optimizer: torch.optim.SGD) -> float:
        self.optimizer = optimizer
        return alone(self.step, 3)

    def _sgd(self, rate: float, fused: bool) -> torch.optim.SGD:
        learning = [p for p in self.network.parameters() if p.requires_grad]
        return torch.optim.SGD(learning, lr=rate, momentum=0.9, fused=fused)


class Server:
    """Inference in PyTorch."""

    def __init__(self, case: Case, batch: Batch, weights: Weights, layout: str) -> None:
        self.module: Any = Served(made(case, weights, layout), case).eval()
        self.arrays = tensors(case, batch, layout, case.inputs)
        self.compile_s = 0.0

    def compile(self) -> None:
        """Through torch.compile from now on."""
        self.module = torch.compile(self.module)
        self.compile_s = first(self.step)

    def step(self) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            return self.module(*self.arrays)


class Onnx:
    """Inference in ONNX Runtime, of the file that PyTorch exports. Its threads sleep between the turns."""

    def __init__(self, case: Case, batch: Batch, weights: Weights, threads: int) -> None:
        import onnxruntime

        module = Served(made(case, weights, CONTIGUOUS), case).eval()
        arrays = tensors(case, batch, CONTIGUOUS, case.inputs)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        start = perf_counter()
        self.session = onnxruntime.InferenceSession(exported(module, arrays), options)
        self.compile_s = perf_counter() - start
        names = [put.name for put in self.session.get_inputs()]
        self.fed = {name: array.numpy() for name, array in zip(names, arrays, strict=True)}

    def step(self) -> list[np.ndarray]:
        return self.session.run(None, self.fed)


def several(results: Any) -> tuple[Tensor, ...]:
    return (results,) if isinstance(results, Tensor) else tuple(results)


def made(case: Case, weights: Weights, layout: str) -> nn.Module:
    """The module with these weights, laid out so."""
    network = NETWORKS[case.name](**case.settings)
    if weights is not None:
        fill(network, weights)
    return network.to(memory_format=torch.channels_last) if layout == CHANNELS_LAST else network


def tensors(case: Case, batch: Batch, layout: str, names: Sequence[str]) -> list[Tensor]:
    """The arrays called so, as PyTorch takes them: pictures with channels first, whole numbers of 64 bits."""
    found = []
    for name in names:
        tensor = torch.from_numpy(batch[name].copy())
        if tensor.ndim == 4:
            form = torch.channels_last if layout == CHANNELS_LAST else torch.contiguous_format
            tensor = tensor.permute(0, 3, 1, 2).contiguous(memory_format=form)
        found.append(tensor if tensor.is_floating_point() else tensor.long())
    return found


def first(step: Callable[[], object]) -> float:
    """Seconds that the first step takes longer than the third. Nothing that compilers keep on disk is used."""
    import torch._inductor.config as inductor

    torch.compiler.reset()
    with inductor.patch(force_disable_caches=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = []
        for _ in range(3):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
    return times[0] - times[2]


def exported(module: nn.Module, arrays: Sequence[Tensor]) -> bytes:
    """An ONNX file as bytes."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module, tuple(arrays), dynamo=True, verbose=False)
    return program.model_proto.SerializeToString()


@dataclass(frozen=True)
class Variant:
    """A way to run a network elsewhere. layout: of pictures and kernels in PyTorch."""

    kind: str
    layout: str = CONTIGUOUS

    @property
    def name(self) -> str:
        return f"{self.kind} {self.layout}" if self.kind in (EAGER, COMPILE) else self.kind

    def build(self, case: Case, mode: str, batch: Batch, weights: Weights, threads: int) -> Side:
        """The peer, compiled and warm."""
        if self.kind == ONNX:
            return Onnx(case, batch, weights, threads)
        if self.kind == JAX:
            from tests.benchmarks.jax_peer import Jax

            return Jax(case, mode, batch, weights or ())
        side = eager(case, mode, batch, weights, self.layout)
        if self.kind == COMPILE:
            side.compile()
        if isinstance(side, Trainer):
            side.choose_optimizer()
        return side


def variants(case: Case, mode: str, kinds: Sequence[str]) -> list[Variant]:
    """The ways of these kinds that make sense here and are installed."""
    layouts = (CONTIGUOUS, CHANNELS_LAST) if case.pictures else (CONTIGUOUS,)
    found = []
    for kind in kinds:
        if kind in (EAGER, COMPILE):
            found += [Variant(kind, layout) for layout in layouts]
        elif find_spec(kind) is not None and (kind == JAX or mode == INFER):
            found.append(Variant(kind))
    return found


def eager(case: Case, mode: str, batch: Batch, weights: Weights, layout: str) -> Trainer | Server:
    """PyTorch as it is without compiling."""
    return Trainer(case, batch, weights, layout) if mode == TRAIN else Server(case, batch, weights, layout)
