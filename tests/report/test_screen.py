"""Standard output as a command sees it: any encoding, and a reader who goes away."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.report.safe import Screen, encodable
from tests.kept_runs import keep_small

RUN = "20260101-000000-s-aa"
ASCII = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run."""
    folder = tmp_path_factory.mktemp("work")
    keep_small(folder / "results", RUN)
    return folder


def printed(work: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    # This one would overrule the locale.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | ASCII
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("ascii")


def test_what_the_encoding_lacks_is_spelled_by_every_command(work: Path) -> None:
    shown = printed(work, "compare", RUN, RUN)
    assert "- energy" in shown
    assert "us" in shown


def test_a_query_in_letters_that_the_encoding_lacks_is_understood(work: Path) -> None:
    sql = "SELECT 'µs' AS unit FROM runs"
    assert json.loads(printed(work, "query", sql, "--json")) == [{"unit": "µs"}]


def test_a_reader_who_has_seen_enough_is_no_failure(work: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "bench", "show", RUN]
    done = subprocess.run(command, cwd=work, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_text_is_spelled_in_what_an_encoding_has_and_in_ascii_where_no_such_encoding_is_known() -> None:
    assert encodable("81 µs ±1 % 中", "ascii") == "81 us +-1 % ?"
    assert encodable("81 µs", "latin-1") == "81 µs"
    assert encodable("81 µs", "no-such-encoding") == "81 ?s"


def test_only_writing_is_spelled_and_what_cannot_be_read_stays_an_error() -> None:
    assert "81 µs".encode("ascii", "counterpoise.spelled") == b"81 us"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "counterpoise.spelled")


def test_a_stream_that_is_no_file_is_written_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    Screen(width=80).print("81 µs\x1b[2J")
    assert out.getvalue() == "81 µs\ufffd[2J\n"
