"""A fleet adds nothing to a measurement. `tox -e trials`; some five minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bench.record.artifact import Bundle
from bench.stats.estimate import Estimate
from bench.stats.ratio import ratio_of_medians
from bench.store.runs import list_runs
from tests.conftest import bench
from tests.fleet.fleets import Processes, until

pytestmark = [pytest.mark.trials, pytest.mark.timeout(3600)]

ROUNDS = 10
MOST = 1.03
"""How much slower the ends of the intervals may leave it."""
SUITE = """
name = "both"
[measure]
warmup_min_s = 0.2
warmup_max_s = 1.0
min_s = 0.5
max_s = 1.0
[[matrix]]
models = ["mnist_cnn@digits"]
variants = ["fp32", "int8"]
runtimes = ["onnxruntime-cpu", "litert-xnnpack"]
"""


def medians(folder: Path) -> dict[str, float]:
    """The median latency (ns) of each case of a run."""
    found = pl.read_parquet(folder / "latencies.parquet").group_by("case_id").agg(pl.col("latency_ns").median())
    return dict(found.iter_rows())


def test_a_fleet_of_one_worker_measures_what_a_run_measures(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    del digits_bundle  # it is in the cache
    (tmp_path / "both.toml").write_text(SUITE)
    here: list[dict[str, float]] = []
    there: list[dict[str, float]] = []
    with Processes(tmp_path) as processes:
        _, address = processes.scheduler()
        _, log = processes.start("worker", address)
        until(lambda: "joined" in log.read_text())
        target = log.read_text().partition("target ")[2].partition(",")[0]
        for at in range(ROUNDS):
            ways = [
                (here, ("run", "both.toml", "--profile", target, "--out", f"here-{at}")),
                (there, ("fleet", "run", "both.toml", "--scheduler", address, "--out", f"there-{at}")),
            ]
            # In turns, and each way first as often as the other.
            for into, words in ways if at % 2 == 0 else reversed(ways):
                done = bench(*words, cwd=tmp_path)
                assert done.returncode == 0, done.stderr
                (folder,) = list_runs(tmp_path / words[-1])
                into.append(medians(folder))
    for case in here[0]:
        found = ratio_of_medians([[each[case]] for each in here], [[each[case]] for each in there])
        assert isinstance(found, Estimate)
        print(f"{case}: fleet / run {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]", flush=True)
    logs = [[np.log(t[case] / h[case]) for case in h] for h, t in zip(here, there, strict=True)]
    whole = ratio_of_medians([[1.0]] * ROUNDS, [[float(np.exp(np.mean(each)))] for each in logs])
    assert isinstance(whole, Estimate)
    print(f"all cases: fleet / run {whole.value:.4f} [{whole.low:.4f}, {whole.high:.4f}]", flush=True)
    assert whole.low <= 1 <= whole.high
    assert whole.high < MOST
