"""The roofline of a run as a table: what each case has to do, its limit, and the share of it that was reached."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.record.codec import plain
from bench.record.measurement import Measurement
from bench.record.peaks import Peaks
from bench.record.roofline import Point, Roofline
from bench.report.changes import said_once, shortened
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import digits, scale_for, spread

GIGA, MEGA = 1e9, 1e6


def show(console: Console, found: Roofline) -> None:
    """Print the table; under it what has to be wrong, what is not known, and what holds for all."""
    console.print(fit(table(found), console))
    wrap = not console.is_terminal
    for warning in found.warnings:
        console.print(Text(f"• {warning}", style="bold red"), soft_wrap=wrap)
    for warning, cases in said_once([(told, p.case) for p in found.points for told in p.warnings]):
        console.print(Text(f"• {warning} ({cases})", style="bold red"), soft_wrap=wrap)
    for note, cases in said_once([(told, p.case) for p in found.points for told in (*_absent(p), *p.notes)]):
        console.print(Text(f"• {note} ({cases})", style="yellow"), soft_wrap=wrap)
    for line in (*(_peaks_line(found, peaks) for peaks in used(found)), *found.notes):
        console.print(Text(f"• {line}", style="dim"), soft_wrap=wrap)


def document(run_id: str, folder: Path, found: Roofline) -> dict[str, Any]:
    """The roofline as one JSON document."""
    return {"run_id": run_id, "folder": str(folder), **plain(found)}


def table(found: Roofline) -> Table:
    """A row a case, in the order of the run."""
    points = found.points
    common, names = shortened([point.case for point in points])
    least = [point.limits.limit for point in points]
    overhead = [point.limits.overhead for point in points]
    # Times of one row are compared, so all are in one unit.
    factor, unit = scale_for("s", _values([*least, *(p.measured for p in points)]))
    size, size_unit = scale_for("B", _values([p.moved for p in points]))
    columns = (
        Column("case", tuple(names)),
        Column("op/B", _cells([p.intensity for p in points]), 3, numeric=True),
        Column("Mop", _cells([p.operations for p in points], MEGA), 4, numeric=True),
        Column(size_unit, _cells([p.moved for p in points], size), 4, numeric=True),
        Column(f"limit {unit}", _cells(least, factor), numeric=True),
        Column(f"overhead {unit}", _cells(overhead, factor), 2, numeric=True),
        Column(f"measured {unit}", tuple(_with_spread(p.measured, factor) for p in points), numeric=True),
        Column("share", tuple(_share(p.share) for p in points), numeric=True),
        Column("bound", tuple(p.bound for p in points)),
        Column("held against", tuple(_taken(p) for p in points), 1),
    )
    return Table(" · ".join(filter(None, (f"roofline of {found.peaks.name}", common))), columns)


def used(found: Roofline) -> list[Peaks]:
    """The peaks with the counts of threads that some point has, fewest first."""
    threads = sorted({point.threads for point in found.points if point.limits.limit.value is not None})
    return [peaks for count in threads if (peaks := found.peaks.at(count)) is not None]


def precisions(found: Roofline, threads: int) -> list[str]:
    """Those that points with so many threads are held against, in order of the name."""
    return sorted({name for point in found.points if point.threads == threads for name in point.limits.taken})


def _peaks_line(found: Roofline, peaks: Peaks) -> str:
    figures = [(name, peaks.compute[name], "Gop/s") for name in precisions(found, peaks.threads)]
    figures.append(("memory", peaks.bandwidth, "GB/s"))
    told = [
        f"{name} {digits(figure.value / GIGA)} {unit} ({figure.how})"
        for name, figure, unit in figures
        if figure.value is not None
    ]
    return f"peaks with {peaks.threads} thread{'s' if peaks.threads > 1 else ''}: {', '.join(told)}"


def _absent(point: Point) -> list[str]:
    """Why figures are not there, each reason once."""
    reasons: dict[str, list[str]] = {}
    for name, figure in (
        ("compute", point.limits.compute),
        ("memory", point.limits.memory),
        ("overhead", point.limits.overhead),
        ("measured", point.measured),
    ):
        if figure.reason is not None:
            reasons.setdefault(figure.reason, []).append(name)
    return [f"{', '.join(names)}: unavailable, {reason}" for reason, names in reasons.items()]


def _values(figures: Sequence[Measurement]) -> list[float]:
    return [figure.value for figure in figures if figure.value is not None]


def _cells(figures: Sequence[Measurement], factor: float = 1.0) -> tuple[str, ...]:
    return tuple(_cell(figure, factor) for figure in figures)


def _cell(figure: Measurement, factor: float) -> str:
    if figure.value is None:
        return ABSENT
    return f"{'≈' if figure.is_estimate else ''}{digits(figure.value / factor)}"


def _with_spread(figure: Measurement, factor: float) -> str:
    shown = _cell(figure, factor)
    if figure.low is None or figure.high is None or not figure.value:
        return shown
    return f"{shown} {spread((figure.high - figure.low) / 2 / figure.value)}"


def _share(figure: Measurement) -> str:
    if figure.value is None:
        return ABSENT
    shown = f"{'≈' if figure.is_estimate else ''}{figure.value:.1%}"
    if figure.low is None or figure.high is None:
        return shown
    return f"{shown} ({figure.low:.1%} to {figure.high:.1%})"


def _taken(point: Point) -> str:
    taken = point.limits.taken
    if len(taken) == 1:
        return next(iter(taken))
    return " + ".join(f"{part:.0%} {name}" for name, part in taken.items()) or ABSENT
