"""One process runs the quick suite again and again and must not grow. `tox -e soak`; two hours, or BENCH_SOAK_S."""

from __future__ import annotations

import gc
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from scipy import stats

import bench

pytestmark = [pytest.mark.soak, pytest.mark.timeout(6 * 3600)]

LONG_S = float(os.environ.get("BENCH_SOAK_S", "7200"))
SETTLING = 3
"""Rounds until everything that is imported late is there."""
MOST_GROWTH = 0.02
"""Of memory, over the whole loop."""


@dataclass(frozen=True)
class Held:
    """What the parent holds after a round, when its garbage is collected. `uss` in bytes is its own memory."""

    seconds: float
    cases: int
    failed: int
    uss: int
    handles: int
    threads: int
    children: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:6.1f} s  {self.cases} cases, {self.failed} failed  {self.uss / 2**20:7.2f} MiB  "
            f"{self.handles} handles  {self.threads} threads  {self.children} children"
        )


def a_round(out: Path) -> Held:
    started = time.monotonic()
    run = bench.run("quick", out=out, progress=False)
    cases, failed = len(run.rows), sum(row.status == "failed" for row in run.rows)
    seconds = time.monotonic() - started
    del run
    shutil.rmtree(out)
    gc.collect()
    me = psutil.Process()
    return Held(
        seconds=seconds,
        cases=cases,
        failed=failed,
        uss=me.memory_full_info().uss,
        handles=me.num_handles() if psutil.WINDOWS else me.num_fds(),
        threads=me.num_threads(),
        children=len(me.children(recursive=True)),
    )


def test_a_parent_that_goes_on_for_hours_does_not_grow(tmp_path: Path) -> None:
    deadline = time.monotonic() + LONG_S
    rounds: list[Held] = []
    while time.monotonic() < deadline or len(rounds) < SETTLING + 3:
        rounds.append(a_round(tmp_path / "results"))
        print(f"round {len(rounds):3d}  {rounds[-1]}", flush=True)
    steady = rounds[SETTLING:]
    uss = np.array([held.uss for held in steady], dtype=float)
    slope, _, low, high = stats.theilslopes(uss)
    grown = slope * (len(uss) - 1) / np.median(uss)
    print(
        f"{len(rounds)} rounds, {sum(held.cases for held in rounds)} cases: median {np.median(uss) / 2**20:.2f} MiB, "
        f"{slope / 1024:+.1f} KiB a round, 95 % [{low / 1024:+.1f}, {high / 1024:+.1f}] (Theil-Sen), {grown:+.2%}"
    )
    assert sum(held.failed for held in rounds) == 0
    assert {held.cases for held in rounds} == {rounds[0].cases}
    assert max(held.children for held in rounds) == 0
    assert max(held.handles for held in steady) <= max(held.handles for held in rounds[:SETTLING])
    assert max(held.threads for held in steady) <= max(held.threads for held in rounds[:SETTLING])
    assert grown <= MOST_GROWTH
