"""What the pages show, before it is HTML: the sorted list of runs, and a comparison in the words of `bench compare`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from bench.analyse.comparable import CASE, check_allowed, refuse_nothing_in_common
from bench.analyse.compare import Comparison, compare
from bench.record.comparison import Change
from bench.report import changes as texts
from bench.report import compare as report
from bench.report.table import ABSENT, Table
from bench.serve.shelf import Listed, Shelf
from bench.store.runs import in_order

COLUMNS: Mapping[str, tuple[str, Callable[[Listed], Any]]] = {
    "run": ("Run", lambda run: run.name),
    "made": ("Made", lambda run: in_order(run.name, run.created)),
    "suite": ("Suite", lambda run: run.suite),
    "machine": ("Machine", lambda run: run.machine),
    "status": ("Status", lambda run: run.status),
    "cases": ("Cases", lambda run: run.cases),
    "failed": ("Failed", lambda run: run.failed),
}
"""Columns of the list by the word that sorts by them: the heading, and what is compared."""
_LARGEST_FIRST = frozenset({"made", "cases", "failed"})
MOST = 5_000
"""Changes that a page lists."""


@dataclass(frozen=True)
class RunLine:
    """A row of the list as text. `address` is the path of the run's page, None where there is no report."""

    word: str
    name: str
    address: str | None
    cells: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Heading:
    """A column's heading: `address` sorts by it, `sorted` is the value of aria-sort."""

    title: str
    address: str
    sorted: str
    numeric: bool


@dataclass(frozen=True)
class Asked:
    """A comparison as the address of the page says it."""

    before: str
    after: str
    only: str = ""
    normalise_by: str = ""
    allow: tuple[str, ...] = ()

    def address(self) -> str:
        """The page's path and query."""
        told = {"before": self.before, "after": self.after, "only": self.only, "normalise_by": self.normalise_by}
        pairs = [(name, value) for name, value in told.items() if value] + [("allow", key) for key in self.allow]
        return f"/compare?{urlencode(pairs)}"

    def swapped(self) -> Asked:
        """The other way round."""
        return Asked(self.after, self.before, self.only, self.normalise_by, self.allow)

    def command(self, results: str) -> str:
        """What gives the same on a terminal, where the runs lie in the folder `results`."""
        options = [("--only", self.only), ("--normalise-by", self.normalise_by)]
        options += [("--allow-mismatch", key) for key in self.allow]
        options += [("--out", results if results != "results" else "")]
        words = [word for option, value in options if value for word in _option(option, value)]
        runs = [self.before, self.after]
        ends = ["--"] if any(run.startswith("-") for run in runs) else []
        return shlex.join(["bench", "compare", *words, *ends, *runs])


@dataclass(frozen=True)
class Compared:
    """A comparison, ready for the page: `rows` are pairs of a standing and the cells of `table`'s columns."""

    found: Comparison
    title: str
    table: Table | None
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: str
    differences: tuple[str, ...]
    keys: tuple[str, ...]
    qualifications: tuple[str, ...]
    remarks: tuple[str, ...]


def run_address(name: str) -> str | None:
    """The path of a run's page; None for a folder whose name is not text, which no address can name."""
    try:
        return f"/runs/{quote(name, safe='')}"
    except UnicodeEncodeError:
        return None


def chosen(runs: Iterable[Listed], text: str, sort: str, order: str) -> list[RunLine]:
    """The runs in which every word of `text` occurs, sorted; those without the value come last either way."""
    words = text.casefold().split()
    lines = [run for run in runs if all(word in " ".join(_searched(run)).casefold() for word in words)]
    key = COLUMNS[sort][1]
    known = sorted((run for run in lines if key(run) not in (None, "")), key=key, reverse=order == "down")
    return [_run_line(run) for run in [*known, *(run for run in lines if key(run) in (None, ""))]]


def headings(text: str, sort: str, order: str) -> list[Heading]:
    """The headings of the list; that of the sorted column turns the order round."""
    made = []
    for name, (title, _) in COLUMNS.items():
        first, other = ("down", "up") if name in _LARGEST_FIRST else ("up", "down")
        turned = other if name == sort and order == first else first
        state = "none" if name != sort else "ascending" if order == "up" else "descending"
        query = urlencode({"sort": name, "order": turned} | ({"text": text} if text else {}))
        made.append(Heading(title, f"/?{query}", state, name in ("cases", "failed")))
    return made


def compared(shelf: Shelf, asked: Asked) -> Compared:
    """Hold one run or baseline against another, as `bench compare` does. Raises `UserError` as it."""
    check_allowed(asked.allow)
    before, after = (
        shelf.snapshot(word).only([asked.only] if asked.only else []) for word in (asked.before, asked.after)
    )
    found = compare(before, after, allow=asked.allow, normalise_by=asked.normalise_by or None)
    refuse_nothing_in_common(found.shared, found.before, found.after)
    ordered = texts.ranked_changes(report.known(found))
    shown = ordered[:MOST]
    table = report.table(shown, report.heading(found)) if shown else None
    cells = () if table is None else zip(*(column.cells for column in table.columns), strict=True)
    return Compared(
        found=found,
        title=texts.plain(report.heading(found)),
        table=table,
        rows=tuple((texts.standing(change), row) for change, row in zip(shown, cells, strict=True)),
        left_out=report.left_out(ordered[len(shown) :]),
        differences=tuple(texts.plain(str(difference)) for difference in found.refusing),
        keys=_keys(found, asked.allow),
        qualifications=tuple(report.qualifications(ordered)),
        remarks=tuple(report.remarks(found)),
    )


def _keys(found: Comparison, allow: Sequence[str]) -> tuple[str, ...]:
    """What a reader may allow: the keys that refuse figures now, and those that are allowed already."""
    of_cases = [key for key in CASE if any(_refused_for(change, key) for change in found.changes)]
    return tuple(dict.fromkeys([*allow, *(d.key for d in found.refusing), *of_cases]))


def _refused_for(change: Change, key: str) -> bool:
    return change.refused and f"{key} differs" in (change.absent or "")


def _option(name: str, value: str) -> list[str]:
    """Words of a command line. A value that begins with a dash would be taken for an option of its own."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _searched(run: Listed) -> tuple[str, ...]:
    return (run.name, run.created, run.suite, run.machine, run.status, run.problem or "")


def _run_line(run: Listed) -> RunLine:
    address = run_address(run.name)
    told = (texts.plain(text) for text in (run.created[:19].replace("T", " "), run.suite, run.machine, run.status))
    counts = (ABSENT if count is None else f"{count:,}" for count in (run.cases, run.failed))
    return RunLine(
        word=run.name if address else "",
        name=texts.plain(run.name),
        address=address if run.problem is None else None,
        cells=(*told, *counts),
        problem=texts.plain(run.problem or ("" if address else "the folder's name is not text")),
    )
