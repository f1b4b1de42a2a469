"""A search: what is seen while it goes on, and its frontier and confirmed gain afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.record.codec import plain
from bench.record.metric import METRICS
from bench.report.ab import LivePairs
from bench.report.table import ABSENT, Column, Table
from bench.report.terminal import fit
from bench.report.units import digits, scale_for, spread, text
from bench.runner.tune.confirm import MARGIN, Confirmation
from bench.runner.tune.result import Candidate, Tuned

_STANDS = {"on": "surely best", "maybe": "maybe", "off": "surely not", None: ABSENT}
_FRONT = {"on": "on it", "maybe": "maybe on it", "off": "off it", None: ABSENT}
_ENDS = {
    "trials": "all trials were made",
    "budget": "the time was over",
    "space": "there was nothing new to try",
    "interrupted": "it was interrupted",
}
_QUALITY = ("accuracy", "parity_agreement", "parity_cosine")


class LiveTune(LivePairs):
    """Follows a search (see `bench.runner.tune.search.TuneEvents`) on standard error."""

    def searching(self, trials: int, done: int) -> None:
        """See `TuneEvents.searching`."""
        self.begin(trials, done)
        self._done = done

    def trial(self, name: str) -> None:
        """See `TuneEvents.trial`."""
        self._scene.turn(name, case=True)
        if self._view is None and not self._total:
            self._line(f"measuring {name}")

    def tried(self, name: str, told: str) -> None:
        """See `TuneEvents.tried`."""
        self._advance(name, told)
        self._line(f"[{self._done}/{self._total}] {name}: {told}")


def show(console: Console, found: Tuned) -> None:
    """Print the frontier, what the confirmation says, and the suite of the chosen setting."""
    wide = not console.is_terminal
    if found.frontier:
        console.print(fit(frontier_table(found), console))
    for line in verdict_lines(found):
        console.print(Text(line, style="bold"), soft_wrap=wide)
    for note in notes(found):
        console.print(Text(f"• {note}", style="dim"), soft_wrap=wide)
    if found.snippet:
        console.print("\nthe chosen setting as a suite:\n")
        console.print(Text(found.snippet.rstrip()), soft_wrap=True)


def verdict_lines(found: Tuned) -> list[str]:
    """What the search comes to, in a sentence or two."""
    if found.chosen is None:
        limits = "; ".join(str(constraint) for constraint in found.goals.constraints)
        return [f"no setting that was tried meets {limits or 'what was asked'}"]
    name = found.chosen.setup.name
    if found.confirmation is None:
        return [f"the best so far, not confirmed: {name}"]
    return [f"chosen: {name}", f"against the default {found.default.setup.name}: {confirmed(found.confirmation)}"]


def confirmed(found: Confirmation) -> str:
    """The confirmation in words, with its figures."""
    change = found.change
    if found.verdict == "failed" or change is None or change.before is None or change.after is None:
        return f"{'the default could not be beaten' if found.verdict == 'no better' else found.verdict}: {found.reason}"
    title = _title(found.metric)
    figures = f"{title} {text(change.before, change.unit)} → {text(change.after, change.unit)}"
    gain = found.gain
    if gain is not None:
        exact = change.basis == "exact"
        interval = "" if exact else f" [{gain[1]:+.1%}, {gain[2]:+.1%}], {change.n} paired rounds"
        figures += f", {gain[0]:+.1%}{interval}"
    if found.verdict == "improved":
        return f"improved: {figures}"
    if found.verdict == "no better":
        return f"the default could not be beaten by {MARGIN:.0%} or more: {figures}"
    return (
        f"inconclusive: {title} {text(change.before, change.unit)} → {text(change.after, change.unit)}, {found.reason}"
    )


def frontier_table(found: Tuned) -> Table:
    """A line a setting that may be best, and the default below."""
    lines = [*found.frontier, *(() if _holds(found.frontier, found.default) else (found.default,))]
    columns = [
        Column("trial", tuple("default" if line.number is None else str(line.number) for line in lines)),
        Column("setting", tuple(line.setup.name for line in lines)),
        *(_figures(objective.metric, lines, 0) for objective in found.goals.objectives),
    ]
    objectives = {objective.metric for objective in found.goals.objectives}
    judged = next((m for m in _QUALITY if any(_value(line, m) is not None for line in lines)), None)
    bounded = [c.metric for c in found.goals.constraints]
    extra = dict.fromkeys(m for m in (*bounded, *([judged] if judged else [])) if m not in objectives)
    columns += [_figures(metric, lines, 1) for metric in extra]
    words = _FRONT if len(objectives) > 1 else _STANDS
    title = "frontier" if len(objectives) > 1 else "best"
    columns.append(Column(title, tuple(words[line.standing] for line in lines)))
    what = "the frontier" if len(objectives) > 1 else "the best settings"
    return Table(f"{found.model}: {what} of {len(found.candidates)} trials", tuple(columns))


def notes(found: Tuned) -> list[str]:
    """How it was searched and what has to be known of it."""
    counts = ", ".join(
        f"{count} {word}"
        for word, count in (
            ("pruned as surely worse", found.count("pruned")),
            ("failed", found.count("failed")),
            ("beyond a constraint", found.count("infeasible")),
            ("asked for again and not measured twice", found.repeats),
        )
        if count
    )
    size = "" if found.size is None else f" of {found.size:,} settings"
    told = [
        f"{len(found.candidates)} trials{size} by {found.sampler} in {found.seconds:.0f} s; {_ENDS[found.stopped_by]}"
        + (f"; {counts}" if counts else ""),
        "figures of the table are the search's own, of which the best looks better than it is; the confirmation is "
        "measured anew",
    ]
    failed: dict[str, int] = {}
    for candidate in found.candidates:
        if candidate.status == "failed" and candidate.reason:
            failed[candidate.reason] = failed.get(candidate.reason, 0) + 1
    told += [f"{count} failed: {reason}" for reason, count in failed.items()]
    told += list(found.notes)
    if found.stopped_by == "interrupted":
        told.append("go on with --resume")
    return [*told, f"the study is kept in {found.study}"]


def document(found: Tuned) -> dict[str, Any]:
    """The whole search, ready for JSON."""
    return {**plain(found), "exit_code": found.exit_code}


def _figures(metric: str, lines: Sequence[Candidate], priority: int) -> Column:
    known = [value for line in lines if (value := _value(line, metric)) is not None]
    unit = next((line.figures[metric].unit for line in lines if metric in line.figures), "1")
    factor, shown = scale_for(unit, known)
    title = _title(metric)
    cells = tuple(_cell(line, metric, factor) for line in lines)
    return Column(f"{title} {shown}".strip(), cells, priority, numeric=True)


def _cell(line: Candidate, metric: str, factor: float) -> str:
    value = _value(line, metric)
    if value is None:
        return ABSENT
    found = line.figures[metric]
    shown = digits(value / factor, 4 if found.unit == "1" else 3)
    if metric in _QUALITY or found.low is None or found.high is None or not value:
        return shown
    return f"{shown} {spread((found.high - found.low) / 2 / value)}"


def _title(metric: str) -> str:
    return METRICS[metric].title if metric in METRICS else f"{metric} of a million"


def _value(line: Candidate, metric: str) -> float | None:
    return line.figures[metric].value if metric in line.figures else None


def _holds(lines: Sequence[Candidate], one: Candidate) -> bool:
    return any(line.number == one.number for line in lines)
