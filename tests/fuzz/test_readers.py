"""Every reader under a coverage-guided fuzzer for a while; `tox -e fuzz`. `tests/hostile` tries the same in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

READERS = [
    *("suite", "profile", "manifest", "fleet", "baseline", "foreign", "entry", "message", "bundle", "data", "words")
]
SECONDS = int(os.environ.get("BENCH_FUZZ_SECONDS", "120"))
"""How long each reader is fuzzed."""


@pytest.mark.fuzz
@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_gives_a_value_or_a_message(reader: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="the fuzzer is not installed")
    done = subprocess.run(
        [
            *(sys.executable, str(Path(__file__).with_name("readers.py")), reader, str(tmp_path / "corpus")),
            *(f"-max_total_time={SECONDS}", "-seed=1", f"-artifact_prefix={tmp_path}/"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
