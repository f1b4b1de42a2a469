"""Two sides measured in turns: rounds in which each case of both sides runs in a fresh process, one after the other.

What is decided from the rounds, and when that is enough, is the caller's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from bench.record.comparison import Series
from bench.record.metric import METRICS
from bench.record.observation import Failure
from bench.runner.interrupt import Interrupts
from bench.stats.sequential import Schedule
from bench.worker.measure import OnProgress

StoppedBy = Literal["decision", "budget", "rounds", "failures", "interrupted"]
Settled = Callable[[str, int, Mapping[str, Series]], bool]
"""Whether a case needs no further round, from its finished rounds and its series by metric; asked at each look."""

_UNITS = {"wall_time": "s", "cpu_time": "s"}
"""Of figures that are no metric of a run."""


class Side(Protocol):
    """One of the two things that are compared."""

    @property
    def name(self) -> str:
        """What people call it."""

    def measure(self, case: str, at: int, on_progress: OnProgress) -> dict[str, float] | Failure:
        """The figures of one fresh process by metric, in SI units, or why there are none.

        `at` counts the rounds from 0. A figure that could not be had is left out.
        """


class PairEvents(Protocol):
    """Progress. Every method returns at once; none may raise."""

    def pairs(self, cases: int, rounds: int) -> None:
        """Measuring starts: so many cases, so many rounds at most."""

    def pair(self, case: str, at: int) -> None:
        """Both sides of a case are measured now, in the round `at` (from 0)."""

    def progress(self, phase: str, samples: int, median_s: float | None) -> None:
        """Within an invocation; see `bench.runner.events.Events`."""

    def paired(self, case: str, at: int, told: str) -> None:
        """That is done; `told` says what came of it."""

    def settled(self, case: str, rounds: int) -> None:
        """The case needs no further round."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """Why a case was given up: which side failed, in which round (from 0)."""

    side: str
    at: int
    failure: Failure

    def __str__(self) -> str:
        tail = self.failure.tail.strip()
        return f"{self.side} failed in round {self.at + 1}: {self.failure.reason}" + (f"\n{tail}" if tail else "")


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """What the rounds gave.

    `series` hold, for each case and metric, the rounds in which both sides gave a positive value. `rounds` counts
    the finished rounds of each case; `settled` are the cases that the caller called settled. Figures of rounds before
    a failure stay.
    """

    series: tuple[Series, ...]
    seconds: float
    stopped_by: StoppedBy
    rounds: dict[str, int]
    settled: frozenset[str] = frozenset()
    failures: dict[str, Broken] = {}

    def of(self, case: str) -> dict[str, Series]:
        """The series of one case by metric."""
        return {series.metric: series for series in self.series if series.case == case}


def run_pairs(
    a: Side,
    b: Side,
    cases: Sequence[str],
    *,
    schedule: Schedule,
    budget_s: float,
    settled: Settled,
    events: PairEvents,
    seed: int = 0,
) -> Paired:
    """Measure until every case is settled or has failed, the time is over, or the schedule's last look is made.

    Even rounds (from 0) begin with `a`, odd ones with `b`; the cases of a round come in an order drawn with `seed`.
    No pair is begun that would end after `budget_s` seconds if it took as long as the case's longest so far.
    Ctrl-C keeps the finished pairs.
    """
    return _Rounds(a, b, cases, schedule, budget_s, settled, events, seed).carry_out()


class _Rounds:
    """Rounds in progress."""

    def __init__(
        self,
        a: Side,
        b: Side,
        cases: Sequence[str],
        schedule: Schedule,
        budget_s: float,
        settled: Settled,
        events: PairEvents,
        seed: int,
    ) -> None:
        self._sides, self._schedule, self._budget_s = (a, b), schedule, budget_s
        self._is_settled, self._events = settled, events
        self._order = random.Random(seed)
        self._cases = list(cases)
        self._open = list(cases)
        self._pairs: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {case: [] for case in cases}
        self._longest_s = dict.fromkeys(cases, 0.0)
        self._settled: set[str] = set()
        self._failures: dict[str, Broken] = {}
        self._began = time.monotonic()

    def carry_out(self) -> Paired:
        self._began = time.monotonic()
        self._events.pairs(len(self._cases), self._schedule.looks[-1])
        try:
            with Interrupts() as interrupts:
                stopped_by = self._rounds(interrupts)
        except KeyboardInterrupt:
            stopped_by = "interrupted"
        return Paired(
            series=tuple(series for case in self._cases for series in self._series(case).values()),
            seconds=time.monotonic() - self._began,
            stopped_by=stopped_by,
            rounds={case: len(pairs) for case, pairs in self._pairs.items()},
            settled=frozenset(self._settled),
            failures=self._failures,
        )

    def _rounds(self, interrupts: Interrupts) -> StoppedBy:
        for at in range(self._schedule.looks[-1]):
            for case in self._order.sample(self._open, len(self._open)):
                began = time.monotonic()
                if began - self._began + self._longest_s[case] > self._budget_s:
                    return "budget"
                self._events.pair(case, at)
                with interrupts.allowed():
                    self._pair(case, at)
                self._longest_s[case] = max(self._longest_s[case], time.monotonic() - began)
                self._look(case, at + 1)
            if not self._open:
                return "decision" if self._settled else "failures"
        return "rounds"

    def _look(self, case: str, rounds: int) -> None:
        if case not in self._open or rounds not in self._schedule.looks:
            return
        if self._is_settled(case, rounds, self._series(case)):
            self._settled.add(case)
            self._open.remove(case)
            self._events.settled(case, rounds)

    def _pair(self, case: str, at: int) -> None:
        order = (0, 1) if at % 2 == 0 else (1, 0)
        figures: dict[int, dict[str, float]] = {}
        for which in order:
            side = self._sides[which]
            found = side.measure(case, at, self._events.progress)
            if isinstance(found, Failure):
                self._failures[case] = Broken(side=side.name, at=at, failure=found)
                self._open.remove(case)
                self._events.paired(case, at, f"{side.name} failed: {found.reason}")
                return
            figures[which] = found
        self._pairs[case].append((figures[0], figures[1]))
        self._events.paired(case, at, _told(figures[0], figures[1]))

    def _series(self, case: str) -> dict[str, Series]:
        pairs = self._pairs[case]
        metrics = dict.fromkeys(metric for a, _ in pairs for metric in a)
        found = {}
        for metric in metrics:
            # A figure that is zero or less has no ratio.
            kept = [(a[metric], b[metric]) for a, b in pairs if a.get(metric, 0) > 0 and b.get(metric, 0) > 0]
            if kept:
                found[metric] = Series(
                    case=case,
                    metric=metric,
                    unit=METRICS[metric].unit if metric in METRICS else _UNITS[metric],
                    a=tuple(a for a, _ in kept),
                    b=tuple(b for _, b in kept),
                )
        return found


def _told(a: dict[str, float], b: dict[str, float]) -> str:
    """The ratio of the round, by the first figure that both have."""
    metric = next((name for name in a if a[name] > 0 and name in b), None)
    return "no figure on both sides" if metric is None else f"{metric} {b[metric] / a[metric] - 1:+.1%}"
