"""Solvers: files that say how a net is trained and where it stands.

    net: "examples/mnist/lenet_train_test.prototxt"  base_lr: 0.01  lr_policy: "step"  gamma: 0.1  stepsize: 5000

The path is written from Caffe's own folder, so the net is looked for beside the solver and in the folders above it.
Only files whose names end in .prototxt are opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from graphdsl.interop.caffe.text import Message
from graphdsl.interop.refusal import malformed

MARKS = ("net", "train_net", "net_param", "train_net_param", "base_lr", "max_iter", "lr_policy", "solver_mode")
MOST_FOLDERS = 8
V1_TYPES = ("SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam")
"""By the numbers of `solver_type`, whose words are these in capitals."""


def is_solver(message: Message) -> bool:
    """Whether a file is a solver: it has no layers, but settings of one."""
    return not {"layer", "layers", "input"} & set(message.fields) and any(mark in message for mark in MARKS)


def net_inside(solver: Message) -> Message | None:
    """The net that stands in the solver itself."""
    name = next((n for n in ("net_param", "train_net_param") if n in solver), None)
    return solver.message(name) if name else None


def net_file(solver: Message, path: Path) -> Path:
    """Where the net of a solver is. Raises E0902 where it is not to be found."""
    written = solver.text("net") or solver.text("train_net")
    if not written:
        raise malformed(path, "it is a solver without a net", "import the prototxt of the net")
    found = next((p for p in _places(written, path) if p.suffix == ".prototxt" and p.is_file()), None)
    if found is None:
        why = f"it is a solver, and its net `{written}` is neither beside it nor in a folder above"
        raise malformed(path, why, "import the prototxt of the net")
    return found


def _places(written: str, path: Path) -> Iterator[Path]:
    parts = [p for p in PurePosixPath(written).parts if p not in (".", "/", "~")]
    if ".." in parts:
        return
    folders = list(islice(path.resolve().parents, MOST_FOLDERS))
    for start in range(len(parts)):
        for folder in folders if len(parts) - start > 1 else folders[:1]:
            yield folder.joinpath(*parts[start:])


def training(solver: Message) -> list[str]:
    """Lines of a train section, with remarks on what has no word here."""
    remarks: list[str] = []
    lines = [f"  optimizer = {_optimizer(solver, _rate(solver, remarks), remarks)}"]
    steps = solver.count("max_iter", 0)
    lines += [f"  steps = {steps}"] if steps > 0 else []
    seed = solver.count("random_seed", -1)
    lines += [f"  seed = {seed}"] if seed > 0 else []
    return [*(f"  # {remark}" for remark in remarks), *lines]


def _rate(solver: Message, remarks: list[str]) -> str:
    base, gamma, policy = solver.number("base_lr", 0.01), solver.number("gamma", 0.1), solver.text("lr_policy", "fixed")
    every, places = solver.count("stepsize", 0), solver.counts("stepvalue")
    match policy:
        case "fixed" | "step" | "multistep" | "exp" if policy == "fixed" or gamma == 1:
            return f"{base:g}"
        case "step" if every > 0 and gamma > 0:
            return f"exponential({base:g}, {gamma:g}, every={every}, by=steps)"
        case "multistep" if places and min(places) > 0 and gamma > 0:
            at = ", ".join(map(str, sorted(places)))
            return f"steps({base:g}, at=[{at}]{'' if gamma == 0.1 else f', factor={gamma:g}'}, by=steps)"
        case "exp" if gamma > 0:
            return f"exponential({base:g}, {gamma:g}, by=steps)"
        case "poly":
            power = solver.number("power", 1)
            return f"poly({base:g}{'' if power == 1 else f', power={power:g}'})"
    remarks.append(f"Caffe's learning rate: lr_policy `{policy}`, gamma {gamma:g}, power {solver.number('power', 1):g}")
    return f"{base:g}"


def _optimizer(solver: Message, rate: str, remarks: list[str]) -> str:
    kind = _kind(solver)
    momentum, decay = solver.number("momentum", 0), solver.number("weight_decay", 0)
    if solver.text("regularization_type", "L2") != "L2" and decay:
        remarks.append(f"Caffe's weight_decay {decay:g} is of the sum of |w|: l1 of a layer")
        decay = 0
    tail = f", decay={decay:g}" if decay else ""
    match kind:
        case "SGD" | "Nesterov":
            more = f", momentum={momentum:g}" if momentum else ""
            return f"sgd(lr={rate}{more}{', nesterov=true' if kind == 'Nesterov' else ''}{tail})"
        case "Adam":
            betas = f", beta1={momentum:g}, beta2={solver.number('momentum2', 0.999):g}"
            return f"adam(lr={rate}{betas}, eps={solver.number('delta', 1e-8):g}{tail})"
        case "RMSProp":
            rho, eps = solver.number("rms_decay", 0.99), solver.number("delta", 1e-8)
            return f"rmsprop(lr={rate}, rho={rho:g}, eps={eps:g}{tail})"
        case "AdaGrad":
            return f"adagrad(lr={rate}, start=0, eps={solver.number('delta', 1e-8):g}{tail})"
    remarks.append(f"Caffe's optimizer: {kind}, with momentum {momentum:g}")
    return f"sgd(lr={rate}{tail})"


def _kind(solver: Message) -> str:
    old = solver.text("solver_type")
    if old:
        known = {name.upper(): name for name in V1_TYPES} | {str(i): name for i, name in enumerate(V1_TYPES)}
        return known.get(old, old)
    return solver.text("type", "SGD")
