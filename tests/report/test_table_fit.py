"""A table in any width: whole numbers, decimal points under each other, a mark for the best."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bench.record.measurement import Measurement
from bench.record.row import Row
from bench.report import compare, gate, query
from bench.report.align import aligned, shortened
from bench.report.table import Column, Table
from bench.report.terminal import BEST, fit
from bench.store.manifest import write_manifest
from bench.store.tables import write_cases
from tests.kept_runs import keep_small
from tests.report.test_gate_report import change, report, verdict
from tests.report.test_tables import drawn, manifest_for, row

NUMBERS = re.compile(r"\d[\d.,]*\d|\d")
WORDS = "m/quantised-in-part/onnxruntime-cpu/single-stream"
"""A name that has no digits, which could be taken for those of a figure."""
WIDTHS = (20, 30, 40, 60, 80, 100, 200)


def rows() -> list[Row]:
    metrics = {
        "accuracy": Measurement(value=0.99, unit="1", n=600, how="measured:x"),
        "p99_latency": Measurement(value=123.4e-6, unit="s", n=600, how="measured:clock"),
        "throughput": Measurement(value=12_345.6, unit="1/s", n=600, how="measured:clock"),
    }
    named = [("fp32", 80e-6), ("int8-dynamic", 1.5e-3), ("pruned-channels", 9.04e-6)]
    return [row(name, latency=s, metrics={**row(latency=s).metrics, **metrics}) for name, s in named]


def lines_of(table: Table, width: int, **how: object) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False, **how)  # type: ignore[arg-type]
    console.print(fit(table, console))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_are_whole_in_every_width(width: int) -> None:
    shown = drawn(width, *rows())
    for figure in (r"80\.0 +±1\.0%", r"1,500 +±1\.0%", r"9\.04 +±1\.0%"):
        assert re.search(figure, shown), shown
    there = set(NUMBERS.findall(shown.partition("left out")[0].partition("•")[0]))
    assert there <= set(NUMBERS.findall(drawn(400, *rows()))), "a part of a number is another number"


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    table = drawn(width, *rows()).partition("left out")[0].partition(f"{BEST} best")[0]
    assert all(cell_len(line.rstrip()) <= width for line in table.splitlines())


def test_what_is_left_out_is_named_in_one_line_with_the_way_to_see_it() -> None:
    shown = " ".join(drawn(60, *rows()).split())
    assert "left out: p99 µs, rate 1/s, size KiB, ran on; all: --json, or a wider terminal" in shown
    assert "left out" not in drawn(400, *rows())


def test_decimal_points_of_a_column_stand_under_each_other() -> None:
    lines = [line for line in drawn(200, *rows()).splitlines() if re.search(r"±1\.0%", line)]
    points = {line.index("±1.0%") for line in lines}
    assert len(points) == 1
    assert aligned(("80.0 ±1.0%", "1,500 ±12.5%", "–", "≈9.04 est.", "failed")) == (
        "   80.0   ±1.0% ",
        "1,500    ±12.5% ",
        "    –           ",
        "   ≈9.04    est.",
        "          failed",
    )


@given(st.lists(st.floats(0, 1e6).map(lambda x: f"{x:,.3g}" if x < 100 else f"{x:,.0f}") | st.just("–"), min_size=1))
def test_aligned_cells_are_the_same_figures_in_one_width(cells: list[str]) -> None:
    made = aligned(cells)
    assert [cell.split() for cell in made] == [cell.split() for cell in cells]
    assert len({cell_len(cell) for cell in made}) == 1


@given(st.text(st.sampled_from("abe/-_=.,12345 é漢"), max_size=40), st.integers(1, 40))
def test_a_number_in_a_shortened_text_is_whole_or_not_there(text: str, width: int) -> None:
    made = shortened(text, width)
    assert cell_len(made) <= max(width, 1)
    number = re.compile(r"\d[\d.,]*(?:e[-+]?\d+)?")
    whole = number.findall(text)
    assert all(found in whole for part in made.split("…") for found in number.findall(part))
    if made != text:
        start, end = made.split("…")
        assert text.startswith(start)
        assert text.endswith(end)


def test_the_best_is_marked_without_colour_and_the_mark_is_explained() -> None:
    shown = drawn(200, *rows())
    assert f"9.04 ±1.0%{BEST}" in re.sub(r" +", " ", shown)
    assert f"80.0 ±1.0%{BEST}" not in re.sub(r" +", " ", shown)
    assert f"{BEST} best of its column" in shown
    same = [row("fp32"), row("int8")]
    assert f"{BEST} best" not in drawn(200, *same), "nothing is marked where all are alike"


def test_names_are_cut_in_the_middle_and_columns_of_numbers_never() -> None:
    table = Table("", (Column("name", ("x" * 60 + "end",)), Column("threads", ("16384",)), Column("p50", ("1.25",))))
    (line,) = [line for line in lines_of(table, 40) if "…" in line]
    assert line.startswith("xxxx")
    assert "xend" in line
    assert "16384" in line
    assert "1.25" in line


@pytest.mark.parametrize("width", [20, 30, 45, 60])
@pytest.mark.parametrize("kind", ["query", "compare", "gate"])
def test_no_figure_of_a_query_comparison_or_gate_is_cut_in_any_width(kind: str, width: int) -> None:
    def shown(width: int) -> str:
        file = io.StringIO()
        console = Console(file=file, width=width, highlight=False)
        if kind == "query":
            figures = {"p50": [7.65741e-05, 1.5e-4], "low": [7.1e-05, 0.000128612], "n": [46969, 16384], "at": [-1, 2]}
            figure = [{"value": v, "unit": "s", "n": 3} for v in (80.4e-6, 1.25e-3)]
            query.draw(console, pl.DataFrame({"name": [WORDS, "m/plain/litert"], **figures, "p99": figure}))
        elif kind == "compare":
            compare.draw(console, [change(case=WORDS), change(0.9, "m/plain/litert", before=22.8e-3)])
        else:
            gate.draw(console, report(verdict(case=WORDS), verdict("inconclusive", "m/plain/litert", 1.001)))
        return file.getvalue()

    def words(text: str) -> set[str]:
        figures = (re.sub(r"[^\d.,e+-]+$|^[^\d+-]+", "", word) for word in re.split(r"[\s│┃]+", text))
        return {figure for figure in figures if re.fullmatch(r"[+-]?\d[\d.,]*(e[+-]?\d+)?", figure)}

    made = shown(width)
    assert all(cell_len(line.rstrip()) <= width for line in made.splitlines() if not line.startswith(("•", "branch")))
    assert "…" not in made
    assert words(made) <= words(shown(400)), "a part of a number is another number"
    must = {
        "query": ("7.65741e-05", "0.000128612", "46969", "80.4"),
        "compare": ("+4.2 ", "-10.0 "),
        "gate": ("+0.10",),
    }
    assert all(figure in made for figure in must[kind]), made
    assert "m/pla" in made
    assert kind != "gate" or "inconclusive" in made.replace("1 inconclusive", "")


@pytest.mark.parametrize("columns", [20, 45])
def test_a_query_on_a_real_narrow_terminal_shows_whole_numbers(tmp_path: Path, columns: int) -> None:
    keep_small(tmp_path / "results", "20260101-000000-s-aa")
    sql = "SELECT name, p50_latency.value AS p50, size.value AS size, p99_latency.n AS n FROM cases WHERE status = 'ok'"
    shown = on_a_terminal(["query", sql], tmp_path, columns=columns)
    assert all(cell_len(line) <= columns for line in shown.splitlines())
    assert shown.count(" 2048") == 2, shown
    assert "…" not in shown


def test_a_figure_as_wide_as_the_terminal_is_not_indented() -> None:
    assert "76.6 ±11.7%" in lines_of(Table("", (Column("p50 µs", ("76.6 ±11.7%",), numeric=True),) * 2), 12)


def test_the_exponent_is_part_of_a_number() -> None:
    assert shortened("-1.5e-05 xxx yyy zzz", 10) == "… zzz"
    assert shortened("-1.5e-05 xxx yyy zzz", 18).startswith("-1.5e-05 ")


def test_where_nothing_helps_a_row_takes_several_lines() -> None:
    columns = [Column(title, ("onnxruntime", "litert")) for title in ("variant", "runtime", "scenario", "options")]
    figures = Column("p50 µs", ("1,234.5", "8.1"), numeric=True)
    made = lines_of(Table("m", (*columns, figures)), 24)
    assert [line.split() for line in made if "p50" in line] == [["p50", "µs", "1,234.5"], ["p50", "µs", "8.1"]]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_the_characters_is_no_reason_to_fail(encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=200, highlight=False)
    console.print(fit(Table("m – n", (Column("p50 µs", ("≈80.0 ±1.0%",), numeric=True),)), console))
    file.flush()
    assert b"80.0" in file.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_real_terminal_of_sixty_columns_shows_whole_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "20260101-000000-s-aa"
    folder.mkdir(parents=True)
    write_manifest(folder, manifest_for(*rows()))
    write_cases(folder, folder.name, rows())
    shown = on_a_terminal(["show", folder.name], tmp_path, columns=60)
    table = shown.partition("left out")[0]
    assert all(cell_len(line) <= 60 for line in shown.splitlines())
    for figure in (r"0\.9900", r"80\.0 +±1\.0%", r"1,500 +±1\.0%", r"9\.04 +±1\.0%\*"):
        assert re.search(figure, table), shown


def on_a_terminal(arguments: list[str], cwd: Path, *, columns: int) -> str:
    """What the command writes to a terminal of its own, without colour codes."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "COLUMNS", "LINES")} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments], cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    give_up = time.monotonic() + 120
    try:
        while time.monotonic() < give_up:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    part = os.read(ours, 65536)
                except OSError:
                    break
                if not part:
                    break
                written += part
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode()).replace("\r\n", "\n")
