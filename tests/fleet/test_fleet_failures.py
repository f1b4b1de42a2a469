"""A fleet of real processes under attack: the table is complete in the end, no case twice, none lost."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from bench.fleet.record import read_fleet
from bench.store.fleets import find_fleet
from bench.store.manifest import read_manifest
from bench.store.tables import read_cases
from tests.conftest import bench
from tests.fleet.fleets import Processes, fake_target, measures, tiny_suite, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE = ("--lost-after", "5", "--wait", "90")


def test_workers_that_die_or_fall_silent_and_a_new_scheduler_cost_no_case(tmp_path: Path) -> None:
    suite = tiny_suite(tmp_path)
    left, right = fake_target(tmp_path, "left"), fake_target(tmp_path, "right")
    with Processes(tmp_path) as processes:
        scheduler, address = processes.scheduler()
        killed, stopped, _ = processes.workers(address, {"killed": left, "stopped": right, "real": None})
        parent, log = processes.start("run", str(suite), "--scheduler", address, *PATIENCE)

        until(lambda: measures(killed))
        killed.kill()
        until(lambda: measures(stopped))
        stopped.send_signal(signal.SIGSTOP)
        until(lambda: "lost worker killed" in log.read_text())
        until(lambda: "lost worker stopped" in log.read_text())
        processes.workers(address, {"left-again": left, "right-again": right})
        stopped.send_signal(signal.SIGCONT)
        until(lambda: "[7/12]" in log.read_text())

        scheduler.kill()
        assert parent.wait(60) == 1, log.read_text()
        assert "the scheduler is gone" in log.read_text()
        part = read_fleet(find_fleet("latest", tmp_path / "results"))
        assert part.status == "interrupted"
        on_record = sum(part.done.values())
        assert 7 <= on_record < 12

        processes.scheduler(int(address.rpartition(":")[2]))
        parent, log = processes.start("run", "--resume", "latest", "--scheduler", address, *PATIENCE)
        assert parent.wait(120) == 0, log.read_text()
        assert f"{12} of 12 cases on record, 0 lost" in log.read_text()
        assert len(re.findall(r"^\[\d+/12\]", log.read_text(), re.MULTILINE)) == 12 - on_record

    fleet = read_fleet(find_fleet("latest", tmp_path / "results"))
    assert (fleet.status, fleet.lost, len(fleet.targets)) == ("complete", (), 3)
    seen = []
    for run_id in fleet.runs:
        folder = tmp_path / "results" / run_id
        manifest, rows = read_manifest(folder), read_cases(folder)
        assert manifest.fleet == fleet.fleet_id
        assert [row.case for row in rows] == list(manifest.cases)
        assert all(row.status == "ok" for row in rows)
        assert manifest.profile is not None
        seen += [(str(manifest.profile["name"]), row.case.id) for row in rows]
        assert bench("show", run_id, "--json", cwd=tmp_path).returncode == 0
    wanted = [(target, case.id) for target, cases in fleet.cells().items() for case in cases]
    assert len(wanted) == 12
    assert sorted(seen) == sorted(wanted)
