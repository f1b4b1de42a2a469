"""The step's summary and annotations, as GitHub's runner reads them back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given

from bench.errors import UserError
from bench.report import changes
from bench.report.github import MOST, SUMMARY, command, tell, workflow_commands
from bench.report.pull_request import comment
from tests.report.test_gate_report import NASTY, anything, change, mixed, report, verdict


def unescaped(value: str) -> str:
    """As the runner turns it back: the percent sign last."""
    for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(code, sign)
    return value


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message of a workflow command."""
    found = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert found is not None, line
    properties = dict(pair.split("=", 1) for pair in found[2].split(","))
    return found[1], {key: unescaped(value) for key, value in properties.items()}, unescaped(found[3])


def test_a_regression_is_an_error_what_is_open_a_warning_and_the_rest_is_silent() -> None:
    levels = [read(line)[0] for line in workflow_commands(mixed(1, 1, 1, 1, 1))]
    assert levels == ["error", "warning", "warning"]


def test_an_annotation_says_figures_rule_and_reason() -> None:
    level, properties, message = read(workflow_commands(report(verdict(remedy="more rounds")))[0])
    assert level == "error"
    assert properties["title"].startswith("regressed: p50 of mnist_cnn@digits/int8")
    for said in ("81.2 µs to 84.6 µs, +4.2 % [3.1, 5.3]", 'p50_latency = "2%"', "the reason why", "to do: more rounds"):
        assert said in message


@example(NASTY, NASTY)
@given(anything, anything)
def test_whatever_a_name_or_a_reason_holds_it_is_one_command_and_reads_back(title: str, message: str) -> None:
    line = command("error", title, message)
    assert "\n" not in line
    assert "\r" not in line
    assert line.count("::") >= 2
    level, properties, said = read(line)
    assert (level, set(properties)) == ("error", {"title"})
    if not re.search(r"%(?:25|0A|0D|3A|2C)", title + message):
        assert properties["title"] == changes.plain(title)
        assert said == message


@example(NASTY, NASTY)
@given(anything, anything)
def test_a_suite_cannot_issue_commands_of_its_own(case: str, reason: str) -> None:
    lines = workflow_commands(report(verdict(case=case, reason=reason, change=None)))
    assert len(lines) == 1
    assert len(lines[0].splitlines()) == 1
    assert lines[0].startswith("::error title=")


@pytest.mark.parametrize(("count", "lines"), [(MOST, MOST), (MOST + 1, MOST), (500, MOST)])
def test_there_are_ten_of_a_kind_at_most_and_the_last_counts_the_others(count: int, lines: int) -> None:
    errors = [line for line in workflow_commands(mixed(regressed=count)) if line.startswith("::error")]
    assert len(errors) == lines
    hidden = count - (lines if count <= MOST else lines - 1)
    assert (f"{hidden} regressed more" in errors[-1]) == (hidden > 0)


def test_regressions_do_not_take_the_room_of_warnings() -> None:
    lines = workflow_commands(mixed(regressed=50, missing=3, inconclusive=30))
    assert sum(line.startswith("::warning") for line in lines) == MOST
    assert "1 missing" not in lines[-1]
    assert "24 inconclusive more" in lines[-1]


def test_the_summary_is_added_to_what_is_there(tmp_path: Path) -> None:
    path, of, told = tmp_path / "summary.md", mixed(regressed=1, passed=2), list[str]()
    path.write_text("# of another command, without an end of line")
    tell(of, {SUMMARY: str(path)}, told.append)
    assert path.read_text() == f"# of another command, without an end of line\n{comment(of)}"
    assert "".join(told).splitlines() == workflow_commands(of)


def test_a_summary_of_its_own_begins_at_the_first_line(tmp_path: Path) -> None:
    tell(mixed(passed=1), {SUMMARY: str(tmp_path / "new.md")}, lambda line: None)
    assert (tmp_path / "new.md").read_text() == comment(mixed(passed=1))


def test_outside_of_github_actions_it_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="step summary") as missing:
        tell(mixed(passed=1), {}, lambda line: None)
    assert "--github" in str(missing.value.remedy)
    with pytest.raises(UserError, match="cannot be written"):
        tell(mixed(passed=1), {SUMMARY: str(tmp_path / "no" / "folder")}, lambda line: None)


def test_a_change_without_a_ratio_is_not_told_as_figures() -> None:
    gone = verdict("missing", change=change(None, absent="the candidate has no such case"))
    assert " to –" not in workflow_commands(report(gone))[0]
