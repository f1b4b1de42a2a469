"""The best of each model by accuracy, latency, energy and cost, as far as the figures can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from bench.record.measurement import Measurement
from bench.report.charts.told import percent
from bench.report.page.figures import COST, Figures, span
from bench.runner.gather import Gathered

SINGLE = "single-stream"


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best of one model by one metric; cases by their place.

    `equal` have the same value as `at`. `near` are those whose interval overlaps its interval: the figures
    do not tell them apart. `open` counts the others without an interval, which may be as good, and `bounds` those
    of which only a lower bound is known, which are not ranked. `guess` says what a figure is that was not measured.
    Where nothing is known, `at` is None and `reason` says why.
    """

    title: str
    metric: str
    about: str
    at: int | None = None
    text: str = ""
    span: str = ""
    guess: str = ""
    equal: tuple[int, ...] = ()
    near: tuple[int, ...] = ()
    open: int = 0
    bounds: int = 0
    reason: str = ""


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """The headline of one model of one run. `failed` counts the cases that are not in it, as they are not ok."""

    model: str
    dataset: str
    run: str
    best: tuple[Best, ...]
    cases: int
    failed: int


def headline(gathered: Gathered, figures: Figures) -> list[Heads]:
    """One for each model of each run, in their order."""
    made = []
    for run, result in enumerate(gathered.runs):
        for model in result.manifest.models:
            mine = [
                at for at, case in enumerate(gathered.cases) if case.run == run and case.row.case.model == model.name
            ]
            if mine:
                ok = [at for at in mine if gathered.cases[at].row.status == "ok"]
                made.append(
                    Heads(
                        model=model.name,
                        dataset=model.dataset,
                        run=result.manifest.run_id,
                        best=tuple(_all(gathered, figures, ok, mine)),
                        cases=len(mine),
                        failed=len(mine) - len(ok),
                    )
                )
    return made


def _all(gathered: Gathered, figures: Figures, ok: Sequence[int], mine: Sequence[int]) -> list[Best]:
    single = [at for at in ok if gathered.cases[at].row.case.scenario == SINGLE]
    smallest = min((gathered.cases[at].row.case.batch for at in single), default=1)
    # Calls that hold more examples take longer: only calls of one size are ranked.
    alike = [at for at in single if gathered.cases[at].row.case.batch == smallest]
    of_call = f"one request at a time, batch {smallest}"
    if len({gathered.cases[at].row.case.threads for at in alike}) > 1:
        of_call += ", any number of threads"
    told = [
        _best(figures, "Most accurate", "accuracy", "on held-out data", ok, mine),
        _best(figures, "Fastest", "p50_latency", f"median latency, {of_call}", alike, mine),
        _best(figures, "Least energy", "energy", f"an inference, {of_call}", alike, mine),
    ]
    if COST in figures.metrics:
        told.append(_best(figures, "Cheapest", COST, "a million inferences, always busy", figures.of_choices(ok), mine))
    else:
        reason = gathered.missing.get("cost", "no hardware profile states a price for this machine")
        told.append(Best(title="Cheapest", metric=COST, about="a million inferences", reason=reason))
    return told


def _best(figures: Figures, title: str, metric: str, about: str, among: Sequence[int], mine: Sequence[int]) -> Best:
    known = [at for at in among if figures.ranked(at, metric).value is not None]
    if not known:
        return Best(title=title, metric=metric, about=about, reason=_why(figures, metric, among, mine))
    values = {at: figures.ranked(at, metric).value or 0.0 for at in known}
    lower = figures.better(metric, known) == "lower"
    top = min(values.values()) if lower else max(values.values())
    equal = [at for at in known if values[at] == top]
    at = equal[0]
    found = figures.of(at, metric)
    near = [other for other in known if other not in equal and _overlap(figures, metric, at, other)]
    whole, short = figures.text(at, metric), figures.text(at, metric, bounds=False)
    # Such a figure is marked beside the number, where its text has a word for it.
    guess = next((word for word in ("estimated", "projected") if short.endswith(f" {word}")), "")
    return Best(
        title=title,
        metric=metric,
        about=about,
        at=at,
        text=short.removesuffix(f" {guess}"),
        span=_sure(span(whole), found),
        guess=guess,
        equal=tuple(equal[1:]),
        near=tuple(near),
        open=sum(_unbounded(figures.of(other, metric)) for other in known if other not in equal),
        bounds=sum(figures.of(other, metric).value is not None for other in among) - len(known),
    )


def _sure(bounds: str, found: Measurement) -> str:
    if not bounds:
        return "no interval is known"
    return bounds if found.confidence is None else f"{bounds} at {percent(found.confidence)}"


def _unbounded(found: Measurement) -> bool:
    return found.low is None or found.high is None


def _overlap(figures: Figures, metric: str, one: int, other: int) -> bool:
    a, b = figures.of(one, metric), figures.of(other, metric)
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def _why(figures: Figures, metric: str, among: Sequence[int], mine: Sequence[int]) -> str:
    """The reason that most give: of those that could be best, else of all."""
    reasons = Counter(figures.ranked(at, metric).reason or "" for at in among or mine)
    reasons.pop("", None)
    if reasons:
        return reasons.most_common(1)[0][0]
    return "no case is ok and was measured one request at a time"
