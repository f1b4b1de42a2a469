"""One trial: a setting exported, judged and measured, process by process, until it is known or hopeless."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from bench.analyse.kinds import kind
from bench.errors import UserError
from bench.hardware.schema import HardwareProfile
from bench.record.case import Option
from bench.record.choice import Choice
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.record.observation import Failure
from bench.runner.events import Events
from bench.runner.plan import Request, plan_run
from bench.runner.sides import ModelSide, Ready, lay_out
from bench.runner.tune.goals import COST, Goals
from bench.runner.tune.noise import CONFIDENCE, Spread, pooled
from bench.runner.tune.setup import Setup
from bench.sensors.sampler import Sampler
from bench.stats.dominance import dominates
from bench.suite.schema import Measure, Suite

Status = Literal["complete", "pruned", "infeasible", "failed"]
_NUMERIC = ("graph_optimization",)
"""Runtime options that may change outputs; quality is evaluated once for all that differ in nothing else."""
_ONCE = {"warmup_min_s": 0.0, "warmup_max_s": 0.01, "min_s": 0.01, "max_s": 0.02, "min_samples": 1}
"""How little is measured by a process that only evaluates."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a setup.

    `processes` holds the figures of each process by metric, SI units; `known` those without noise between processes
    (quality, size). "pruned": given up as surely worse; "infeasible": a constraint is not met; `reason` says which, or
    why it failed. `model`, `metric` and `generated` are of the bundle: its content, its task metric, and whether its
    data are random.
    """

    setup: Setup
    status: Status
    processes: tuple[dict[str, float], ...] = ()
    known: dict[str, Measurement] = {}
    reason: str | None = None
    model: str = ""
    metric: str | None = None
    generated: bool = False
    number: int | None = None

    def of(self, metric: str) -> list[float]:
        """The figure of each process that gave it."""
        return [figures[metric] for figures in self.processes if metric in figures]


class Judge(msgspec.Struct, kw_only=True):
    """Figures of outcomes, with intervals from the spread between processes of all of them."""

    profile: HardwareProfile | None = None
    outcomes: list[Outcome] = []

    def figures(self, outcome: Outcome, spreads: dict[str, Spread] | None = None) -> dict[str, Measurement]:
        """Every figure of the outcome by metric: the median over its processes."""
        spreads = self.spreads(outcome) if spreads is None else spreads
        felt = dict.fromkeys(name for figures in outcome.processes for name in figures)
        found = {name: _felt(outcome.of(name), name, spreads[name]) for name in felt} | outcome.known
        if self.profile is not None:
            found[COST] = cost(outcome.setup, found, self.profile)
        return found

    def hopeless(self, outcome: Outcome, goals: Goals) -> Outcome | None:
        """The complete outcome that is surely better in every objective, as far as the intervals tell."""
        spreads = self.spreads(outcome)
        mine = goals.intervals(self.figures(outcome, spreads))
        for other in self.outcomes:
            if other.status == "complete" and other.setup != outcome.setup:
                theirs = goals.intervals(self.figures(other, spreads))
                if dominates(theirs, mine, goals.ways) == "surely":
                    return other
        return None

    def spreads(self, last: Outcome) -> dict[str, Spread]:
        """The spread of each figure over all outcomes, `last` among them."""
        every = [*(outcome for outcome in self.outcomes if outcome.setup != last.setup), last]
        names = dict.fromkeys(name for outcome in every for figures in outcome.processes for name in figures)
        return {name: pooled([outcome.of(name) for outcome in every]) for name in names}


def _felt(values: list[float], metric: str, spread: Spread) -> Measurement:
    low, high = spread.interval(values)
    bounded = math.isfinite(high)
    return Measurement(
        value=statistics.median(values),
        unit=METRICS[metric].unit,
        n=len(values),
        how=f"measured:median of {len(values)} processes",
        low=low if bounded else None,
        high=high if bounded else None,
        confidence=CONFIDENCE if bounded else None,
    )


Watch = Callable[[Outcome], bool]
"""Looks at a trial after each process. True ends it there."""


class Bench:
    """Measures setups. `like` is the suite whose seed, measuring and inputs they share.

    The same file is opened, and its quality evaluated, once.
    """

    def __init__(
        self,
        request: Request,
        like: Suite,
        scenario: str,
        fixed: Mapping[str, Option],
        sampler: Sampler,
        events: Events,
        scratch: Path,
    ) -> None:
        self._request, self._like, self._scenario, self._fixed = request, like, scenario, fixed
        self._sampler, self._events, self._scratch = sampler, events, scratch
        self._judged: dict[tuple[object, ...], dict[str, Measurement]] = {}

    def ready(self, setup: Setup) -> Ready:
        """The one job of the setup, exported. Raises `UserError` where it cannot be made."""
        suite = setup.suite(self._like, self._scenario, self._fixed)
        request = msgspec.structs.replace(self._request, models=(setup.model,))
        folder = Path(tempfile.mkdtemp(dir=self._scratch)) / "jobs"
        laid = lay_out(plan_run(request, suite), setup.name, folder, self._events)
        if not laid.jobs:
            raise UserError("; ".join(laid.notes), where=setup.name)
        return laid.jobs[0]

    def measure(self, setup: Setup, goals: Goals, processes: int, watch: Watch) -> Outcome:
        """Export, evaluate, and measure in so many processes, fewer where a constraint fails or `watch` ends it.

        Raises:
            UserError: the setup cannot be made.
        """
        ready = self.ready(setup)
        side = ModelSide(setup.name, {setup.name: ready}, self._sampler)
        known = self._known(ready, setup, side)
        bundle = ready.bundle
        made = Outcome(
            setup=setup,
            status="complete",
            known=known,
            model="" if bundle is None else bundle.model.source_sha256 + bundle.data_sha256,
            metric=None if bundle is None else bundle.model.metric,
            generated=bundle is not None and bundle.data.generated,
        )
        beforehand = Goals(
            objectives=(), constraints=tuple(c for c in goals.constraints if kind(c.metric) != "felt")
        ).broken(known)
        for at in range(processes):
            seen = side.measure(setup.name, at, self._events.progress)
            if isinstance(seen, Failure):
                return msgspec.structs.replace(made, status="failed", reason=seen.reason)
            made = msgspec.structs.replace(made, processes=(*made.processes, seen))
            if beforehand:
                return msgspec.structs.replace(made, status="infeasible", reason=beforehand)
            if watch(made) and at + 1 < processes:
                return msgspec.structs.replace(made, status="pruned")
        return made

    def _known(self, ready: Ready, setup: Setup, side: ModelSide) -> dict[str, Measurement]:
        artifact = ready.job.artifact
        found = {"size": Measurement(value=float(artifact.bytes), unit="B", n=1, how="measured:file-size")}
        if artifact.macs is not None:
            found["macs"] = Measurement(value=float(artifact.macs), unit="1", n=1, how="measured:graph")
        options = {**self._fixed, **setup.options}
        key = (artifact.sha256, setup.target, *(options.get(name) for name in _NUMERIC))
        if key not in self._judged:
            plan = msgspec.structs.replace(ready.job.plan, **_ONCE)
            case = msgspec.structs.replace(ready.job.case, scenario="single-stream", batch=1, options=setup.options)
            brief = msgspec.structs.replace(ready, job=msgspec.structs.replace(ready.job, plan=plan, case=case))
            judging = ModelSide(setup.name, {setup.name: brief}, self._sampler)
            self._judged[key] = judging.quality(setup.name, self._scratch, self._events.progress)
        return found | self._judged[key]


def cost(setup: Setup, figures: Mapping[str, Measurement], profile: HardwareProfile) -> Measurement:
    """Money for a million inferences on the profile's machine, see `bench.analyse.cost`."""
    from bench.analyse.cost import Terms, per_million

    choice = Choice(
        name=setup.name,
        model=setup.model,
        variant=setup.variant,
        base=setup.base,
        target=setup.target,
        threads=setup.threads,
        batch=setup.batch,
        options=setup.options,
        figures=dict(figures),
    )
    return per_million(choice, Terms(profile=profile)).money.figure


def measuring(suite: Suite, usual: Measure) -> Suite:
    """The suite with its own measuring, or `usual` where it states none: many processes can each be short."""
    return suite if "measure" in suite.model_fields_set else suite.model_copy(update={"measure": usual})
