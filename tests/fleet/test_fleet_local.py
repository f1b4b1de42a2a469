"""A fleet on one machine, for trial; and Ctrl-C in the middle of it."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import psutil
import pytest

from bench.fleet.record import read_fleet
from bench.store.fleets import find_fleet
from bench.store.tables import read_cases
from tests.conftest import bench
from tests.fleet.fleets import Processes, fake_target, tiny_suite, until
from tests.trust.listening import all_loopback, listening

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_workers_of_one_machine_share_it_and_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    suite, left, right = tiny_suite(tmp_path), fake_target(tmp_path, "left"), fake_target(tmp_path, "right")
    with Processes(tmp_path) as processes:
        cluster, log = processes.start("local", "-n", "3", "--target", str(left), "--target", str(right))
        address = until(lambda: found.group() if (found := re.search(r"^tcp://\S+$", log.read_text(), re.M)) else "")
        until(lambda: log.read_text().count("joined") == 3)
        told = json.loads(bench("fleet", "status", "--scheduler", address, "--json", cwd=tmp_path).stdout)
        assert sorted(worker["target"] for worker in told) == ["left", "left", "right"]
        assert len({worker["machine"] for worker in told}) == 1
        assert {worker["state"] for worker in told} == {"ready"}
        drawn = bench("fleet", "status", "--scheduler", address, cwd=tmp_path).stdout
        assert drawn.count("ready") == 3

        targets = ("--target", "left", "--target", "right")
        parent, progress = processes.start(
            "run", str(suite), "--scheduler", address, *targets, "--only", "single-stream"
        )
        until(lambda: "[1/4]" in progress.read_text())
        parent.send_signal(signal.SIGINT)
        assert parent.wait(30) == 130
        done = sum(read_fleet(find_fleet("latest", tmp_path / "results")).done.values())
        assert 1 <= done < 4

        went_on = bench("fleet", "run", "--resume", "latest", "--scheduler", address, "--json", cwd=tmp_path)
        assert went_on.returncode == 0, went_on.stderr
        fleet = json.loads(went_on.stdout)
        assert {line["target"]: line["measured"] for line in fleet["table"]} == {"left": "2 of 2", "right": "2 of 2"}
        assert sum(len(read_cases(tmp_path / "results" / run)) for run in fleet["runs"]) == 4
        by_target = bench("compare", fleet["fleet_id"], "--by", "target", "--json", cwd=tmp_path)
        assert by_target.returncode == 0, by_target.stderr

        children = psutil.Process(cluster.pid).children(recursive=True)
        assert len(children) >= 4
        assert all_loopback(listening(cluster.pid))
        cluster.terminate()
        assert cluster.wait(30) == 0
        assert not psutil.wait_procs(children, timeout=10)[1]
    assert "complete" in bench("fleet", "list", cwd=tmp_path).stdout
    (listed,) = json.loads(bench("fleet", "list", "--json", cwd=tmp_path).stdout)
    assert listed["fleet"] == fleet["fleet_id"]
    assert "left" in bench("fleet", "show", cwd=tmp_path).stdout
    assert json.loads(bench("fleet", "show", "--json", cwd=tmp_path).stdout) == fleet
