"""One train section, from where it stands to its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from graphdsl.ir import BATCH, Value
from graphdsl.lang import Spec
from graphdsl.learn.boxes import OfBoxes
from graphdsl.learn.checkpoint import State
from graphdsl.learn.events import (
    Action,
    Begun,
    Ended,
    EpochDone,
    Event,
    Keep,
    Restore,
    Save,
    ScaleRate,
    Show,
    StepDone,
    Stop,
)
from graphdsl.learn.feed import Batch, Feeder, Feeds
from graphdsl.learn.gallery import Gallery
from graphdsl.learn.interrupt import Interrupt
from graphdsl.learn.keeper import Keeper
from graphdsl.learn.machine import Judge, Machine, Step
from graphdsl.learn.own import ask
from graphdsl.learn.plan import Plan
from graphdsl.learn.precision_recall import quality_files, quality_of
from graphdsl.learn.progress import Progress
from graphdsl.learn.roc import rates_found, roc_files
from graphdsl.learn.schedules import Moment
from graphdsl.learn.tally import Tally
from graphdsl.learn.verification import Verification
from graphdsl.report import dataclass, fail
from graphdsl.runtime import STATES, Executor, WeightStore, amount


@dataclass(frozen=True)
class Surroundings:
    """What all sections of a run share. names: of classes, by target."""

    spec: Spec
    executor: Executor
    feeder: Feeder
    keeper: Keeper
    progress: Progress
    interrupt: Interrupt
    names: Mapping[str, Sequence[str]]

    @property
    def weights(self) -> WeightStore:
        return self.executor.weights


class Loop:
    """Trains a section. state is where it stands, and moves on with every step."""

    def __init__(self, plan: Plan, feeds: Feeds, around: Surroundings, state: State) -> None:
        self._plan = plan
        self._machine = Machine(around.spec.graph, plan, around.executor)
        self._judge = Judge(around.spec.graph, plan, around.executor, around.feeder)
        self._gallery = Gallery(around.spec.graph, around.executor, around.feeder, feeds, plan.seed)
        self._feeds = feeds
        self._around = around
        self.state = state
        self._per_epoch = len(feeds.train)
        self._total = plan.steps or (plan.epochs or 0) * self._per_epoch
        self._epochs = -(-self._total // self._per_epoch)

    def run(self) -> bool:
        """Trains until the section is over, or somebody pressed Ctrl+C. Gives whether it is over."""
        state = self.state
        state.memories = state.memories or [{} for _ in self._plan.callbacks]
        if len(state.memories) != len(self._plan.callbacks):
            raise fail(
                "E0614", "the run began with other callbacks", help="go on with the callbacks that it began with"
            )
        reason = self._tell(Begun(self._plan.name, self._epochs, self._around.keeper.folder))
        while state.step < self._total and not reason and not self._around.interrupt.asked:
            reason = self._epoch()
        if state.step < self._total and not reason:
            return False
        if reason:
            self._around.progress.say(f"stopped after epoch {state.epoch}: {reason}")
        state.metrics.update(self._result(state.epoch))
        self._tell(Ended(self._plan.name, state.epoch, reason))
        self._judge_at_the_end()
        return True

    def _judge_at_the_end(self) -> None:
        """The numbers on test data. The curves of boxes and of pairs are of these, or else of validation data."""
        feeds, watches = self._feeds, self._plan.watches
        curved = any(isinstance(watch.metric, OfBoxes | Verification) for watch in watches)
        last = feeds.valid if feeds.test is None and curved else feeds.test
        if last is None:
            return
        tally = self._judge.tally(last, self._moment(self.state.step))
        if feeds.test is not None:
            self.state.metrics["test"] = tally.numbers()
        observed = tally.observed()
        boxes = quality_of(watches, observed, self._around.names)
        for name, content in (quality_files(boxes) | roc_files(rates_found(watches, observed))).items():
            self._around.keeper.file(name, content)

    def _epoch(self) -> str:
        """Goes on with the running epoch. Gives the reason to stop, if a callback has one."""
        state = self.state
        begun = time.perf_counter()
        tally = Tally(self._plan.watches)
        if state.batch:
            tally.put(state.sums, state.observed)
        reason = ""
        for batch in self._feeds.train.epoch(state.epoch, start=state.batch):
            reason = self._step(batch, tally)
            if reason or self._around.interrupt.asked or state.step == self._total:
                break
        if state.batch < self._per_epoch and state.step < self._total and not reason:
            state.sums, state.observed = tally.taken()
            state.seconds += time.perf_counter() - begun
            return ""
        return self._finish(tally, begun) or reason

    def _step(self, batch: Batch, tally: Tally) -> str:
        state = self.state
        moment = self._moment(state.step)
        rates = {o.name: o.optimizer.rate(moment) * state.factor for o in self._plan.objectives}
        fed = self._around.feeder.feed(batch)
        step = Step(fed, batch.sizes[str(BATCH)], state.step, rates, self._plan.shares(moment))
        if state.step == 0:
            self._say_memory(step)
        loss = self._machine.train(step, tally)
        state.step += 1
        state.batch += 1
        done = StepDone(state.step, state.epoch + 1, loss, next(iter(rates.values())))
        self._around.progress.step(done, self._per_epoch)
        return self._tell(done)

    def _moment(self, step: int) -> Moment:
        return Moment(step, self._per_epoch, self._total)

    def _say_memory(self, step: Step) -> None:
        """Before the first step: what it will take."""
        weights, activations = amount(self._around.weights.bytes), amount(self._machine.memory(step))
        parts = f"{weights} for weights and optimizer, {activations} for activations and gradients"
        self._around.progress.say(f"memory: {parts} (a batch of {step.samples})")

    def _finish(self, tally: Tally, begun: float) -> str:
        """The end of an epoch: validation, callbacks, files."""
        state = self.state
        moment = self._moment(state.step - 1)
        numbers = tally.numbers()
        if self._feeds.valid is not None:
            numbers |= {
                f"valid.{name}": value for name, value in self._judge.numbers(self._feeds.valid, moment).items()
            }
        seconds = time.perf_counter() - begun
        numbers |= {"rate": self._plan.objectives[0].optimizer.rate(moment) * state.factor, "seconds": seconds}
        state.epoch, state.batch, state.sums, state.observed = state.epoch + 1, 0, {}, {}
        state.seconds += seconds
        state.history.append(numbers)
        state.rows.append({"section": self._plan.name, "epoch": state.epoch, "step": state.step, **numbers})
        self._around.progress.epoch(state.rows[-1], self._epochs)
        reason = self._tell(self._event(numbers))
        self._around.keeper.rows(state.rows)
        if not reason:
            self._around.keeper.checkpoint(state, self._around.weights)
        return reason

    def _event(self, numbers: dict[str, float]) -> EpochDone:
        state = self.state
        history, folder = tuple(state.history), self._around.keeper.folder
        place = (self._plan.name, state.epoch, self._epochs, state.step)
        return EpochDone(*place, numbers, self._plan.higher, history, folder)

    def _tell(self, event: Event) -> str:
        """Tells every callback and does what they ask for. Gives the reason to stop, if there is one."""
        reason = ""
        for callback, memory in zip(self._plan.callbacks, self.state.memories, strict=True):
            for action in ask(callback, event, memory):
                reason = self._act(action) or reason
        return reason

    def _act(self, action: Action) -> str:
        state, weights = self.state, self._around.weights
        match action:
            case Stop(reason):
                return reason
            case Save(name):
                self._around.keeper.weights(name, weights)
            case Keep(name):
                own = [w for w in weights if not w.startswith(STATES)]
                state.kept |= {f"{name}:{w}": array for w, array in weights.snapshot(own).items()}
                state.epochs[name] = state.epoch
            case Restore(name):
                start = f"{name}:"
                weights.restore({w.removeprefix(start): a for w, a in state.kept.items() if w.startswith(start)})
                state.metrics.update(self._result(state.epochs[name]))
                self._around.progress.say(f"the weights are those of epoch {state.epochs[name]}")
            case ScaleRate(factor):
                state.factor *= factor
            case Show(tensor, rows, columns):
                self._show(tensor, rows, columns)
        return ""

    def _show(self, tensor: Value, rows: int, columns: int) -> None:
        keeper = self._around.keeper
        if keeper.folder is not None:
            name = next((n for n, value in self._around.spec.names.items() if value == tensor), "pictures")
            keeper.file(f"{name}_{self.state.epoch:03d}.png", self._gallery.png(tensor, rows, columns))

    def _result(self, epoch: int) -> dict[str, dict[str, float]]:
        """The numbers of an epoch, those of training and of validation apart; nothing before the first."""
        if not epoch:
            return {}
        numbers = {n: v for n, v in self.state.history[epoch - 1].items() if n not in ("rate", "seconds")}
        valid = {n.removeprefix("valid."): v for n, v in numbers.items() if n.startswith("valid.")}
        train = {n: v for n, v in numbers.items() if not n.startswith("valid.")}
        return {"train": train, "valid": valid}
