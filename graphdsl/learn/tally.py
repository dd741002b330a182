"""The numbers of an epoch while it runs: losses averaged over samples, what metrics counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphdsl.ir import Array
from graphdsl.learn.metrics import Metric
from graphdsl.learn.plan import Objective, Watch


class Tally:
    """Adds up steps. What it has so far can be taken out and put back, for runs that stop inside an epoch."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._metrics: dict[str, Metric] = {w.name: w.metric for w in watches}
        self._seen: dict[str, list[Array]] = {name: [] for name in self._metrics}
        self._sums: dict[str, float] = {}
        self._samples: dict[str, int] = {}

    def add(self, samples: int, losses: Mapping[str, float]) -> None:
        """A step on so many samples; its losses count in proportion."""
        for name, loss in losses.items():
            self._samples[name] = self._samples.get(name, 0) + samples
            self._sums[name] = self._sums.get(name, 0.0) + loss * samples

    def observe(self, name: str, observed: Array) -> None:
        """What the metric of this name counted in a step."""
        self._seen[name].append(observed)

    def numbers(self) -> dict[str, float]:
        """Losses and metrics by name."""
        losses = {name: total / self._samples[name] for name, total in self._sums.items()}
        metrics = {n: m.value(m.merge(self._seen[n])) for n, m in self._metrics.items() if self._seen[n]}
        return {**losses, **metrics}

    def observed(self) -> dict[str, Array]:
        """What metrics counted, by name."""
        return {name: self._metrics[name].merge(seen) for name, seen in self._seen.items() if seen}

    def taken(self) -> tuple[dict[str, float], dict[str, Array]]:
        """Sums (with the number of samples behind each under `#` and its name), and what metrics counted."""
        return {**self._sums, **{f"#{name}": float(count) for name, count in self._samples.items()}}, self.observed()

    def put(self, sums: Mapping[str, float], observed: Mapping[str, Array]) -> None:
        """The reverse of `taken`."""
        self._sums = {name: total for name, total in sums.items() if name[0] != "#"}
        self._samples = {name[1:]: int(count) for name, count in sums.items() if name[0] == "#"}
        for name, array in observed.items():
            self._seen[name] = [array]


def told(objectives: Iterable[Objective], totals: Mapping[str, float], got: Mapping[str, Array]) -> dict[str, float]:
    """The losses of a step by the name people know: `loss` of all together, `critic.loss` for each of several
    objectives, and `age.loss`, as it is before it is weighed, for each of several heads.

    totals   of the objectives that have a loss, by name
    got      results of the graph, those of all objectives together
    """
    found = {"loss": sum(totals.values())} if totals else {}
    for objective in objectives:
        if objective.name in totals and objective.name:
            found[f"{objective.name}.loss"] = totals[objective.name]
        for term in objective.terms:
            found |= _of_term(objective.key(term), len(objective.terms) > 1, got)
    return found


def _of_term(key: str, several: bool, got: Mapping[str, Array]) -> dict[str, float]:
    """The loss of a head before it is weighed, and its weight where that changes. Nothing of a step not made."""
    plain, weight = got.get(f"tap/{key}/plain", got.get(f"loss/{key}")), got.get(f"tap/{key}/weight")
    loss = {f"{key}.loss": float(plain)} if plain is not None and (several or weight is not None) else {}
    return loss | ({f"{key}.weight": float(weight)} if weight is not None else {})
