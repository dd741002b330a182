"""Convolutions one by one on a GPU: ours beside cuDNN's, and beside what the GPU reaches at best.

    python tests/benchmarks/gpu_convolutions.py                   all shapes of ResNet-50 (64), ResNet-20, LeNet (128)
    python tests/benchmarks/gpu_convolutions.py --precision bf16 --nets resnet50 --write
    python tests/benchmarks/gpu_convolutions.py --predict --write         what gpu_model.py says, without a GPU

Each shape that a network has, once: forward, the gradient of its input, the gradient of its kernel. Ours read and write
float32 and round factors on their way; cuDNN's (channels last, its own benchmark decides how) has numbers in bfloat16
where that is the precision. Both as graphs of REPEAT launches, each waiting for the one before, timed by events.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from graphdsl.backends import backend  # noqa: E402
from graphdsl.backends.cuda.array import DeviceArray  # noqa: E402
from graphdsl.backends.cuda.backend import CudaBackend, Native  # noqa: E402
from graphdsl.backends.cuda.device import Device  # noqa: E402
from graphdsl.backends.cuda.launch import Step  # noqa: E402
from graphdsl.ir import Call, DType, Operator  # noqa: E402
from graphdsl.ops import Conv, Fused  # noqa: E402
from tests.benchmarks.cases import CASES, INFER, TRAIN  # noqa: E402
from tests.benchmarks.gpu_machine import described, model_of  # noqa: E402
from tests.benchmarks.gpu_model import MACHINES, RESULTS, Machine, call  # noqa: E402
from tests.benchmarks.gpu_peers import precise  # noqa: E402
from tests.benchmarks.gpu_timing import kernel_us  # noqa: E402
from tests.benchmarks.planned import Planned, PlannedDevice, planned  # noqa: E402

REPEAT = 8
NETS = {"resnet50": 64, "resnet20": 128, "lenet": 128}
CUDNN = {"float32": 0.75, "tf32": 0.7, "bf16": 0.65}
"""Of the ceiling that cuDNN is expected to reach where nothing else is in the way; a third of it with few channels."""

FEW = 8
BYTES = {"float32": 4, "tf32": 4, "bf16": 2}
"""Of a number where cuDNN has it."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """A convolution of a network."""

    net: str
    op: Conv
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    y: tuple[int, ...]

    @property
    def text(self) -> str:
        (n, h, w, c), (size, _, _, filters) = self.x, self.kernel
        stride = f" / {self.op.stride[0]}" if self.op.stride[0] > 1 else ""
        return f"{n}x{h}x{w} {c}-{filters} {size}x{size}{stride}"

    @property
    def flops(self) -> float:
        size = self.y[0] * self.y[1] * self.y[2] * self.y[3]
        return 2.0 * size * self.kernel[0] * self.kernel[1] * self.kernel[2]

    @property
    def passes(self) -> tuple[str, ...]:
        """What training makes of it: nobody asks for the gradient of the network's input."""
        return ("forward", "kernel") if self.x[-1] < FEW else ("forward", "input", "kernel")

    def bytes(self, each: int) -> int:
        def count(shape: tuple[int, ...]) -> int:
            return int(torch.Size(shape).numel())

        return each * (count(self.x) + count(self.kernel) + count(self.y))

    def operation(self, which: str) -> tuple[Operator, tuple[str, str], str]:
        """The operator, the names of what it reads, of what it makes."""
        if which == "forward":
            return self.op, ("x", "kernel"), "y"
        if which == "input":
            return self.op.for_input(self.x[1:-1]), ("y", "kernel"), "x"
        return self.op.for_kernel(self.kernel[:-2]), ("x", "y"), "kernel"


def shapes(names: Sequence[str]) -> list[Shape]:
    """Those of the networks, each once."""
    found: dict[tuple[Any, ...], Shape] = {}
    for name in names:
        net = planned(CASES[name], TRAIN if CASES[name].train else INFER, NETS[name], "float32", PlannedDevice())
        for one in net.calls:
            op = one.call.op.producer if isinstance(one.call.op, Fused) else one.call.op
            if isinstance(op, Conv):
                x, kernel = (array.shape for array in one.made.inputs[:2])
                y = (x[0], *op.outs(x[1:-1], kernel[:-2]), kernel[-1])
                found.setdefault((op, x, kernel), Shape(name, op, x, kernel, y))
    return list(found.values())


# --- ours -------------------------------------------------------------------------------------------------------------


def made_ready(shape: Shape, which: str, on: CudaBackend) -> tuple[Planned, dict[str, DeviceArray]]:
    """The call on arrays of its own."""
    op, reads, makes = shape.operation(which)
    arrays = {name: _array(on, getattr(shape, name)) for name in (*reads, makes)}
    one = Call(op.name, op, (0, 1), (2,))
    kernel = on.kernel(one, [arrays[name] for name in reads], [arrays[makes]])
    return Planned(one, kernel, ()), arrays  # type: ignore[arg-type]


def _array(on: CudaBackend, shape: tuple[int, ...]) -> DeviceArray:
    return on.view(on.alloc(4 * int(torch.Size(shape).numel())), 0, shape, DType.FLOAT32)


def ours_us(one: Planned, device: Device) -> float:
    """Microseconds of one of REPEAT in a recording."""
    steps = [Step(one.launches, (number - 1,) if number else ()) for number in range(REPEAT)]
    recording = device.record(steps)
    with stream_of(device):
        return kernel_us(recording) / REPEAT


def stream_of(device: Device) -> AbstractContextManager[Any]:
    """PyTorch's events belong to the stream that our recordings run on."""
    work = getattr(device, "work", None)
    return nullcontext() if work is None else torch.cuda.stream(torch.cuda.ExternalStream(work))


def precompiled(device: Device, wanted: Sequence[Shape], precisions: Sequence[str]) -> None:
    """All kernels at once, as many at a time as there are cores."""
    units = set()
    for precision in precisions:
        plan = CudaBackend(PlannedDevice(processors=device.processors), precision=precision)
        for shape in wanted:
            for which in shape.passes:
                units |= {launch.unit for launch in made_ready(shape, which, plan)[0].launches}
    device.compile(units)


# --- cuDNN ------------------------------------------------------------------------------------------------------------


def theirs(shape: Shape, which: str, given: dict[str, Tensor]) -> Callable[[], Tensor]:
    """The same by PyTorch, of tensors laid out channels last."""
    op = shape.op
    pads = [before for before, _ in op.pad]
    if which == "forward":
        return lambda: torch.conv2d(given["x"], given["kernel"], None, op.stride, pads, op.dilation, op.groups)
    wanted = [which == "input", which == "kernel", False]

    def back() -> Tensor:
        made = torch.ops.aten.convolution_backward(
            given["y"],
            given["x"],
            given["kernel"],
            None,
            op.stride,
            pads,
            op.dilation,
            False,
            [0, 0],
            op.groups,
            wanted,
        )
        return made[0] if which == "input" else made[1]

    return back


def tensor(array: Tensor, name: str, kind: torch.dtype) -> Tensor:
    """Ours in PyTorch's order: pictures [n, c, h, w], kernels [filters, c, h, w]."""
    turned = array.permute(3, 2, 0, 1) if name == "kernel" else array.permute(0, 3, 1, 2)
    return turned.to(kind).contiguous(memory_format=torch.channels_last)


def recorded(call: Callable[[], Tensor], device: str) -> Callable[[], object]:
    """REPEAT of them as a graph, where there is a GPU; else one after the other."""
    for _ in range(3):
        call()

    def one_by_one() -> None:
        for _ in range(REPEAT):
            call()

    if device == "cpu":
        return one_by_one
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        one_by_one()
    return graph.replay


# --- measuring --------------------------------------------------------------------------------------------------------


def measured(shape: Shape, which: str, precision: str, place: CudaBackend, ceiling: float, on: str) -> Entry:
    """One pass of one shape in one precision."""
    one, arrays = made_ready(shape, which, place)
    _, reads, makes = shape.operation(which)
    said: Entry = {**about(shape, which, precision, model_of(place.device.name), one)}
    values = {name: torch.randn(getattr(shape, name), device=on) for name in ("x", "kernel", "y")}
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    given = {name: tensor(value, name, kind) for name, value in values.items()}
    call = theirs(shape, which, given)
    said["cudnn_us"] = round(kernel_us(recorded(call, on)) / REPEAT, 2)
    if not isinstance(one.made, Native):
        return {**said, "failed": "no kernel serves it"}
    for name in reads:
        place.upload(arrays[name], values[name].cpu().numpy())
    us = ours_us(one, place.device)
    right = call().float()
    mine = torch.from_numpy(place.download(arrays[makes])).to(on)
    error = float((tensor(mine, makes, torch.float32) - right).norm() / right.norm())
    tflops = shape.flops / max(us, 1e-3) / 1e6
    return {
        **said,
        "us": round(us, 2),
        "tflops": round(tflops, 1),
        "of_ceiling": round(tflops / ceiling, 3) if ceiling else None,
        "of_cudnn": round(said["cudnn_us"] / max(us, 1e-3), 3),
        "difference": float(f"{error:.2g}"),
    }


def about(shape: Shape, which: str, precision: str, machine: Machine, one: Planned) -> Entry:
    """What it is, and what the model says."""
    said = call(one, machine, precision)
    cudnn = cudnn_us(shape, precision, machine)
    return {
        "net": shape.net,
        "shape": shape.text,
        "pass": which,
        "precision": precision,
        "machine": machine.name,
        "gflop": round(shape.flops / 1e9, 3),
        "predicted_us": round(said.us, 1),
        "bound": said.bound,
        "predicted_cudnn_us": round(cudnn, 1),
        "predicted_of_cudnn": round(cudnn / said.us, 3),
    }


def cudnn_us(shape: Shape, precision: str, machine: Machine) -> float:
    """What cuDNN is expected to take: 3 µs, and the longer of its sums and its bytes."""
    part = CUDNN[precision] / (3 if shape.kernel[2] < FEW else 1)
    sums = shape.flops / (part * machine.ceilings[precision] * 1e6)
    return 3 + max(sums, 1e6 * shape.bytes(BYTES[precision]) / machine.memory)


HEADER = (
    f"{'net':9} {'shape':26} {'pass':8} {'':8} {'us':>8} {'TFLOP/s':>7} {'ceiling':>7} {'cuDNN us':>8} {'of cuDNN':>8} "
    f"{'apart':>7} {'predicted':>9} {'of cuDNN':>8}  bound by"
)


def line(found: Entry) -> str:
    start = f"{found['net']:9} {found['shape']:26} {found['pass']:8} {found['precision']:8}"
    end = f"{found['predicted_us']:9.1f} {found['predicted_of_cudnn']:8.0%}  {found['bound']}"
    if "us" not in found:
        return f"{start} {found.get('failed', 'not measured'):50} {end}"
    ceiling = f"{found['of_ceiling']:7.0%}" if found["of_ceiling"] else " " * 7
    return (
        f"{start} {found['us']:8.1f} {found['tflops']:7.1f} {ceiling} {found['cudnn_us']:8.1f} "
        f"{found['of_cudnn']:8.0%} {found['difference']:7.0e} {end}"
    )


def summary(found: Sequence[Entry]) -> str:
    """Of all shapes of a network together, weighted by time: cuDNN's time by ours."""
    lines = []
    for net, precision, which in dict.fromkeys((e["net"], e["precision"], e["pass"]) for e in found):
        some = [e for e in found if (e["net"], e["precision"], e["pass"]) == (net, precision, which)]
        timed = [e for e in some if e.get("us")]
        said = sum(e["predicted_cudnn_us"] for e in some) / sum(e["predicted_us"] for e in some)
        real = sum(e["cudnn_us"] for e in timed) / sum(e["us"] for e in timed) if timed else None
        share = f"{real:.0%} of cuDNN, predicted" if real else "predicted"
        lines.append(f"{net:9} {precision:8} {which:8} {share} {said:.0%} ({len(timed)} of {len(some)} measured)")
    return "\n".join(lines)


def predictions(wanted: Sequence[Shape], precisions: Sequence[str]) -> Iterator[Entry]:
    for machine in MACHINES.values():
        for precision in precisions:
            plan = CudaBackend(PlannedDevice(machine.name, machine.processors), precision=precision)
            for shape in wanted:
                for which in shape.passes:
                    yield about(shape, which, precision, machine, made_ready(shape, which, plan)[0])


def run(options: argparse.Namespace) -> list[Entry]:
    """Measures; each line is printed as it is found, and what fails is said."""
    wanted = shapes(options.nets)[: options.first]
    machine = described(dry=options.dry)
    print(json.dumps(machine), HEADER, sep="\n", flush=True)
    device = PlannedDevice("dry") if options.dry else _gpu()
    on = "cpu" if options.dry else "cuda"
    precompiled(device, wanted, options.precision)
    found = []
    for precision in options.precision:
        place = CudaBackend(device, precision=precision)
        ceiling = machine.get("matmul_tflops", {}).get(precision, 0.0)
        with precise(precision):
            for shape in wanted:
                for which in shape.passes:
                    one = _tried(shape, which, precision, place, ceiling, on)
                    print(line(one), flush=True)
                    found.append({**one, "date": date.today().isoformat()})
    print(summary(found))
    if options.write:
        write("gpu_convolutions.json", found, machine)
    return found


def _tried(shape: Shape, which: str, precision: str, place: CudaBackend, ceiling: float, on: str) -> Entry:
    try:
        return measured(shape, which, precision, place, ceiling, on)
    except Exception as error:
        one, _ = made_ready(shape, which, CudaBackend(PlannedDevice(), precision=precision))
        said = about(shape, which, precision, model_of(place.device.name), one)
        return {**said, "failed": f"{type(error).__name__}: {error}"[:200]}


def _gpu() -> Device:
    whole = backend("cuda")
    assert isinstance(whole, CudaBackend)
    return whole.device


def write(name: str, found: Sequence[Entry], machine: Entry) -> None:
    """Puts them in place of older ones of the same shape, pass and precision."""
    target = RESULTS / name
    old = json.loads(target.read_text())["results"] if target.exists() else []
    merged = {(e["shape"], e["pass"], e["precision"]): e for e in [*old, *found]}
    target.write_text(json.dumps({"machine": machine, "results": list(merged.values())}, indent=1) + "\n")


def write_predictions(found: Sequence[Entry]) -> None:
    """Of the first machine by shape, a line each; of the others in sum."""
    target = RESULTS / "gpu_predictions.json"
    old = json.loads(target.read_text()) if target.exists() else {}
    first = next(iter(MACHINES))
    sums = {name: summary([e for e in found if e["machine"] == name]).splitlines() for name in MACHINES}
    shapes = [json.dumps({k: v for k, v in e.items() if k != "gflop"}) for e in found if e["machine"] == first]
    whole = {**old, "measured": False, "date": date.today().isoformat(), "convolutions": sums, "shapes": shapes}
    target.write_text(json.dumps(whole, indent=1) + "\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--precision", default="bf16,tf32,float32")
    parser.add_argument("--first", type=int, help="only so many shapes")
    parser.add_argument("--predict", action="store_true", help="what the model says, without a GPU")
    parser.add_argument("--dry", action="store_true", help="ours nowhere, PyTorch on the CPU: only whether it runs")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    options.nets, options.precision = options.nets.split(","), options.precision.split(",")
    return options


def main() -> None:
    options = parse()
    if not options.predict:
        run(options)
        return
    found = list(predictions(shapes(options.nets)[: options.first], options.precision))
    print(HEADER, *map(line, found), sep="\n")
    for machine in MACHINES:
        print(machine, summary([e for e in found if e["machine"] == machine]), sep="\n")
    if options.write:
        write_predictions(found)


if __name__ == "__main__":
    main()
