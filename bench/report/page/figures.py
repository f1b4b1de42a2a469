"""Every figure of every case: what the table shows, and what stands behind each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.analyse.kinds import better_by
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction, Metric
from bench.report.changes import SHARES
from bench.report.choices import figure, title
from bench.report.table import ABSENT
from bench.report.units import digits, scale_for, spread
from bench.runner.gather import Gathered

COST = "cost"
_MAIN = (
    "accuracy",
    "robustness",
    "p50_latency",
    "p90_latency",
    "p99_latency",
    "throughput",
    "capacity",
    "cold_start",
    "rss_added",
    "peak_rss",
    "energy",
    COST,
    "size",
)
"""What is shown unless all figures are asked for, in this order; the rest follow in the order of `METRICS`."""
_WITH_SPREAD = frozenset({"p50_latency", "p99_latency"})
_PLACES = 4


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A figure as the table shows it. `raw` is the value as Python writes it, so that nothing of it is lost."""

    metric: str
    raw: str
    shown: str
    beside: str = ""
    estimate: bool = False


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """A column of figures. `main`: it is there from the start."""

    metric: str
    title: str
    unit: str
    about: str
    main: bool


class Figures:
    """The figures of all cases by metric, with those that a cost ledger adds."""

    def __init__(self, gathered: Gathered) -> None:
        self._cases = gathered.cases
        self._judged = [{model.name: model.metric for model in run.manifest.models} for run in gathered.runs]
        self._costs = _costs(gathered)
        # The unit of money is that of the first ledger; a figure in another one keeps its own in its text.
        money = next((found.unit for found, _ in self._costs.values()), "USD")
        cost = Metric(COST, "cost", money, "lower", "cost of a million inferences on machines that are always busy")
        known = {**METRICS, COST: cost} if self._costs else dict(METRICS)
        order = [name for name in _MAIN if name in known] + [name for name in known if name not in _MAIN]
        self.metrics: dict[str, Metric] = {name: known[name] for name in order}
        self._scales = {name: self._scale(name) for name in order}

    def of(self, at: int, metric: str) -> Measurement:
        """The figure of the case at this place; where the row has none, a reason."""
        case = self._cases[at]
        if metric == COST:
            found = self._costs.get(at)
            return Measurement.unavailable("", "no cost is on record for this case") if found is None else found[0]
        absent = Measurement.unavailable(METRICS[metric].unit, "no such figure is on record")
        return case.row.metrics.get(metric, absent)

    def text(self, at: int, metric: str, *, bounds: bool = True) -> str:
        """The figure in its own unit with its interval, marked where it is an estimate or a lower bound."""
        return figure(metric, self.of(at, metric), bounds=bounds, at_least=self._at_least(at, metric), words=True)

    def better(self, metric: str, cases: Sequence[int]) -> Direction:
        """Which way is an improvement for these cases, all of one model: an "accuracy" may be an error."""
        if not cases:
            return self.metrics[metric].better
        case = self._cases[cases[0]]
        return better_by(metric, self._judged[case.run].get(case.row.case.model)) or self.metrics[metric].better

    def headings(self) -> list[Heading]:
        """A column for every metric that some case has a value of."""
        judged = {judged.get(case.row.case.model) for case in self._cases for judged in (self._judged[case.run],)}
        only = judged.pop() if len(judged) == 1 else None
        return [
            Heading(
                metric=name,
                title=title(name, only) if name in METRICS else metric.title,
                unit=self._scales[name][1],
                about=metric.about,
                main=name in _MAIN,
            )
            for name, metric in self.metrics.items()
            if self._known(name)
        ]

    def nowhere(self) -> dict[str, list[str]]:
        """Titles of the metrics that no case has a value of, by the reason that most cases give."""
        found: dict[str, list[str]] = {}
        for name, metric in self.metrics.items():
            if self._cases and not self._known(name):
                # A failed case only says that it failed, which is told elsewhere.
                ran = [at for at, case in enumerate(self._cases) if case.row.measured] or list(range(len(self._cases)))
                reasons = [self.of(at, name).reason or "" for at in ran]
                found.setdefault(max(set(reasons), key=reasons.count), []).append(metric.title)
        return found

    def best(self, metric: str) -> frozenset[int]:
        """The best cases of each group that may be compared: alike in run, model, threads, batch, scenario and options.

        Only cases that are ok are in it, and only where they differ.
        """
        groups: dict[tuple[object, ...], dict[int, float]] = {}
        for at, seen in enumerate(self._cases):
            value, case = self.of(at, metric).value, seen.row.case
            if value is not None and seen.row.status == "ok":
                options = str(sorted(case.options.items()))
                key = (seen.run, case.model, case.threads, case.batch, case.scenario, options)
                groups.setdefault(key, {})[at] = value
        found: set[int] = set()
        for group in groups.values():
            better = self.better(metric, list(group))
            if better != "neither" and len(set(group.values())) > 1:
                top = min(group.values()) if better == "lower" else max(group.values())
                found |= {at for at, value in group.items() if value == top}
        return frozenset(found)

    def cells(self, at: int, headings: Sequence[Heading]) -> list[Cell]:
        """The cells of a case under these headings."""
        return [self._cell(at, heading.metric) for heading in headings]

    def columns(self) -> dict[str, Any]:
        """All that stands behind the numbers, as columns: the figure of case i and metric j stands at i x metrics + j.

        `how` counts into `hows`: there are few ways to get a figure, and many figures.
        """
        found = [self.of(at, name) for at in range(len(self._cases)) for name in self.metrics]
        hows = {how: place for place, how in enumerate(dict.fromkeys(each.how for each in found))}
        return {
            "metrics": [
                {"name": m.name, "title": m.title, "unit": m.unit, "about": m.about, "better": m.better}
                for m in self.metrics.values()
            ],
            "value": [each.value for each in found],
            "unit": _unless_all_alike([each.unit for each in found], [m.unit for m in self.metrics.values()]),
            "low": [each.low for each in found],
            "high": [each.high for each in found],
            "confidence": [each.confidence for each in found],
            "n": [each.n for each in found],
            "how": [hows[each.how] for each in found],
            "hows": list(hows),
            "text": [
                self.text(at, name, bounds=False) if self.of(at, name).value is not None else ""
                for at in range(len(self._cases))
                for name in self.metrics
            ],
            "span": [
                span(self.text(at, name)) if self.of(at, name).value is not None else ""
                for at in range(len(self._cases))
                for name in self.metrics
            ],
        }

    def _cell(self, at: int, metric: str) -> Cell:
        found = self.of(at, metric)
        if found.value is None:
            return Cell(metric=metric, raw="", shown=ABSENT)
        value = found.value / self._scales[metric][0]
        shown = f"{value:.{_PLACES}f}" if metric in SHARES else digits(value)
        guess = not found.how.startswith("measured:")
        beside = ""
        if metric in _WITH_SPREAD and found.low is not None and found.high is not None and found.value:
            beside = spread((found.high - found.low) / 2 / found.value)
        mark = ("≥ " if self._at_least(at, metric) else "") + ("≈" if guess else "")
        return Cell(
            metric=metric, raw=repr(found.value), shown=mark + shown, beside="est." if guess else beside, estimate=guess
        )

    def _scale(self, metric: str) -> tuple[float, str]:
        values = (self.of(at, metric).value for at in range(len(self._cases)))
        return scale_for(self.metrics[metric].unit, [value for value in values if value is not None])

    def _known(self, metric: str) -> bool:
        return any(self.of(at, metric).value is not None for at in range(len(self._cases)))

    def _at_least(self, at: int, metric: str) -> bool:
        return metric == COST and at in self._costs and not self._costs[at][1]


def span(text: str) -> str:
    """The interval in a text of a figure: `76.6 µs [66.5, 84.5]` gives `66.5 to 84.5`."""
    _, opened, rest = text.partition("[")
    return rest.partition("]")[0].replace(", ", " to ") if opened else ""


def _unless_all_alike(units: Sequence[str], expected: Sequence[str]) -> list[str] | None:
    """Units of all figures; None where every figure has that of its metric."""
    usual = all(unit in (expected[place % len(expected)], "") for place, unit in enumerate(units))
    return None if usual else list(units)


def _costs(gathered: Gathered) -> Mapping[int, tuple[Measurement, bool]]:
    """By case: what a million inferences cost of the choice that it belongs to, and whether no part is missing."""
    of_case: dict[tuple[int, str], tuple[Measurement, bool]] = {}
    for run, ledger in enumerate(gathered.ledgers):
        for account in ledger.accounts if ledger is not None else ():
            money = account.million.money
            for name in account.choice.cases:
                of_case[run, name] = money.figure, money.complete
    keys = [(case.run, case.row.case.name) for case in gathered.cases]
    return {at: of_case[key] for at, key in enumerate(keys) if key in of_case}
