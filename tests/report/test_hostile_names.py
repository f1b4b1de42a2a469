"""Names that try to be something else: markup, a formula, a table's border, a terminal's command, or endless."""

from __future__ import annotations

import csv as reader
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from bench.record.observation import Failure
from bench.record.row import Row
from bench.report import terminal
from bench.report.csv import csv
from bench.report.github import workflow_commands
from bench.report.junit import junit
from bench.report.live import Live
from bench.report.markdown import markdown
from bench.report.pull_request import comment
from tests.report.test_gate_report import report, verdict
from tests.report.test_tables import drawn, manifest_for, row

NAMES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "a\nb\r\nc",
    "=cmd()",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "＝1+1",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\u202egnp.elifed",
    "../" * 60 + "model.onnx",
    "[bold]not markup[/bold]",
    "`x` **y** [z](javascript:alert(1))",
    "# heading",
    '","',
    "x" * 200,
]
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
anything = st.text(max_size=60)


def rows_of(name: str) -> list[Row]:
    failure = Failure(reason=f"crashed in {name}", phase="load")
    return [row(model=name, variant=name), row(model=name, variant="int8", status="failed", failure=failure)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_terminal_gets_no_control_characters_and_whole_figures(name: str, width: int) -> None:
    shown = drawn(width, *rows_of(name))
    assert not CONTROLS.search(shown)
    assert re.search(r"80\.0 +±1\.0%", shown)


def test_a_coloured_terminal_gets_only_the_colours_of_the_report() -> None:
    file = io.StringIO()
    console = Console(file=file, width=200, force_terminal=True, color_system="standard", highlight=False)
    rows = rows_of("\x1b[31mred\x1b]0;t\x07[blink]")
    terminal.show(console, Path("folder\x1b[5m"), manifest_for(*rows), rows)
    shown = file.getvalue()
    assert "[blink]" in shown, "square brackets are text"
    assert "\x07" not in shown
    assert "\x1b[5m" not in shown
    assert "\x1b]" not in shown


@settings(max_examples=25)
@given(anything)
def test_no_text_at_all_reaches_the_terminal_as_a_control(name: str) -> None:
    assert not CONTROLS.search(drawn(120, *rows_of(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_of_a_run_that_goes_on_stay_lines(name: str) -> None:
    file = io.StringIO()
    with Live(Console(file=file)) as live:
        live.stage(f"training {name}")
        live.begin(2, 0)
        for made in rows_of(name):
            live.case(made.case, 0)
            live.done(made)
    assert len(file.getvalue().splitlines()) == 3
    assert not CONTROLS.search(file.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_the_name_as_text_in_its_cell(name: str) -> None:
    rows = rows_of(name)
    made = markdown(manifest_for(*rows), rows)
    assert not CONTROLS.search(made)
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(made)
    flat = [inner for token in tokens for inner in (token, *(token.children or []))]
    assert not [
        token for token in flat if token.type in ("html_block", "html_inline", "link_open", "image", "code_inline")
    ]
    wide = {len(line.replace(r"\|", "").split("|")) for line in made.splitlines() if line.startswith("|")}
    assert len(wide) == 1, "a row has as many cells as the head"
    assert sum(token.type == "tr_open" for token in flat) == 3
    assert sum(token.type == "heading_open" and token.tag == "h1" for token in flat) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_spreadsheet_takes_no_text_for_a_formula_and_numbers_stay_numbers(name: str) -> None:
    rows = rows_of(name)
    made = csv("run", rows)
    assert not CONTROLS.search(made)
    lines = list(reader.reader(io.StringIO(made)))
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    for cell in lines[1] + lines[2]:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    at = lines[0].index("p50_latency_s")
    assert float(lines[1][at]) == pytest.approx(80e-6)


@given(anything)
def test_no_text_at_all_is_a_formula(name: str) -> None:
    line = list(reader.reader(io.StringIO(csv(name, rows_of(name)[:1]))))[1]
    assert not [cell for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_quote_stands_before_what_would_be_a_formula(name: str) -> None:
    head, line, _ = list(reader.reader(io.StringIO(csv("run", rows_of(name)))))
    assert line[head.index("variant")].startswith("'")


@pytest.mark.parametrize("name", NAMES)
def test_reports_of_a_gate_stay_what_they_are(name: str) -> None:
    of = report(verdict("regressed", case=name, reason=f"slower: {name}"), notes=(name,))
    xml = junit(of)
    (case,) = ElementTree.fromstring(xml).iter("testcase")
    assert not CONTROLS.search(case.attrib["name"])
    lines = workflow_commands(of)
    assert all(line.startswith("::") and not CONTROLS.search(line) and "\n" not in line for line in lines)
    told = comment(of)
    assert not CONTROLS.search(told)
    assert "<script" not in told.replace(r"\<", "")
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in table}) == 1
