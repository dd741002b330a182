"""The character model beside the same training in PyTorch: equal weights at the start, the same batches, equal steps.

Run `python tests/benchmarks/char_lstm.py TEXT [--steps 3000]`. Both sides end with the bits per character of the text's
last part, which neither has learned from. `--peer` is PyTorch's side alone. What differs is who calculates.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import graphdsl  # noqa: E402 - found beside this file, installed or not
from graphdsl.ir import Array  # noqa: E402
from graphdsl.learn import Feeder, Feeds, Moment, Plan  # noqa: E402
from graphdsl.model import Model  # noqa: E402

SPEC = ROOT / "specs" / "char_lstm.dag"
CLIP = 5.0
"""The longest gradient, as in the spec."""


class Peer:
    """The same network in PyTorch, with the weights that model begins with.

    It has one bias for its gates, as ours: the second one of torch's LSTM stays 0.
    """

    def __init__(self, model: Model) -> None:
        import torch

        self.torch = torch
        weights = {name: torch.tensor(model.executor.weights[name]) for name in model.executor.weights}
        table, kernel, recurrent, bias, out, out_bias = (
            weights[f"said/{part}"]
            for part in (
                *("embedding_1/table", "lstm_1/kernel", "lstm_1/recurrent", "lstm_1/bias"),
                *("dense_1/kernel", "dense_1/bias"),
            )
        )
        self.letters = torch.nn.Embedding.from_pretrained(table, freeze=False)
        self.reader = torch.nn.LSTM(*kernel.T.shape[::-1][:1], len(recurrent), batch_first=True)
        self.out = torch.nn.Linear(*out.shape)
        with torch.no_grad():
            own = (kernel.T, recurrent.T, bias, torch.zeros_like(bias))
            for parameter, value in zip(self.reader.parameters(), own, strict=True):
                parameter.copy_(value)
            self.out.weight.copy_(out.T)
            self.out.bias.copy_(out_bias)
        self.reader.bias_hh_l0.requires_grad_(False)
        modules = (self.letters, self.reader, self.out)
        self.learned = [p for module in modules for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.learned, eps=1e-7)

    def loss(self, text: Array, following: Array) -> Any:
        """The mean of -log p over all letters."""
        scores = self.out(self.reader(self.letters(self.torch.tensor(text)))[0])
        truth = self.torch.tensor(following).long()
        return self.torch.nn.functional.cross_entropy(scores.flatten(0, 1), truth.flatten())

    def step(self, text: Array, following: Array, rate: float) -> float:
        """One step of Adam; the loss before it."""
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss = self.loss(text, following)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.learned, CLIP)
        self.optimizer.step()
        return float(loss.detach())


def compiled(text: Path, steps: int | None) -> Model:
    """The spec on this text."""
    settings: dict[str, Any] = {"file": str(text)}
    return graphdsl.compile(SPEC, settings | ({"steps": steps} if steps else {}))


def batches(model: Model, plan: Plan, feeds: Feeds) -> Iterator[tuple[Array, Array, float]]:
    """What training is fed, step by step, and the learning rate of each."""
    feeder, per_epoch, total = Feeder(model.spec), len(feeds.train), plan.steps or 0
    walk = chain.from_iterable(feeds.train.epoch(epoch) for epoch in count())
    for step, batch in zip(range(total), walk, strict=False):
        fed = feeder.feed(batch)
        rate = plan.objectives[0].optimizer.rate(Moment(step, per_epoch, total))
        yield np.asarray(fed["text"]), np.asarray(fed["next"]), rate


def trained(model: Model, shown: int = 500) -> tuple[list[float], float]:
    """PyTorch's losses, and its bits per character on the validation part."""
    (plan,) = model.plans
    feeds = model._supply.feeds(plan)
    peer = Peer(model)
    losses = []
    for text, following, rate in batches(model, plan, feeds):
        losses.append(peer.step(text, following, rate))
        if len(losses) % shown == 0:
            print(f"  PyTorch, step {len(losses)}: loss {np.mean(losses[-shown:]):.3f}", flush=True)
    return losses, bits(model, peer, feeds)


def bits(model: Model, peer: Peer, feeds: Feeds) -> float:
    """Over all letters of the validation part."""
    assert feeds.valid is not None
    feeder = Feeder(model.spec)
    total, letters = 0.0, 0
    with peer.torch.no_grad():
        for batch in feeds.valid.epoch():
            fed = feeder.feed(batch)
            size = np.asarray(fed["text"]).size
            total += float(peer.loss(np.asarray(fed["text"]), np.asarray(fed["next"]))) * size
            letters += size
    return total / letters / math.log(2)


def main() -> None:
    """Prints both figures and how far they are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--peer", action="store_true")
    asked = parser.parse_args()
    begun = time.perf_counter()
    _, theirs = trained(compiled(asked.text, asked.steps))
    print(f"PyTorch   {theirs:.4f} bits per character, {time.perf_counter() - begun:.0f} s")
    if asked.peer:
        return
    begun = time.perf_counter()
    done = compiled(asked.text, asked.steps).fit(runs=None, shown=False)
    ours = done.metrics["valid"]["said.bits_per_character"]
    print(f"graphdsl  {ours:.4f} bits per character, {time.perf_counter() - begun:.0f} s")
    print(f"apart     {abs(ours / theirs - 1):.2%}")


if __name__ == "__main__":
    main()
