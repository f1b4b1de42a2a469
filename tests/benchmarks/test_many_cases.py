"""Ten thousand cases against ten thousand: what `bench compare` and `bench gate` take for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.kept_runs import keep, observed, row_of

CASES = 10_000
MOST_S, MOST_BYTES = 3.0, 500e6

SCRIPT = """
import resource, sys, time
began = time.perf_counter()
from pathlib import Path
from bench.analyse.compare import METRICS, compare
from bench.analyse.gate import gate
from bench.analyse.rules import parse_word
from bench.store.open import open_snapshot
results = Path(sys.argv[1])
before, after = (open_snapshot(name, results) for name in ("a", "b"))
changes = compare(before, after).changes
seconds = time.perf_counter() - began
gate(before, after, [parse_word("p50_latency=5%", "")])
print(len(changes), len(METRICS), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of so many cases."""
    folder = tmp_path_factory.mktemp("many")
    few = [row_of(observed("fp32", 50 + i, seed=i)) for i in range(7)]
    rows = [replace(few[i % 7], case=replace(few[0].case, model=f"m{i}")) for i in range(CASES)]
    for name in ("a", "b"):
        keep(folder, name, rows)
    return folder


def test_ten_thousand_cases_are_compared_within_three_seconds_and_500_megabytes(results, benchmark):
    def compared() -> list[float]:
        done = subprocess.run([sys.executable, "-c", SCRIPT, str(results)], capture_output=True, text=True, check=True)
        return [float(word) for word in done.stdout.split()]

    told = benchmark.pedantic(compared, rounds=3, iterations=1)
    changes, metrics, seconds, memory = told
    assert changes == CASES * metrics
    assert seconds < MOST_S
    assert memory < MOST_BYTES
