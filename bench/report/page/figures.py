"""Every figure of every case: what the table shows, and what stands behind each number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bench.analyse.kinds import better_by
from bench.record.cost import Part
from bench.record.measurement import Measurement
from bench.record.metric import METRICS, Direction, Metric
from bench.report.changes import SHARES
from bench.report.choices import figure, number, title
from bench.report.table import ABSENT, best_rows
from bench.report.units import scale_for, spread
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
_PLACES, _LEAST = 4, 0.0001


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A figure as the table shows it. `raw` is the value as Python writes it, so that nothing of it is lost."""

    metric: str
    raw: str
    shown: str
    beside: str = ""
    estimate: bool = False


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """A column of figures. `main`: it is there from the start. `sorted`: its figures can be put in an order."""

    metric: str
    title: str
    unit: str
    about: str
    main: bool
    sorted: bool = True


class Figures:
    """The figures of all cases by metric, with those that a cost ledger adds."""

    def __init__(self, gathered: Gathered) -> None:
        self._cases = gathered.cases
        self._judged = [{model.name: model.metric for model in run.manifest.models} for run in gathered.runs]
        self._costs = _costs(gathered)
        # The unit of money is that of the first ledger; where there are several, each cell has its own.
        money = next((found.figure.unit for found in self._costs.values()), "USD")
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
            return Measurement.unavailable("", "no cost is on record for this case") if found is None else found.figure
        absent = Measurement.unavailable(METRICS[metric].unit, "no such figure is on record")
        known = case.row.metrics.get(metric, absent)
        if known.value is not None and math.isnan(known.value):
            return Measurement.unavailable(known.unit, "what is on record is not a number")
        return known

    def ranked(self, at: int, metric: str) -> Measurement:
        """The figure as far as it may be held against others: a sum that lacks a part, or infinity, may not."""
        found = self.of(at, metric)
        if found.value is None:
            return found
        if self._at_least(at, metric):
            absent = ", ".join(part.name for part in self._costs[at].unknown)
            return Measurement.unavailable(found.unit, f"only a lower bound is known, which is not ranked: no {absent}")
        if not math.isfinite(found.value):
            return Measurement.unavailable(found.unit, "the value is not finite")
        return found

    def of_choices(self, cases: Sequence[int]) -> list[int]:
        """The first of these cases of each choice: what a choice costs is on record with every case of it."""
        first: dict[int, int] = {}
        for at in cases:
            # Cases of a choice share one bill.
            first.setdefault(id(self._costs[at]) if at in self._costs else -at, at)
        return list(first.values())

    def text(self, at: int, metric: str, *, bounds: bool = True) -> str:
        """The figure in its own unit with its interval, marked where it is an estimate or a lower bound."""
        return figure(metric, self.of(at, metric), bounds=bounds, at_least=self._at_least(at, metric), words=True)

    def better(self, metric: str, cases: Sequence[int]) -> Direction:
        """Which way is an improvement for these cases, all of one model: an "accuracy" may be an error."""
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
                unit="" if self._mixed(name) else self._scales[name][1],
                sorted=not self._mixed(name),
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
        """The best cases of each group that may be compared: see `best_rows`."""
        rows, runs = [seen.row for seen in self._cases], [seen.run for seen in self._cases]
        values = [self.ranked(at, metric).value for at in range(len(rows))]
        return best_rows(rows, values, lambda group: self.better(metric, group), runs)

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
            "value": [
                each.value if each.value is None or math.isfinite(each.value) else str(each.value) for each in found
            ],
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
        shown = f"{value:.{_PLACES}f}" if metric in SHARES and math.isfinite(value) else number(value)
        if metric in SHARES and 0 < abs(value) < _LEAST:
            shown = f"{'<' if value > 0 else '>-'}{_LEAST}"
        if self._mixed(metric):
            shown += f" {found.unit}"
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
        return scale_for(self.metrics[metric].unit, [v for v in values if v is not None and math.isfinite(v)])

    def _known(self, metric: str) -> bool:
        return any(self.of(at, metric).value is not None for at in range(len(self._cases)))

    def _at_least(self, at: int, metric: str) -> bool:
        return metric == COST and at in self._costs and not self._costs[at].complete

    def _mixed(self, metric: str) -> bool:
        """Whether figures are in units that cannot be held against each other: ledgers in several currencies."""
        return metric == COST and len({found.figure.unit for found in self._costs.values()}) > 1


def span(text: str) -> str:
    """The interval in a text of a figure: `76.6 µs [66.5, 84.5]` gives `66.5 to 84.5`."""
    _, opened, rest = text.partition("[")
    return rest.partition("]")[0].replace(", ", " to ") if opened else ""


def _unless_all_alike(units: Sequence[str], expected: Sequence[str]) -> list[str] | None:
    """Units of all figures; None where every figure has that of its metric."""
    usual = all(unit in (expected[place % len(expected)], "") for place, unit in enumerate(units))
    return None if usual else list(units)


def _costs(gathered: Gathered) -> Mapping[int, Part]:
    """By case: what a million inferences cost of the choice that it belongs to."""
    of_case: dict[tuple[int, str], Part] = {}
    for run, ledger in enumerate(gathered.ledgers):
        for account in ledger.accounts if ledger is not None else ():
            for name in account.choice.cases:
                of_case[run, name] = account.million.money
    keys = [(case.run, case.row.case.name) for case in gathered.cases]
    return {at: of_case[key] for at, key in enumerate(keys) if key in of_case}
