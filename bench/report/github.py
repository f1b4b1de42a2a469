"""A gate's report where GitHub Actions shows it: the step's summary and annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.errors import UserError
from bench.record.comparison import GateReport, Outcome, Verdict
from bench.report import changes
from bench.report.pull_request import comment

SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable that names the file whose content GitHub shows as the step's summary."""

MOST = 10
"""Annotations of one kind that GitHub shows for one step."""

_LEVELS: dict[str, tuple[Outcome, ...]] = {"error": ("regressed",), "warning": ("missing", "inconclusive")}


def tell(report: GateReport, environment: Mapping[str, str], write: Callable[[str], object]) -> None:
    """Append the summary to the file that `environment` names, and `write` a line for each annotation.

    Raises:
        UserError: no such file is named (this is not a job of GitHub Actions), or it cannot be written.
    """
    named = environment.get(SUMMARY)
    if not named:
        raise UserError(
            "there is no file for a step summary",
            where=SUMMARY,
            remedy="--github is for jobs of GitHub Actions, where that variable is set; leave it out elsewhere",
        )
    summarise(report, Path(named))
    for line in workflow_commands(report):
        write(line + "\n")


def summarise(report: GateReport, path: Path) -> None:
    """Append the report to a step summary, which other commands may have begun. Raises `UserError`."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(("\n" if file.tell() else "") + comment(report))
    except OSError as error:
        raise UserError(
            f"the step summary cannot be written: {error.strerror or error}",
            where=str(path),
            remedy=f"let {SUMMARY} name a file in a folder that exists",
        ) from error


def workflow_commands(report: GateReport) -> list[str]:
    """Annotations: an error for each regression, a warning for what is open.

    At most `MOST` of a kind; where there are more, the last one counts those that are not shown.
    """
    ordered = changes.ranked(report.verdicts)
    lines = []
    for level, outcomes in _LEVELS.items():
        found = [verdict for verdict in ordered if verdict.outcome in outcomes]
        shown = found if len(found) <= MOST else found[: MOST - 1]
        lines += [command(level, _title(verdict), _message(verdict)) for verdict in shown]
        lines += _rest(level, found[len(shown) :])
    return lines


def command(level: str, title: str, message: str) -> str:
    """One workflow command, escaped as GitHub's runner reads it back."""
    return f"::{level} title={_property(changes.plain(title))}::{_data(message)}"


def _rest(level: str, verdicts: Sequence[Verdict]) -> list[str]:
    if not verdicts:
        return []
    told = f"{changes.counted(verdict.outcome for verdict in verdicts)} more; the step's summary has them"
    return [command(level, "Benchmark gate", told)]


def _title(verdict: Verdict) -> str:
    return f"{changes.WORDS[verdict.outcome]}: {changes.title(verdict.metric)} of {verdict.case}"


def _message(verdict: Verdict) -> str:
    before, after = changes.sides(verdict.change)
    figures = f"{before} to {after}, {changes.shift(verdict.change)}"
    shown = [figures] if verdict.change is not None and verdict.change.ratio is not None else []
    return "\n".join([*shown, f"rule: {changes.plain(verdict.rule)}", changes.because(verdict)])


def _data(value: str) -> str:
    # The percent sign first, as it begins the others.
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
