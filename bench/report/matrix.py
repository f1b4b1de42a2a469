"""A matrix of variants by targets on a terminal: figures, ratios to the reference, and what may not be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import ascii_uppercase
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.analyse.judge import FEWEST_PROCESSES
from bench.analyse.kinds import kind
from bench.record.codec import plain as as_plain
from bench.record.comparison import Change
from bench.record.matrix import Across, Cell, Line, Matrix, Target
from bench.record.recommendation import COST
from bench.report.changes import SHARES, plain, said_once, shift
from bench.report.choices import amount, figure, legend, title
from bench.report.compare import MOST
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import digits

REMEDY = (
    "to do: run one bundle on every machine (`bench export MODEL --variants ... -o BUNDLE`, `bench run BUNDLE`), "
    "or --allow-mismatch KEY"
)
REFUSED = "refused"
_MARKS = {"best": "*", "tied": "="}
_LEGEND = {"best": "*: surely the best of its row", "tied": "=: may be the best of its row, as far as intervals tell"}
_OTHERS = "or N others: as good there, as far as intervals tell; --json names them"
_SOFTWARE = ("python", "package:")
ESTIMATED, NOT_COMPARABLE = "estimate", "not comparable"
FEW = f"fewer than {FEWEST_PROCESSES} processes: intervals leave out how one process differs from the next"


def show(console: Console, found: Across) -> None:
    """Print a table for each metric and model, what its cells lack or are qualified by, and what the targets are."""
    for matrix in found.matrices:
        for model in dict.fromkeys(line.model for line in matrix.lines):
            mine = [line for line in matrix.lines if line.model == model]
            _draw(console, found, matrix, mine)
    _say(console, about(found), "dim")


def document(found: Across) -> dict[str, Any]:
    """What `--json` prints: everything, figures in SI units."""
    return {"refused": found.refused, **as_plain(found)}


def table(found: Across, matrix: Matrix, lines: Sequence[Line]) -> Table:
    """A row a line of one model; for each target its figure, the ratio to the reference and the configuration."""
    columns = _named(lines)
    for at, target in enumerate(found.targets):
        cells = [line.cells[at] for line in lines]
        columns.append(
            Column(f"{_letter(at)} {plain(target.name)}", tuple(_cell(matrix.metric, c) for c in cells), numeric=True)
        )
        if target.name != found.reference:
            ratios = tuple(_ratio(cell.change) for cell in cells)
            columns.append(Column(_over(found, at), ratios, 1, numeric=True))
        if not found.each:
            columns.append(Column(f"on {_letter(at)}", tuple(_setting(cell) for cell in cells), 3))
    return Table(f"{plain(lines[0].model)} · {_what(matrix, lines)}", tuple(columns))


def notes(found: Across, matrix: Matrix, lines: Sequence[Line]) -> list[str]:
    """Why cells are empty, ratios are refused or qualified, and marks are left out, each said once with where."""
    names = _rows(lines)
    cells = [
        (c, f"{_letter(at)} {name}") for line, name in zip(lines, names, strict=True) for at, c in enumerate(line.cells)
    ]
    known = [(cell, where) for cell, where in cells if cell.configuration is not None]
    changes = [(cell.change, where) for cell, where in known if cell.change is not None]
    told = [(cell.figure.reason, where) for cell, where in cells if cell.figure.reason is not None]
    told += [(f"≥ without {', '.join(cell.lacks)}", where) for cell, where in known if cell.lacks]
    told += [(change.absent, where) for change, where in changes if change.absent is not None]
    # An estimate has its mark in the cell.
    told += [(label, where) for change, where in changes for label in change.labels if label != ESTIMATED]
    told += [
        (f"best not marked: {line.unmarked}", name)
        for line, name in zip(lines, names, strict=True)
        if line.unmarked is not None and line.unmarked.startswith(NOT_COMPARABLE)
    ]
    few = [where for cell, where in known if cell.invocations < FEWEST_PROCESSES and kind(matrix.metric) == "felt"]
    told += [(FEW, "all" if len(few) == len(known) else where) for where in few]
    return [plain(f"{text} ({where})") for text, where in said_once(dict.fromkeys(told))]


def about(found: Across) -> list[str]:
    """What each target is, in what its machine differs from the reference's, and what its prices are."""
    return [line for at, target in enumerate(found.targets) for line in _target(at, target, found.reference)]


def _draw(console: Console, found: Across, matrix: Matrix, lines: Sequence[Line]) -> None:
    known = [line for line in lines if any(cell.configuration is not None for cell in line.cells)]
    shown = known[:MOST]
    console.print()
    if shown:
        console.print(fit(table(found, matrix, shown), console))
    else:
        console.print(Text(f"{plain(lines[0].model)} · {_what(matrix, lines)}: no target has a figure", style="bold"))
    marks = {cell.mark for line in shown for cell in line.cells if cell.mark is not None}
    others = [_OTHERS] if any(cell.rivals for line in shown for cell in line.cells) else []
    estimates = [figure(matrix.metric, c.figure, at_least=c.at_least) for line in shown for c in line.cells]
    _say(console, [*(_LEGEND[mark] for mark in _LEGEND if mark in marks), *others, *legend(estimates)], "dim")
    if len(known) > len(shown):
        _say(console, [f"not listed: {len(known) - len(shown):,} more rows; all: --json"], "dim")
    _say(console, notes(found, matrix, lines), "yellow")
    if any(cell.change is not None and cell.change.refused for line in lines for cell in line.cells):
        _say(console, [REMEDY], "")


def _named(lines: Sequence[Line]) -> list[Column]:
    """The variant, and whatever else tells the lines apart."""
    parts = {
        "variant": [line.variant for line in lines],
        "configuration": [line.setting.replace("/", " ") for line in lines],
        "batch": [str(line.batch) for line in lines],
        "scenario": [line.scenario for line in lines],
        "options": [_options(line) for line in lines],
    }
    return [
        Column(name, tuple(map(plain, cells)))
        for name, cells in parts.items()
        if name == "variant" or len(set(cells)) > 1
    ]


def _rows(lines: Sequence[Line]) -> list[str]:
    """Names of lines, of what tells them apart."""
    cells = zip(*(column.cells for column in _named(lines)), strict=True)
    return [" ".join(filter(None, each)) for each in cells]


def _options(line: Line) -> str:
    return " ".join(f"{name}={value}" for name, value in line.options.items())


def _cell(metric: str, cell: Cell) -> str:
    if cell.configuration is None:
        return ABSENT
    told = figure(metric, cell.figure, at_least=cell.at_least)
    return f"{told} {_MARKS[cell.mark]}" if cell.mark is not None else told


def _setting(cell: Cell) -> str:
    if cell.configuration is None:
        return ABSENT
    others = len(cell.rivals)
    return plain(cell.setting) + (f" or {others} other{'' if others == 1 else 's'}" if others else "")


def _ratio(change: Change | None) -> str:
    """`×1.35 [1.33, 1.37]`; of a share in points."""
    if change is None or change.ratio is None:
        return REFUSED if change is not None and change.refused else ABSENT
    if change.metric in SHARES:
        return shift(change)
    told = f"×{digits(change.ratio)}"
    if change.low is None or change.high is None:
        return told
    return f"{told} [{digits(change.low)}, {digits(change.high)}]"


def _over(found: Across, at: int) -> str:
    reference = next(place for place, target in enumerate(found.targets) if target.name == found.reference)
    return f"{_letter(at)} / {_letter(reference)}"


def _what(matrix: Matrix, lines: Sequence[Line]) -> str:
    if matrix.metric == COST:
        return "cost of a million inferences"
    return title(matrix.metric, lines[0].judged_by)


def _letter(at: int) -> str:
    """A, B, … Z, and numbers beyond."""
    return ascii_uppercase[at] if at < len(ascii_uppercase) else str(at + 1)


def _target(at: int, target: Target, reference: str) -> list[str]:
    profile = {"stated": "", "matched": ", the profile that fits best", "cpu": ", as no hardware profile fits"}
    known = f"{_letter(at)} is {plain(target.name)}{profile[target.named]}: run {plain(target.run)}"
    cpu = "" if target.cpu in target.name else f", {plain(target.cpu)}"
    lines = [f"{known}{cpu}, machine {target.machine}{', the reference' if target.name == reference else ''}"]
    machine = [key for key in target.differs if not key.startswith(_SOFTWARE)]
    software = [
        f"{key.removeprefix('package:')} {here or 'not there'} against {there or 'not there'}"
        for key, (there, here) in target.differs.items()
        if key.startswith(_SOFTWARE)
    ]
    if machine:
        lines.append(f"{_letter(at)}: the machine differs from the reference in {', '.join(machine)}")
    if software:
        lines.append(f"{_letter(at)}: the software differs too, and ratios are of both: {', '.join(software)}")
    hour = target.machine_hour
    if hour is not None and hour.value is None:
        lines.append(f"{_letter(at)}: {hour.reason}")
    if hour is not None and hour.value is not None:
        example = ", an example to be replaced by your own" if target.example_price else ""
        lines.append(f"{_letter(at)}: a machine-hour is {amount(COST, hour.value, hour.unit)}{example}")
    return [*map(plain, lines), *(plain(f"{_letter(at)}: {note}") for note in target.notes)]


def _say(console: Console, told: Iterable[str], style: str) -> None:
    for line in told:
        console.print(Text(f"• {line}", style=style), soft_wrap=not console.is_terminal)
