"""The texts of changes and verdicts, the same wherever they are shown: terminal, comment, annotation, JUnit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Literal, TypeVar

from bench.analyse.judge import FEWEST_PROCESSES
from bench.analyse.kinds import better_of
from bench.record.comparison import Change, GateReport, Outcome, Verdict
from bench.record.metric import METRICS
from bench.report.table import ABSENT
from bench.report.units import digits, scale_for
from bench.shown import shown

Standing = Literal["worse", "better", "unclear", "same", "absent"]

WORDS: dict[Outcome, str] = {
    "regressed": "regressed",
    "missing": "missing",
    "inconclusive": "inconclusive",
    "improved": "improved",
    "pass": "passed",
}
"""Outcomes in the order of what matters, with the word that a count of them takes."""

STANDINGS: tuple[Standing, ...] = ("worse", "better", "unclear", "absent", "same")
"""Where a change stands, in the order of what matters."""

SHARES = frozenset(
    {
        "accuracy",
        "robustness",
        "robustness_worst",
        "calibration_error",
        "parity_agreement",
        "clear_agreement",
        "outlier_share",
    }
)
"""Figures between 0 and 1 whose change is told in percentage points."""

_SHARE_PLACES = 4
_NAMED = 3
T = TypeVar("T", bound=Hashable)


def plain(value: str) -> str:
    """Text on one line; characters that cannot be shown are replaced by U+FFFD."""
    return shown(" ".join(value.split()))


def counted(outcomes: Iterable[Outcome]) -> str:
    """`3 regressed, 1 inconclusive, 40 passed`."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]:,} {word}" for outcome, word in WORDS.items() if counts[outcome])


def verdict_line(report: GateReport) -> str:
    """The whole gate in one line."""
    return counted(verdict.outcome for verdict in report.verdicts) or "nothing was judged"


def ranked(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """What matters first: by outcome, then the largest change, then by name."""
    order = {outcome: place for place, outcome in enumerate(WORDS)}
    return sorted(verdicts, key=lambda v: (order[v.outcome], -size(v.change), v.case, v.metric, v.rule))


def ranked_changes(changes: Iterable[Change]) -> list[Change]:
    """What matters first: worse, better, unclear, absent, unchanged; in each the largest change, then by name."""
    return sorted(changes, key=lambda c: (STANDINGS.index(standing(c)), -size(c), c.case, c.metric))


def size(change: Change | None) -> float:
    """How large a change is, whichever way: |log ratio|; 0 where there is none."""
    if change is None or change.ratio is None or math.isnan(change.ratio):
        return 0.0
    return abs(math.log(change.ratio)) if change.ratio > 0 else math.inf


def standing(change: Change) -> Standing:
    """Whether the figure became better or worse beyond its noise. Where no way is better, a change is unclear."""
    if change.ratio is None:
        return "absent"
    if change.basis == "exact" and change.before == change.after:
        return "same"
    low = change.ratio if change.low is None else change.low
    high = change.ratio if change.high is None else change.high
    # As for the gate: one process a side cannot tell how much one differs from the next.
    noisy = change.basis != "exact" and (change.low is None or _too_few(change))
    way = better_of(change)
    if noisy or way == "neither" or low <= 1 <= high:
        return "unclear"
    return "better" if (low > 1) == (way == "higher") else "worse"


def title(metric: str) -> str:
    """The short name of a metric; one that is not in the table keeps its own."""
    return METRICS[metric].title if metric in METRICS else plain(metric)


def sides(change: Change | None) -> tuple[str, str]:
    """Before and after in one unit, each a dash where it is absent."""
    if change is None:
        return ABSENT, ABSENT
    known = [value for value in (change.before, change.after) if value is not None]
    if change.metric in SHARES:
        return _share(change.before), _share(change.after)
    factor, unit = scale_for(change.unit, known)
    before, after = (
        ABSENT if value is None else plain(f"{digits(value / factor)} {unit}")
        for value in (change.before, change.after)
    )
    return before, after


def shift(change: Change | None) -> str:
    """The change with its interval: `+4.2 % [3.1, 5.3]`, or in points for a share: `-0.52 pt [-0.81, -0.20]`."""
    if change is None or change.ratio is None:
        return ABSENT
    if standing(change) == "same":
        return "unchanged"
    # A ratio of shares is turned into points at the share it started from.
    base = change.before if _in_points(change) and change.before is not None else 1.0
    unit = "pt" if _in_points(change) else "%"
    value, low, high = (
        None if ratio is None else 100 * base * (ratio - 1) for ratio in (change.ratio, change.low, change.high)
    )
    assert value is not None
    places = 1 if abs(value) >= 1 and unit == "%" else 2
    told = f"{value:+,.{places}f} {unit}"
    return told if low is None or high is None else f"{told} [{low:,.{places}f}, {high:,.{places}f}]"


def evidence(change: Change | None) -> str:
    """What the change rests on: rounds, process invocations, or a figure without noise."""
    if change is None or change.ratio is None or change.basis == "none":
        return ABSENT
    if change.basis == "exact":
        return "exact"
    counts = f"{change.n:,} round" if change.basis == "paired rounds" else f"{change.n:,} process"
    ending = "" if change.n == 1 else "s" if change.basis == "paired rounds" else "es"
    return counts + ending + (f", {change.confidence:.0%}" if change.confidence is not None else "")


def note(change: Change | None) -> str:
    """Why there is no ratio, and what qualifies the figure."""
    if change is None:
        return ""
    return plain("; ".join([*([] if change.absent is None else [change.absent]), *change.labels]))


def detectable(verdict: Verdict) -> str:
    """The smallest change that the evidence would show."""
    return ABSENT if verdict.detectable is None else f"{verdict.detectable:.1%}".replace("%", " %")


def because(verdict: Verdict) -> str:
    """Reason, what qualifies the figure, the second measurement and the remedy, as sentences in a row."""
    told = [verdict.reason]
    if verdict.change is not None:
        qualified = (verdict.change.absent, *verdict.change.labels)
        told += [text for text in qualified if text and text not in verdict.reason]
    if verdict.again is not None:
        told.append(f"measured again: {shift(verdict.again)}")
    if verdict.remedy is not None:
        told.append(f"to do: {verdict.remedy}")
    return plain("; ".join(told))


def said_once(sentences: Iterable[tuple[T, str]]) -> list[tuple[T, str]]:
    """Pairs of a sentence and the case it holds for, as each sentence once with the first of its cases."""
    told: dict[T, list[str]] = {}
    for sentence, case in sentences:
        told.setdefault(sentence, []).append(case)
    return [(sentence, _few(cases)) for sentence, cases in told.items()]


def where(of: Change | Verdict) -> str:
    """The figure by its case and metric."""
    return f"{plain(of.case)} {title(of.metric)}"


def shortened(cases: Sequence[str]) -> tuple[str, list[str]]:
    """What all cases have in common, as a pattern that fits them all, and their names without it.

    `("m/*/cpu/t1", ["fp32", "int8"])`; an empty pattern and whole names where nothing is in common.
    """
    split = [plain(case).split("/") for case in cases]
    if len({len(parts) for parts in split}) != 1 or len(set(cases)) == 1:
        return "", ["/".join(parts) for parts in split]
    alike = [len(set(parts)) == 1 for parts in zip(*split, strict=True)]
    pattern = "/".join(part if same else "*" for part, same in zip(split[0], alike, strict=True))
    names = ["/".join(p for p, same in zip(parts, alike, strict=True) if not same) for parts in split]
    return (pattern if any(alike) else ""), names


def _too_few(change: Change) -> bool:
    return change.basis == "intervals" and change.n < FEWEST_PROCESSES


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _share(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.{_SHARE_PLACES}f}"


def _in_points(change: Change) -> bool:
    # "accuracy" may hold an error in the labels' unit, which has no points.
    return change.metric in SHARES and all(v is not None and 0 <= v <= 1 for v in (change.before, change.after))
