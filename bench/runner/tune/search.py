"""The search from the default setting to the confirmed choice."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from bench.errors import UserError
from bench.record.metric import METRICS
from bench.runner.events import Events
from bench.runner.paired import PairEvents
from bench.runner.tune import goals as wanted
from bench.runner.tune.confirm import CASE, Confirmation, confirm
from bench.runner.tune.goals import Constraint, Goals
from bench.runner.tune.prepare import Asked, Prepared
from bench.runner.tune.result import Candidate, StoppedBy, Tuned
from bench.runner.tune.setup import snippet
from bench.runner.tune.study import Proposed, Study, check_optuna, open_study
from bench.runner.tune.trial import Bench, Judge, Outcome
from bench.sensors.sampler import Sampler
from bench.stats.dominance import standings

_FEWEST = 3
"""Processes of the default setting at least: the first spread that anything is judged by."""
_IN_VAIN = 60
"""Proposals in a row of what was measured already, after which nothing new is expected."""
_SHOWN = 5


class TuneEvents(Events, PairEvents, Protocol):
    """Progress of a search."""

    def searching(self, trials: int, done: int) -> None:
        """The search begins: so many trials, of which `done` are in the study already."""

    def trial(self, name: str) -> None:
        """A setting is measured now."""

    def tried(self, name: str, told: str) -> None:
        """That is done; `told` says what came of it."""


def tune(asked: Asked, events: TuneEvents) -> Tuned:
    """Search, and confirm what was found. On Ctrl-C what is finished is kept, and told without a confirmation.

    Raises:
        UserError: the table, the space or the model cannot be used, the study is not to be had, or the default
            setting cannot be measured.
    """
    check_optuna()
    prepared = Prepared(asked)
    with (
        tempfile.TemporaryDirectory(prefix="bench-tune-") as scratch,
        Sampler() as sampler,
        open_study(
            prepared.path,
            prepared.space,
            prepared.goals,
            sampler=prepared.sampler,
            seed=prepared.suite.seed,
            asked=prepared.identity(),
            resume=asked.resume,
        ) as study,
    ):
        bench = Bench(
            prepared.request, prepared.suite, prepared.table.scenario, prepared.fixed, sampler, events, Path(scratch)
        )
        return _Search(prepared, study, bench, sampler, events).carry_out()


class _Search:
    """A search in progress."""

    def __init__(self, prepared: Prepared, study: Study, bench: Bench, sampler: Sampler, events: TuneEvents) -> None:
        self._prepared, self._study, self._bench = prepared, study, bench
        self._sampler, self._events = sampler, events
        self._judge = Judge(profile=prepared.asked.profile)
        self._goals = prepared.goals
        self._notes: list[str] = []

    def carry_out(self) -> Tuned:
        began = time.monotonic()
        default = self._default()
        self._complete_goals(default)
        default = self._held(default)
        self._judge.outcomes = [default, *self._study.outcomes()]
        try:
            stopped_by = self._search(began)
        except KeyboardInterrupt:
            stopped_by = "interrupted"
        return self._result(default, stopped_by, time.monotonic() - began)

    def _default(self) -> Outcome:
        """The default setting as measured when the study began; now, where it begins."""
        kept = self._study.default
        if kept is not None:
            return kept
        setup = self._prepared.space.default()
        self._events.trial(f"default: {setup.name}")
        processes = max(_FEWEST, self._prepared.table.invocations)
        outcome = self._bench.measure(setup, Goals(objectives=()), processes, lambda seen: False)
        if outcome.status == "failed":
            raise UserError(
                f"the default setting cannot be measured: {outcome.reason}", where=setup.name, remedy="mend that first"
            )
        self._study.default = outcome
        return outcome

    def _complete_goals(self, default: Outcome) -> None:
        """Constraints that depend on the default setting, and those of a search that states none."""
        table, known = self._prepared.table, default.known
        place = f"{self._prepared.where}: tune.max_loss"
        added: list[Constraint] = []
        if table.max_loss is not None:
            added.append(wanted.least_after_loss(table.max_loss, known, default.metric, place))
        elif not self._prepared.own_space and not self._goals.on_quality:
            added += wanted.usual(known, default.metric, place)
            self._notes += [f"kept to, as no constraint was given: {constraint}" for constraint in added]
        self._goals = msgspec.structs.replace(self._goals, constraints=(*self._goals.constraints, *added))
        for constraint in self._goals.constraints:
            found = self._judge.figures(default).get(constraint.metric)
            if found is None or found.value is None:
                reason = "it was not measured" if found is None else found.reason
                raise UserError(
                    f"{constraint} cannot be checked: {reason}",
                    where=f"{self._prepared.where}: tune",
                    remedy="give evaluation data with --data, or constrain another figure",
                )
        variants = {variant for variant, _ in self._prepared.space.forms}
        if not self._goals.on_quality and (len(variants) > 1 or self._prepared.space.hyper):
            self._notes.append("no constraint is on quality: what is fastest may answer badly (min_accuracy, max_loss)")
        missing = [o.metric for o in self._goals.objectives if self._goals.values(self._judge.figures(default)) is None]
        if missing:
            raise UserError(
                f"the default setting has no figure for {self._goals.without(self._judge.figures(default))}",
                where=f"{self._prepared.where}: tune.objectives",
                remedy="choose another objective, or a scenario that gives it",
            )

    def _held(self, outcome: Outcome) -> Outcome:
        """The outcome, infeasible where a constraint is not met."""
        figures = self._judge.figures(outcome)
        if outcome.status != "complete" or self._goals.met(figures):
            return outcome
        return msgspec.structs.replace(outcome, status="infeasible", reason=self._goals.broken(figures))

    def _search(self, began: float) -> StoppedBy:
        prepared = self._prepared
        if prepared.sampler == "grid" or (prepared.size is not None and prepared.size <= prepared.trials):
            self._study.lay_out(prepared.suite.seed)
        seen = {outcome.setup.key: outcome for outcome in self._judge.outcomes}
        self._events.searching(prepared.trials, len(seen) - 1)
        in_vain = 0
        while len(self._judge.outcomes) - 1 < prepared.trials:
            if prepared.table.budget_s is not None and time.monotonic() - began >= prepared.table.budget_s:
                return "budget"
            proposed = self._study.ask()
            if proposed is None or in_vain >= _IN_VAIN:
                return "space"
            before = seen.get(proposed.setup.key)
            if before is not None:
                in_vain += 1
                self._limit(proposed, before)
                self._study.repeat(proposed, before, self._goals.values(self._judge.figures(before)))
                continue
            in_vain = 0
            outcome = self._try(proposed)
            seen[proposed.setup.key] = outcome
            self._judge.outcomes.append(outcome)
        return "trials"

    def _try(self, proposed: Proposed) -> Outcome:
        """Measure what is proposed, and tell the study."""
        setup = proposed.setup
        name = setup.name
        self._events.trial(name)

        def watch(seen: Outcome) -> bool:
            values = self._goals.values(self._judge.figures(seen))
            if values is not None:
                self._study.report(proposed, values[0], len(seen.processes) - 1)
            return self._judge.hopeless(seen, self._goals) is not None

        try:
            outcome = self._bench.measure(setup, self._goals, self._prepared.table.invocations, watch)
        except UserError as error:
            outcome = Outcome(setup=setup, status="failed", reason=error.what)
        outcome = msgspec.structs.replace(self._held(outcome), number=proposed.trial.number)
        values = self._goals.values(self._judge.figures(outcome)) if outcome.status != "failed" else None
        if values is None and outcome.status != "failed":
            reason = self._goals.without(self._judge.figures(outcome))
            outcome = msgspec.structs.replace(outcome, status="failed", reason=reason)
        self._limit(proposed, outcome)
        self._study.tell(proposed, outcome, values)
        self._events.tried(name, self._told(outcome, values))
        return outcome

    def _limit(self, proposed: Proposed, outcome: Outcome) -> None:
        if outcome.status != "failed":
            figures = self._judge.figures(outcome)
            self._study.limits(proposed, {str(c): c.excess(figures) for c in self._goals.constraints})

    def _told(self, outcome: Outcome, values: Sequence[float] | None) -> str:
        if outcome.reason is not None:
            return f"{outcome.status}: {outcome.reason}"
        shown = ", ".join(
            f"{o.metric} {value:.4g} {METRICS[o.metric].unit if o.metric in METRICS else ''}".strip()
            for o, value in zip(self._goals.objectives, values or (), strict=True)
        )
        return f"{shown}{', pruned: surely worse than another' if outcome.status == 'pruned' else ''}"

    def _result(self, default: Outcome, stopped_by: StoppedBy, seconds: float) -> Tuned:
        prepared, goals = self._prepared, self._goals
        spreads = self._judge.spreads(default)
        figures = [self._judge.figures(outcome, spreads) for outcome in self._judge.outcomes]
        fits = [at for at, o in enumerate(self._judge.outcomes) if o.status == "complete" and goals.met(figures[at])]
        stands = dict(zip(fits, standings([goals.intervals(figures[at]) for at in fits], goals.ways), strict=True))
        all_of_them = [
            Candidate(
                number=outcome.number,
                setup=outcome.setup,
                status=outcome.status,
                figures=figures[at],
                standing=stands.get(at),
                reason=outcome.reason,
            )
            for at, outcome in enumerate(self._judge.outcomes)
        ]
        ranked = sorted((all_of_them[at] for at in fits), key=self._rank)
        front = [candidate for candidate in ranked if candidate.standing != "off"]
        if len(goals.objectives) == 1:
            front = ranked[: max(len(front), min(_SHOWN, len(ranked)))]
        chosen = self._chosen(front, all_of_them[0])
        found = Tuned(
            model=prepared.source.name,
            goals=goals,
            sampler=prepared.sampler,
            study=str(prepared.path),
            size=prepared.size,
            repeats=self._study.repeats,
            seconds=seconds,
            stopped_by=stopped_by,
            default=all_of_them[0],
            candidates=tuple(all_of_them[1:]),
            frontier=tuple(front),
            chosen=chosen,
            snippet="" if chosen is None else snippet(chosen.setup, prepared.table.scenario, prepared.fixed),
            notes=tuple(self._notes),
        )
        return found if chosen is None or stopped_by == "interrupted" else self._confirmed(found, chosen)

    def _rank(self, candidate: Candidate) -> float:
        first = self._goals.objectives[0]
        value = candidate.figures[first.metric].value
        assert value is not None  # what is complete has its objectives
        return value if first.better == "lower" else -value

    def _chosen(self, front: Sequence[Candidate], default: Candidate) -> Candidate | None:
        """The best of the frontier by the first objective, if there is one that loses nothing in the others."""
        before = self._goals.values(default.figures)

        def loses(candidate: Candidate) -> bool:
            after = self._goals.values(candidate.figures)
            assert before is not None  # or there would be no search
            assert after is not None  # what is complete has its objectives
            pairs = list(zip(before, after, self._goals.ways, strict=True))[1:]
            return any((y > x) if way == "lower" else (y < x) for x, y, way in pairs)

        return min(front, key=lambda candidate: (loses(candidate), self._rank(candidate)), default=None)

    def _confirmed(self, found: Tuned, chosen: Candidate) -> Tuned:
        objective = self._goals.objectives[0]
        if chosen.setup == found.default.setup:
            reason = "nothing that was tried is better than the default setting"
            return msgspec.structs.replace(
                found, confirmation=Confirmation(verdict="no better", metric=objective.metric, reason=reason)
            )
        asked = self._prepared.asked
        self._events.stage(f"confirming {chosen.setup.name} against the default setting ({CASE})")
        confirmation = confirm(
            self._bench,
            (found.default.setup, found.default.figures),
            (chosen.setup, chosen.figures),
            objective,
            sampler=self._sampler,
            rounds=asked.rounds,
            budget_s=asked.confirm_s,
            # Not the seed of the search: nothing of it is to be met again.
            seed=self._prepared.suite.seed + 1,
            events=self._events,
        )
        stopped = confirmation.report is not None and confirmation.report.stopped_by == "interrupted"
        return msgspec.structs.replace(
            found, confirmation=confirmation, stopped_by="interrupted" if stopped else found.stopped_by
        )
