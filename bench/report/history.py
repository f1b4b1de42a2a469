"""A figure over many runs on a terminal: a line a case, a line a change point, and what to know."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import groupby, pairwise

from rich.console import Console
from rich.text import Text

from bench.analyse.history import CaseHistory, History, Point, Turn
from bench.record.metric import METRICS
from bench.report.changes import plain
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import digits, scale_for

SPARK = "▁▂▃▄▅▆▇█"
GAP = "·"
WIDEST = 32
"""Characters of a sparkline at the most: with more runs, each stands for the median of several."""


def draw(console: Console, found: History) -> None:
    """Print the tables and the notes under them."""
    for table in (cases(found), changes(found)):
        if table.columns[0].cells:
            console.print(fit(table, console))
    for line in notes(found):
        console.print(Text(f"• {line}"), soft_wrap=not console.is_terminal)


def cases(found: History) -> Table:
    """A row a case: how many runs have the figure, the first and the last, its course, how often it changed."""
    factor, unit = _scale(found)
    told = found.cases
    titled = f" {unit}".rstrip()
    columns = (
        Column("case", tuple(plain(case.case) for case in told)),
        Column("runs", tuple(str(len(case.values)) for case in told), numeric=True),
        Column(f"first{titled}", tuple(_end(case, 0, factor) for case in told), numeric=True),
        Column(f"last{titled}", tuple(_end(case, -1, factor) for case in told), numeric=True),
        Column("course", tuple(spark([point.value for point in case.points]) for case in told), priority=2),
        Column("changes", tuple(_count(case) for case in told), numeric=True),
    )
    return Table(f"{METRICS[found.metric].title} ({found.metric}) over {over(found)}", columns)


def changes(found: History) -> Table:
    """A row a change point, those of a case in order."""
    factor, unit = _scale(found)
    titled = f" {unit}".rstrip()
    turns = [(case.case, turn) for case in found.cases for turn in case.turns]
    columns = (
        Column("case", tuple(plain(case) for case, _ in turns)),
        Column("from run", tuple(plain(turn.run) for _, turn in turns)),
        Column(f"before{titled}", tuple(digits(turn.before / factor) for _, turn in turns), 3, numeric=True),
        Column(f"after{titled}", tuple(digits(turn.after / factor) for _, turn in turns), 3, numeric=True),
        Column("ratio", tuple(_ratio(turn) for _, turn in turns), numeric=True),
        Column("p", tuple(_p_value(turn) for _, turn in turns), 2, numeric=True),
        Column(
            "",
            tuple(way(turn) for _, turn in turns),
            best=frozenset(at for at, (_, turn) in enumerate(turns) if turn.improved),
        ),
        Column("changed at the same run", tuple(plain("; ".join(turn.causes)) or ABSENT for _, turn in turns), 1),
    )
    return Table("change points", columns)


def notes(found: History) -> list[str]:
    """What a reader has to know: cases without a verdict, drifts, gaps, breaks, runs that were left out."""
    lines = _shared(found, [(case.case, case.untold) for case in found.cases])
    lines += [
        f"{plain(case.case)}: drifts, {case.drift:+.1%} from the first run to the last, without a step"
        for case in found.cases
        if case.drift is not None
    ]
    gaps = [
        (case.case, f"no figure in {_named([point.run for point in points])}: {plain(why)}")
        for case in found.cases
        for why, points in _by_reason(case)
    ]
    lines += _shared(found, gaps)
    breaks = [(case.case, sentence) for case in found.cases for sentence in _breaks(case)]
    lines += _shared(found, breaks)
    return lines + [plain(note) for note in found.notes]


def spark(values: Sequence[float | None]) -> str:
    """The course of values, least to greatest over the height of a line; `GAP` where there is none."""
    if len(values) > WIDEST:
        edges = [round(i * len(values) / WIDEST) for i in range(WIDEST + 1)]
        parts = [[v for v in values[a:b] if v is not None] for a, b in pairwise(edges)]
        values = [statistics.median(part) if part else None for part in parts]
    known = [value for value in values if value is not None]
    if not known:
        return GAP * len(values)
    low, high = min(known), max(known)
    if high == low:
        return "".join(GAP if value is None else SPARK[len(SPARK) // 2] for value in values)
    top = len(SPARK) - 1
    return "".join(GAP if value is None else SPARK[round((value - low) / (high - low) * top)] for value in values)


def over(found: History) -> str:
    """`1 run`, `30 runs`."""
    return f"{len(found.runs):,} run{'s' if len(found.runs) != 1 else ''}"


def way(turn: Turn) -> str:
    """`better`, `worse`, or `changed` where no way is better."""
    return "changed" if turn.improved is None else "better" if turn.improved else "worse"


def _scale(found: History) -> tuple[float, str]:
    return scale_for(found.unit, [value for case in found.cases for value in case.values])


def _end(case: CaseHistory, at: int, factor: float) -> str:
    return digits(case.values[at] / factor) if case.values else ABSENT


def _count(case: CaseHistory) -> str:
    return ABSENT if case.untold is not None else str(len(case.turns))


def _ratio(turn: Turn) -> str:
    return f"{turn.ratio:.3f}" if turn.ratio is not None else f"{turn.after - turn.before:+.3g}"


def _p_value(turn: Turn) -> str:
    # No test: a figure without noise.
    return "exact" if turn.p_value == 0 else f"{turn.p_value:.2g}"


def _by_reason(case: CaseHistory) -> list[tuple[str, list[Point]]]:
    absent = sorted((point for point in case.points if point.absent is not None), key=lambda point: str(point.absent))
    return [(str(why), list(points)) for why, points in groupby(absent, key=lambda point: point.absent)]


def _breaks(case: CaseHistory) -> list[str]:
    """What changed of machine and data, each with the runs from which on; virtual machines may differ in every run."""
    found: dict[tuple[str, ...], list[str]] = {}
    for each in case.breaks:
        found.setdefault(each.keys, []).append(each.run)
    return [f"{', '.join(keys)} changed at {_named(runs)}" for keys, runs in found.items()]


def _shared(found: History, told: Sequence[tuple[str, str | None]]) -> list[str]:
    """Each sentence once, with the cases it holds for."""
    where: dict[str, list[str]] = {}
    for case, sentence in told:
        if sentence is not None:
            where.setdefault(sentence, []).append(plain(case))
    return [
        f"{sentence} ({_named(names) if len(names) < len(found.cases) or len(names) == 1 else 'all cases'})"
        for sentence, names in where.items()
    ]


def _named(names: Sequence[str], most: int = 3) -> str:
    """The names, or the first of many and how many more."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
