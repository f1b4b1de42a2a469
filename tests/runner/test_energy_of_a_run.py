"""A run on a machine that has RAPL counters, seen from a tree of files that counts as the kernel's does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import bench, bench_process

WATTS = 20.0
SUITE = """
name = "energy"
[measure]
warmup_max_s = 0.3
min_s = 1.0
max_s = 1.2
idle_s = 0.5
{more}
[[matrix]]
models = ["mnist_cnn@digits"]
variants = ["fp32"]
runtimes = ["litert-xnnpack"]
"""


@pytest.fixture
def rapl(tmp_path: Path) -> Iterator[Path]:
    """A powercap tree whose package counter runs at 20 W and wraps around every 8 J."""
    zone = tmp_path / "root/sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    wrap = 8_000_000
    (zone / "max_energy_range_uj").write_text(f"{wrap}\n")
    counter, fresh = zone / "energy_uj", zone / ".next"
    counter.write_text("0\n")
    stop = threading.Event()

    def count() -> None:
        began = time.perf_counter()
        while not stop.wait(0.001):
            fresh.write_text(f"{int((time.perf_counter() - began) * WATTS * 1e6) % wrap}\n")
            fresh.rename(counter)

    thread = threading.Thread(target=count)
    thread.start()
    yield tmp_path / "root"
    stop.set()
    thread.join()


def measured(tmp_path: Path, more: str = "", env: dict[str, str] | None = None) -> dict[str, Any]:
    (tmp_path / "s.toml").write_text(SUITE.format(more=more))
    # The counter runs in this process, whose threads a run would keep to one core.
    done = bench_process("run", "s.toml", "--json", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_energy_comes_from_the_counter_with_bounds_that_hold_the_truth_and_rest_is_no_net_energy(
    tmp_path: Path, rapl: Path
) -> None:
    run = measured(tmp_path, env={"BENCH_SYSFS_ROOT": str(rapl)})
    figures = run["cases"][0]["metrics"]
    assert figures["energy"]["how"] == "measured:rapl"
    assert figures["power"]["low"] * 0.98 <= WATTS <= figures["power"]["high"] * 1.02
    assert figures["power"]["value"] == pytest.approx(WATTS, rel=0.1)
    assert figures["energy"]["n"] > 1
    truth = WATTS / figures["throughput"]["value"]
    assert figures["energy"]["value"] == pytest.approx(truth, rel=0.5), "per example; gaps between blocks count as well"
    # The load draws no more than rest.
    assert figures["idle_power"]["value"] == pytest.approx(WATTS, rel=0.1)
    assert figures["energy_net"]["low"] <= 0 <= figures["energy_net"]["high"]
    assert abs(figures["energy_net"]["value"]) < figures["energy"]["value"] / 4
    telemetry = pl.read_parquet(tmp_path / run["folder"] / "telemetry.parquet")
    assert telemetry.filter(pl.col("sensor") == "rapl").height > 4
    assert {"idle-before", "idle-after"} <= set(telemetry["edge"].unique().to_list())


def test_an_estimate_is_made_only_when_asked_for_and_is_called_one(tmp_path: Path) -> None:
    root = {"BENCH_SYSFS_ROOT": str(tmp_path / "empty")}
    plain = measured(tmp_path, env=root)["cases"][0]["metrics"]
    assert plain["energy"]["value"] is None
    assert "RAPL" in plain["energy"]["how"]
    asked = measured(tmp_path, more="tdp_w = 50\nidle_w = 5", env=root)["cases"][0]["metrics"]
    assert {asked[name]["how"] for name in ("energy", "energy_net", "power", "idle_power")} == {"estimated:tdp"}
    # CPU times come in ticks, so that a short block may seem a little busier than it can be.
    assert 0 < asked["power"]["value"] <= 55
    shown = bench("show", cwd=tmp_path).stdout
    assert "est." in shown
