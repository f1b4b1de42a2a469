"""A run whose every name and text tries to be something else, through every command that reads runs.

Single reports are in tests/report/test_hostile_names.py, the page in tests/report/test_page.py, `bench serve` in
tests/serve/test_pages.py, pictures in tests/report/test_plots.py.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt
from rich.text import Text

from bench.record.observation import Failure
from bench.report.safe import Screen
from tests.conftest import bench
from tests.kept_runs import failed, keep, observed, row_of

EVIL = "<script>alert(1)</script>\x1b[31m\x1b]0;t\x07\x9b2J\u202e|=1+1\r\n`x` [z](javascript:y)\t<!--"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
READING = [
    ("show", "latest"),
    ("compare", "20260101", "20260102"),
    ("gate", "20260101", "20260102", "--max-regression", "p50_latency=1%"),
    ("history", "p50_latency"),
    ("cost", "latest"),
    ("roofline", "latest"),
    ("pareto", "latest"),
    ("recommend", "latest"),
    ("recommend", "latest", "--model", "m"),
    ("query", "SELECT * FROM cases"),
    ("explain", "latest", "fp32"),
    ("list", "runs"),
    ("show", "no\x1b[31msuch\u202e"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two such runs."""
    root = tmp_path_factory.mktemp("evil")
    for run_id, latency_us in (("20260101-000000-a-0001", 80.0), ("20260102-000000-b-0002", 70.0)):
        seen = [
            observed("fp32", latency_us, model=EVIL),
            observed(f"=1+1{EVIL}", latency_us / 2, seed=1, model=EVIL),
        ]
        bad = msgspec.structs.replace(
            failed("pruned"), failure=Failure(reason=f"=cmd {EVIL}", phase=EVIL, tail=EVIL), dataset=EVIL
        )
        rows = [msgspec.structs.replace(row_of(each), dataset=EVIL, warnings=(EVIL,)) for each in seen]
        keep(root / "results", run_id, [*rows, bad], seen)
    return root


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_no_command_lets_a_name_command_the_terminal(words: tuple[str, ...], place: Path) -> None:
    done = bench(*words, cwd=place)
    assert done.returncode in (0, 1, 2, 3)
    assert "Traceback" not in done.stderr
    assert not CONTROLS.search(done.stdout)
    assert not CONTROLS.search(done.stderr)


def test_what_some_report_forgets_the_screen_takes_out(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(width=200).print(Text(f"a\nb{EVIL}"))
    told = capsys.readouterr().out
    assert told.startswith("a\nb<script>")
    assert not CONTROLS.search(told)


def test_files_for_spreadsheets_machines_and_people_hold_text(place: Path) -> None:
    done = bench("query", "SELECT * FROM cases", "-o", "q.csv", cwd=place)
    assert done.returncode == 0, done.stderr
    printed = bench("query", "--csv", "SELECT * FROM cases", cwd=place).stdout
    for text in ((place / "q.csv").read_text(), printed):
        for line in csv.reader(io.StringIO(text)):
            for cell in line:
                assert not cell.lstrip().startswith(STARTS) or _is_number(cell), cell
    reports = ("--junit", "j.xml", "--markdown", "g.md")
    bench("gate", "20260101", "20260102", "--max-regression", "p50_latency=1%", *reports, cwd=place)
    assert all(
        not CONTROLS.search(value)
        for case in ElementTree.parse(place / "j.xml").iter()
        for value in case.attrib.values()
    )
    flat = MarkdownIt("commonmark", {"html": True}).enable("table").parse((place / "g.md").read_text())
    inner = [part for token in flat for part in (token, *(token.children or []))]
    assert not {part.type for part in inner} & {"link_open", "image"}
    own = {"<!-- counterpoise-gate -->", "<code>", "</code>"}
    assert {part.content.strip() for part in inner if part.type.startswith("html")} <= own
    bench("plot", "latest", "ecdf", "-o", "e.svg", cwd=place)
    assert not [e for e in ElementTree.parse(place / "e.svg").iter() if e.tag.endswith(("script", "foreignObject"))]


def test_json_is_one_document_whatever_the_names_are(place: Path) -> None:
    done = bench("show", "latest", "--json", cwd=place)
    told = json.loads(done.stdout)
    assert {row["dataset"] for row in told["cases"]} == {EVIL}
    assert "\x1b" not in done.stdout


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
