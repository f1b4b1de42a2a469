"""Standard output as a command sees it: any encoding, and a reader who goes away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
