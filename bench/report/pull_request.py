"""A gate's report as a comment on a pull request, in Markdown as GitHub and GitLab draw it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.record.comparison import GateReport, Verdict
from bench.report import changes

MARKER = "<!-- counterpoise-gate -->"
"""The first line, not shown: a later run finds the comment by it, and updates it."""

LIMIT = 65_536
"""Characters that a comment on GitHub may hold. Bytes are counted, of which there are never fewer."""

# For the sentence that counts what was cut, closing tags, and a longer marker that a CI job may put first.
_RESERVE = 1_024
_LONGEST_CELL = 400
_HEADS = ("verdict", "case", "metric", "baseline", "candidate", "change", "rule", "why")
_NUMERIC = frozenset({"baseline", "candidate", "change"})


def comment(report: GateReport) -> str:
    """The report as one comment: verdict line, the rows that matter, the rest folded.

    Text from models and suites cannot break out of its cell. The whole is at most `LIMIT` characters; what had no
    room is counted in a last sentence.
    """
    ordered = changes.ranked(report.verdicts)
    matter = [verdict for verdict in ordered if verdict.outcome != "pass"]
    passes = ordered[len(matter) :]
    head = [MARKER, f"**Benchmark gate: {changes.verdict_line(report)}**", "", _sides(report), ""]
    room = _Room(LIMIT - _RESERVE - _size(head))
    table = room.table(matter)
    notes = room.take([f"- {escape(_clipped(note))}" for note in report.notes])
    folded = room.table(passes)
    lines = [*head, *table, *notes, *([""] if notes else [])]
    if folded:
        lines += ["<details>", f"<summary>{len(passes):,} passed</summary>", "", *folded, "</details>", ""]
    if room.cut:
        left = ", ".join(f"{count:,} {what}" for what, count in room.cut.items())
        lines.append(f"A comment holds at most {LIMIT:,} characters, so these are left out here: {left}.")
    return "\n".join(lines).rstrip() + "\n"


def escape(value: str) -> str:
    """Text as Markdown that shows it: on one line, no markup, no HTML, and nobody is notified."""
    # Between sign and name, a space of no width: GitHub makes links of @name and #1 where they stand alone.
    return re.sub(r"(?<!\w)(\\[@#])(?=\w)", r"\1&#8203;", _literal(value))


def code(value: str) -> str:
    """A name in a fixed-width font, in which GitHub looks for no mentions; it can be copied as it is."""
    return f"<code>{_literal(value)}</code>" if value.strip() else ""


def _literal(value: str) -> str:
    shown = re.sub(r"([\\`*_<>|\[\]#&$~@]|:(?=\S)|(?<=\bwww)\.)", r"\\\1", changes.plain(value))
    # What begins a list, were the text to begin a line.
    return re.sub(r"^([-+](?=[\s-]|$)|\d+(?=[.)](?:\s|$)))", lambda found: _listless(found.group()), shown)


def _listless(start: str) -> str:
    return f"{start}\\" if start.isdigit() else f"\\{start}"


class _Room:
    """How many bytes are left, and what was cut for want of them."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.cut: Counter[str] = Counter()

    def table(self, verdicts: Sequence[Verdict]) -> list[str]:
        """The rows that there is room for, under their head; empty where there is none."""
        if not verdicts:
            return []
        rule = ["--:" if head in _NUMERIC else ":--" for head in _HEADS]
        head = [_line(_HEADS), _line(rule)]
        self.left -= _size(head) + 1
        rows = [_row(verdict) for verdict in verdicts]
        kept = self._fitting(rows)
        self.cut.update(changes.WORDS[verdict.outcome] for verdict in verdicts[kept:])
        return [*head, *rows[:kept], ""] if kept else []

    def take(self, lines: Sequence[str]) -> list[str]:
        """The lines that there is room for."""
        kept = self._fitting(lines)
        if kept < len(lines):
            self.cut["notes"] += len(lines) - kept
        return list(lines[:kept])

    def _fitting(self, lines: Sequence[str]) -> int:
        """How many of the lines fit, from the first; their bytes are taken."""
        for at, line in enumerate(lines):
            if _size([line]) > self.left:
                return at
            self.left -= _size([line])
        return len(lines)


def _row(verdict: Verdict) -> str:
    before, after = changes.sides(verdict.change)
    word = changes.WORDS[verdict.outcome]
    why = changes.because(verdict)
    if verdict.detectable is not None:
        why += f"; detectable: {changes.detectable(verdict)}"
    cells = (
        f"**{word}**" if verdict.outcome != "pass" else word,
        code(_clipped(verdict.case)),
        escape(_clipped(changes.title(verdict.metric))),
        escape(before),
        escape(after),
        escape(changes.shift(verdict.change)),
        code(_clipped(verdict.rule)),
        escape(_clipped(why)),
    )
    return _line(cells)


def _sides(report: GateReport) -> str:
    return f"{code(_clipped(report.candidate))} against {code(_clipped(report.baseline))}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _clipped(value: str) -> str:
    return value if len(value) <= _LONGEST_CELL else value[: _LONGEST_CELL - 1] + "…"


def _size(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
