"""What a reader has to know before any figure: grouped, counted and never hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import msgspec

from bench.report.charts.drawing import Undrawn
from bench.runner.gather import CaseSeen, Gathered

_VARIES = re.compile(r"(?<=on the edge inputs )[\w-]+|(?<![A-Za-z_])\d[\d,]*(?:\.\d+)*(?:e[+-]?\d+)?")
"""What makes a sentence of many: numbers that are not part of a name, and the kind of the edge inputs."""
_SPLIT = "the graph is split"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence and the cases (by their place) that it holds for; without cases it is of the whole report.

    Sentences that differ only in what varies are one, whose numbers are ranges; `said` are the sentences of each
    case as they are on record, where they differ.
    """

    text: str
    cases: tuple[int, ...] = ()
    said: tuple[str, ...] = ()


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of one kind. `grave`: figures are absent or failed for it. `count` is of cases, or of sentences."""

    name: str
    title: str
    grave: bool
    alerts: tuple[Alert, ...]
    unit: str = "case"

    @property
    def count(self) -> int:
        """How many cases it touches; where it is not of cases, how many sentences there are."""
        cases = {at for alert in self.alerts for at in alert.cases}
        return len(cases) or len(self.alerts)


def alerts(gathered: Gathered, undrawn: Sequence[Undrawn] = ()) -> list[Group]:
    """The groups that are not empty, the gravest first."""
    cases = list(enumerate(gathered.cases))
    ran = [(at, case) for at, case in cases if case.row.measured]
    made = [
        _of_cases("failed", "Failed or not run", True, ((at, text) for at, case in cases for text in _failure(case))),
        _plain("refused", "Not compared", True, _refusals(gathered), "difference"),
        _of_cases("placement", "Not wholly where it was asked for", False, _placements(ran)),
        _of_cases("warnings", "Warnings of cases", False, ((at, text) for at, case in ran for text in _warnings(case))),
        _of_cases(
            "slower",
            "Not faster than fp32, and why",
            False,
            ((at, case.row.why_not_faster) for at, case in ran if case.row.why_not_faster is not None),
        ),
        _of_cases("rules", "Short of MLPerf's rules", False, ((at, text) for at, case in ran for text in _rules(case))),
        _plain("notes", "Notes of the run", False, _notes(gathered), "note"),
        _plain("unknown", "What is not known", False, _missing(gathered, undrawn), "thing"),
    ]
    return [group for group in made if group.alerts]


def _failure(case: CaseSeen) -> list[str]:
    row = case.row
    if row.status == "ok":
        return []
    word = "failed" if row.status == "failed" else "not run"
    if row.failure is None:
        return [f"{word}: no reason is on record"]
    return [f"{word}: {row.failure.reason}"]


def _warnings(case: CaseSeen) -> list[str]:
    return [text for text in case.row.warnings if not text.startswith(_SPLIT)]


def _rules(case: CaseSeen) -> Sequence[str]:
    verdict = case.row.validity
    return () if verdict is None or verdict.valid else verdict.reasons


def _placements(ran: Iterable[tuple[int, CaseSeen]]) -> Iterable[tuple[int, str]]:
    """Graphs that are split, and those of which the runtime says that not all of it is where it was asked for."""
    for at, case in ran:
        yield from ((at, text) for text in case.row.warnings if text.startswith(_SPLIT))
        placed = case.row.placement
        if placed is not None and placed.evidence.endswith("= false"):
            yield at, f"not wholly on {placed.provider}: {placed.evidence}"


def _refusals(gathered: Gathered) -> list[str]:
    found = gathered.comparison
    if found is None:
        return []
    return [f"{difference} (times, memory and energy are not compared)" for difference in found.refusing]


def _notes(gathered: Gathered) -> list[str]:
    told = []
    for run in gathered.runs:
        manifest = run.manifest
        if manifest.status != "complete":
            told.append(f"{manifest.run_id}: {len(run.rows)} of {len(manifest.cases)} cases are done")
        told += manifest.notes
    for roofline in gathered.rooflines:
        told += [] if roofline is None else roofline.warnings
    for ledger in gathered.ledgers:
        told += [] if ledger is None else ledger.notes
    if gathered.comparison is not None:
        told += gathered.comparison.notes
    return list(dict.fromkeys(told))


def _missing(gathered: Gathered, undrawn: Sequence[Undrawn]) -> list[str]:
    told = [f"{name}: {reason}" for name, reason in gathered.missing.items()]
    told += [f"{each.title}: {each.reason}" for each in undrawn if each.kind not in gathered.missing]
    return list(dict.fromkeys(told))


def _plain(name: str, title: str, grave: bool, sentences: Sequence[str], unit: str) -> Group:
    return Group(name=name, title=title, grave=grave, alerts=tuple(Alert(text=text) for text in sentences), unit=unit)


def _of_cases(name: str, title: str, grave: bool, told: Iterable[tuple[int, str]]) -> Group:
    """Sentences alike but for their numbers put together, in the order of the first of them."""
    alike: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for at, text in told:
        alike.setdefault(tuple(_VARIES.split(text)), []).append((at, text))
    return Group(name=name, title=title, grave=grave, alerts=tuple(_together(found) for found in alike.values()))


def _together(found: Sequence[tuple[int, str]]) -> Alert:
    texts = list(dict.fromkeys(text for _, text in found))
    cases = tuple(dict.fromkeys(at for at, _ in found))
    if len(texts) == 1:
        return Alert(text=texts[0], cases=cases)
    numbers = [_VARIES.findall(text) for text in texts]
    ranges = iter([_range(column) for column in zip(*numbers, strict=True)])
    said = tuple("; ".join(text for at, text in found if at == case) for case in cases)
    return Alert(text=_VARIES.sub(lambda _: next(ranges), texts[0]), cases=cases, said=said)


def _range(column: Sequence[str]) -> str:
    """`7.6` of equal numbers, `7.6 … 85.4` of others, by their size; words and versions as a list."""
    told = list(dict.fromkeys(column))
    if len(told) == 1:
        return told[0]
    if not all(text[0].isdigit() and text.count(".") < 2 for text in told):
        return ", ".join(told)
    ordered = sorted(told, key=lambda text: float(text.replace(",", "")))
    return f"{ordered[0]} … {ordered[-1]}"
