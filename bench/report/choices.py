"""Figures, metrics and names of choices as texts, the same in every table and sentence about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from bench.quality import METRICS as QUALITY
from bench.record.front import More
from bench.record.measurement import Measurement
from bench.record.metric import METRICS
from bench.report.changes import SHARES, plain, shortened
from bench.report.table import ABSENT, Table
from bench.report.terminal import fit
from bench.report.units import digits, scale_for

AT_LEAST, ESTIMATE = "≥ ", "≈"
LEGEND = {
    AT_LEAST: "≥ at least: a part that is not known is not zero, and not in the sum",
    ESTIMATE: "≈ estimate: something went in that was not measured",
}
_PLACES, _MOST = 4, 1e15


def title(metric: str, judged_by: str | None = None) -> str:
    """The short name of a metric; of the task metric its own."""
    if metric == "accuracy" and judged_by in QUALITY:
        return QUALITY[judged_by].title
    return METRICS[metric].title if metric in METRICS else plain(metric.replace("_", " "))


def amount(metric: str, value: float, unit: str) -> str:
    """A value with its unit: `81.2 µs`, `0.9771`, `12.30 USD`."""
    if metric in SHARES:
        return f"{value:.{_PLACES}f}"
    factor, name = scale_for(unit, [value])
    return f"{number(value / factor)} {name}".strip()


def figure(
    metric: str, found: Measurement | None, *, bounds: bool = True, at_least: bool = False, words: bool = False
) -> str:
    """A figure with its interval: `≈81.2 µs [80.9, 81.6]`; of a sum that lacks a part its lower end: `≥ ≈12.3 USD`.

    `words`: an estimate is said to be one, in place of its mark.
    """
    if found is None or found.value is None:
        return ABSENT
    mark = marks(found, at_least)
    told = amount(metric, least(found) if at_least else found.value, found.unit)
    if bounds and not at_least and found.low is not None and found.high is not None and found.low != found.high:
        told += f" {span(metric, found.low, found.high, found.unit, found.value)}"
    if found.how.startswith("projected:"):
        return f"{mark}{told} projected"
    return f"{mark.replace(ESTIMATE, '')}{told} estimated" if words and ESTIMATE in mark else mark + told


def marks(found: Measurement, at_least: bool = False) -> str:
    """What stands before a figure: `≥ ` for a sum that lacks a part, `≈` for what was not measured."""
    guess = found.how.startswith(("estimated:", "projected:"))
    return f"{AT_LEAST if at_least else ''}{ESTIMATE if guess else ''}"


def least(found: Measurement) -> float:
    """The lower end of a figure that has a value, as nothing above it is at least there."""
    assert found.value is not None
    return found.value if found.low is None else min(found.low, found.value)


def legend(cells: Iterable[str]) -> list[str]:
    """What the marks mean that stand in these cells."""
    told = list(cells)
    return [line for mark, line in LEGEND.items() if any(cell.startswith((mark, AT_LEAST + mark)) for cell in told)]


def number(value: float) -> str:
    """A number with three digits or all before the point; beyond what can be counted with an exponent."""
    return digits(value) if abs(value) < _MOST else f"{value:.3g}"


def count(value: float) -> str:
    """A whole number, with thousands apart."""
    return f"{value:,.0f}" if abs(value) < _MOST else f"{value:.3g}"


def span(metric: str, low: float, high: float, unit: str, value: float) -> str:
    """An interval in the unit that `value` is told in: `[80.9, 81.6]`."""
    if metric in SHARES:
        return f"[{low:.{_PLACES}f}, {high:.{_PLACES}f}]"
    factor, _ = scale_for(unit, [value])
    return f"[{number(low / factor)}, {number(high / factor)}]"


def percent(share: float, places: int = 1) -> str:
    """A share as per cent."""
    return f"{100 * share:,.{places}f} %"


def needed(more: More | None) -> str:
    """What would decide: `about 1,200 more samples of p50 (1.4 times as many)`."""
    if more is None:
        return ""
    if more.times is None:
        return f"cannot be decided in {title(more.metric)}: {more.why}"
    as_many = f"{digits(more.times, 2)} times as many"
    if more.samples is None:
        return f"about {as_many} samples behind {title(more.metric)}"
    return f"about {more.samples:,} more {more.of} of {title(more.metric)} each ({as_many})"


def draw(console: Console, table: Table, styles: Sequence[str], names: Sequence[str]) -> None:
    """Print a table with a style a row. Its last column says why: where that has no room it stands below, by name."""
    drawn = fit(table, console)
    drawn.colour(styles)
    console.print(drawn)
    reasons = table.columns[-1]
    if len(drawn.columns) == 0 or str(drawn.columns[-1].header) != reasons.title:
        for name, style, reason in zip(names, styles, reasons.cells, strict=True):
            if reason:
                console.print(Text(f"• {name}: {reason}", style=style), soft_wrap=True)


class Names:
    """Names of choices without what all of them share; `common` is that as a pattern."""

    def __init__(self, names: Iterable[str]) -> None:
        self._whole = tuple(dict.fromkeys(names))
        self.common, short = shortened(self._whole)
        self._short = dict(zip(self._whole, short, strict=True))

    def __call__(self, name: str) -> str:
        """The short name; of one that is not among them the whole."""
        return self._short.get(name, plain(name))

    def about(self, model: str, *more: str) -> str:
        """A title: the model, what all names share, and what else there is to say."""
        own = "" if self.common.startswith(plain(model)) else plain(model)
        return " · ".join(filter(None, (own, self.common, *more)))
