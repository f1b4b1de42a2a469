"""A clock that is set back, a machine that sleeps, a process that is stopped: found, told, and in no figure."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.load.still import Disturbed, Still
from bench.metrics.floors import Floors
from bench.metrics.row import make_row
from bench.record.artifact import Bundle
from bench.record.codec import unpack
from bench.record.observation import Observation, Plan
from bench.store import journal, runs, samples
from bench.store.manifest import read_manifest
from bench.worker.measure import measure
from bench.worker.messages import Job
from tests.faults.conftest import Start, System
from tests.faults.marked import Marked, until
from tests.kept_runs import keep_small
from tests.worker.test_measure import Watch, job_for

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="clocks and signals of Linux"),
]
STOPPED_S = 2.0
"""Longer than any call of the smallest model takes on a busy machine."""


def test_names_sort_in_the_order_of_the_runs_when_the_clock_is_set_back(tmp_path: Path) -> None:
    ahead = datetime.now(UTC) + timedelta(days=3)
    keep_small(tmp_path, f"{ahead:%Y%m%d-%H%M%S}-quick-0001")
    (tmp_path / "notes-of-mine").mkdir()
    made = [runs.create(tmp_path, "quick").name for _ in range(3)]
    assert [f"{ahead:%Y%m%d-%H%M%S}-quick-0001", *made] == sorted([f"{ahead:%Y%m%d-%H%M%S}-quick-0001", *made])
    created, why = runs.begun(made[-1])
    assert abs((created - datetime.now(UTC)).total_seconds()) < 60, "the date is what the clock shows"
    assert why is not None
    assert "another run in the folder is dated later, or the clock was set back" in why
    assert runs.in_order(made[0], f"{datetime.now(UTC):%Y}") > runs.in_order("of-no-time", f"{created:%Y-%m-%d}")


@pytest.mark.parametrize("name", ["99991231-235959-evil-0001", "99990101-000000-x-0001", "20990101-000000-x-0001"])
def test_a_name_of_the_far_future_neither_ends_a_run_nor_names_the_ones_after_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    now = datetime.now(UTC)
    made = runs.create(tmp_path, "s").name
    named = runs.named_time(made)
    assert named is not None
    assert abs((named - now).total_seconds()) < 60
    assert runs.begun(made)[1] is None


@pytest.mark.parametrize("name", ["99999999-999999-x", "00000000-000000-y", "20260101", "run"])
def test_a_name_that_is_no_time_says_nothing_of_the_clock(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    now = datetime.now(UTC)
    assert abs((runs.begun(runs.create(tmp_path, "s").name)[0] - now).total_seconds()) < 60
    assert runs.begun(name)[1] is None


def test_a_run_after_the_clock_was_set_back_is_the_latest_and_says_so(
    tmp_path: Path, start: Start, system: System, line_suite: Callable[..., str]
) -> None:
    before = keep_small(tmp_path / "results", f"{datetime.now(UTC):%Y%m%d-%H%M%S}-before-0001")
    system.rules("real -86400")
    command = start("run", line_suite("null-none", more="invocations = 2"), "--json", env=system.env)
    assert until(lambda: bool(list(tmp_path.glob(f"results/*-faults-*/{journal.FOLDER}/*.msgpack"))), 120)
    # And back again in the middle: no duration is taken by this clock.
    system.rules("real -172800")
    assert command.wait() == 0, command.told()
    latest = runs.find("latest", tmp_path / "results")
    assert latest.name != before.name
    manifest = read_manifest(latest)
    assert manifest.created < f"{datetime.now(UTC):%Y-%m-%d}", "the date is what the clock showed"
    assert any("or the clock was set back" in note for note in manifest.notes)
    for _, latency in samples.latencies(latest):
        assert (latency >= 0).all()


def planned(line_bundle: tuple[Path, Bundle], scenario: str = "single-stream", **options: Any) -> Job:
    """A job of the smallest model that measures for a second and a little."""
    plan = Plan(warmup_min_s=0.0, warmup_max_s=0.1, min_s=1.3, max_s=1.6, min_samples=64, timeout_s=120)
    return job_for(line_bundle, plan=plan, scenario=scenario, options=options)


class Disturber:
    """Does something to the measuring process where its phase `phase` begins, or at its first block there."""

    def __init__(self, watch: Watch, phase: str, act: Callable[[int], None], *, block: bool = True) -> None:
        self.watch, self.phase, self.act, self.block, self.times = watch, phase, act, block, 0

    def __call__(self, phase: str, samples: int, median_s: float | None) -> None:
        if phase == self.phase and (median_s is not None) == self.block and not self.times:
            self.times += 1
            self.act(self.watch.pid)


def stop_for_a_while(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    os.kill(pid, signal.SIGCONT)


def check_begun_anew(seen: Observation, why: str) -> None:
    """It was measured after what happened only, and says so."""
    assert seen.status == "ok", seen.failure
    assert seen.samples is not None
    (told,) = seen.facts["stillness"]
    assert why in told
    assert seen.samples.latency_ns.max() < STOPPED_S * 1e9
    phases = {phase.name: phase for phase in seen.phases}
    assert len(phases) == len(seen.phases), "each phase is there once"
    assert phases["disturbed"].end_ns <= phases["measure"].start_ns <= seen.samples.start_ns[0]


def test_a_process_that_is_stopped_in_mid_block_is_measured_anew(line_bundle: tuple[Path, Bundle]) -> None:
    watch = Watch()
    seen = measure(planned(line_bundle), 0, watch, Disturber(watch, "measure", stop_for_a_while))
    check_begun_anew(seen, "stopped from outside")
    assert seen.phases[-1].end_ns - seen.phases[0].start_ns > STOPPED_S * 1e9
    row = make_row(seen.case, [seen], artifact=None, dataset="d", plan=Plan(), floors=Floors())
    assert any("measured anew, as the process was stopped" in warning for warning in row.warnings)


@pytest.mark.parametrize(("scenario", "options"), [("offline", {"in_flight": 2}), ("server", {"rate": 200})])
def test_a_stop_among_queries_that_wait_is_in_no_latency(
    line_bundle: tuple[Path, Bundle], scenario: str, options: dict[str, Any]
) -> None:
    watch = Watch()
    seen = measure(planned(line_bundle, scenario, **options), 0, watch, Disturber(watch, "measure", stop_for_a_while))
    check_begun_anew(seen, "stopped from outside")


def test_a_machine_that_sleeps_in_mid_block_is_measured_anew(
    line_bundle: tuple[Path, Bundle], system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in system.env.items():
        monkeypatch.setenv(name, value)
    watch = Watch()
    seen = measure(planned(line_bundle), 0, watch, Disturber(watch, "measure", lambda pid: system.rules("boot 3600")))
    check_begun_anew(seen, "the machine slept for 3.6e+03 s")


def test_a_process_that_is_stopped_all_the_time_is_a_failed_case(line_bundle: tuple[Path, Bundle]) -> None:
    watch = Watch()

    def at_every_block(phase: str, samples: int, median_s: float | None) -> None:
        if median_s is not None:
            os.kill(watch.pid, signal.SIGCONT)

    seen = measure(planned(line_bundle), 0, watch, at_every_block)
    assert seen.failure is not None
    assert "stopped from outside for a while (SIGCONT), and so it went 3 times" in seen.failure.reason
    assert seen.failure.phase == "measure"
    assert seen.samples is None


def test_a_stop_while_it_starts_leaves_out_the_start_only(line_bundle: tuple[Path, Bundle]) -> None:
    def go_on(pid: int) -> None:
        os.kill(pid, signal.SIGCONT)

    watch = Watch()
    seen = measure(planned(line_bundle), 0, watch, Disturber(watch, "load", go_on, block=False))
    assert seen.status == "ok", seen.failure
    assert seen.cold_start is None
    assert "the start is not timed" in seen.facts["stillness"][0]
    watch = Watch()
    seen = measure(planned(line_bundle, "cold-start"), 0, watch, Disturber(watch, "load", go_on, block=False))
    assert seen.failure is not None
    assert "stopped from outside" in seen.failure.reason


GROUP = """
import sys
from pathlib import Path
from bench.record.artifact import Bundle
from bench.record.codec import from_json, pack
from bench.sensors.sampler import Sampler
from bench.worker.measure import measure
from tests.faults.test_clocks import planned
folder = Path(sys.argv[1])
bundle = folder, from_json((folder / "bundle.json").read_bytes(), Bundle)
with Sampler() as sampler:
    tell = lambda phase, samples, median_s: print(phase, samples, flush=True)
    Path("seen").write_bytes(pack(measure(planned(bundle), 0, sampler, tell)))
"""


def test_harness_sampler_and_child_stopped_together_give_no_latency(
    line_bundle: tuple[Path, Bundle], tmp_path: Path
) -> None:
    root = str(Path(__file__).parents[2])
    command = Marked(str(line_bundle[0]), cwd=tmp_path, code=GROUP, env={"PYTHONPATH": root})
    try:
        assert until(lambda: len(re.findall(r"measure [1-9]", command.told())) > 1, 120), command.told()
        group = command.left()
        assert len(group) >= 3
        for process in group:
            process.suspend()
        time.sleep(STOPPED_S)
        for process in group:
            process.resume()
        assert command.wait() == 0, command.told()
        assert not command.left()
    finally:
        command.close()
    seen = unpack((tmp_path / "seen").read_bytes(), Observation)
    check_begun_anew(seen, "stopped from outside")
    assert seen.telemetry is not None
    assert any(state.available for state in seen.telemetry.sensors if state.sensor == "process")


@pytest.mark.parametrize("scenario", ["single-stream", "cold-start"])
def test_a_stop_before_the_harness_can_run_in_the_process_is_in_no_start(
    line_bundle: tuple[Path, Bundle], scenario: str
) -> None:
    def stop_for_a_moment(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)

    seen = measure(planned(line_bundle, scenario), 0, Watch("start", stop_for_a_moment))
    assert seen.cold_start is None
    if scenario == "cold-start":
        assert seen.failure is not None
        assert "stopped from outside" in seen.failure.reason
    else:
        assert seen.facts["stillness"] == [
            "the start is not timed, as the process was stopped from outside for a while (SIGCONT) meanwhile"
        ]


def test_a_machine_that_sleeps_while_a_process_starts_is_in_no_start(
    line_bundle: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, slept_ns = time.clock_gettime_ns, 0
    monkeypatch.setattr(time, "clock_gettime_ns", lambda of: clock(of) + slept_ns * (of == time.CLOCK_BOOTTIME))

    def sleep(pid: int) -> None:
        nonlocal slept_ns
        slept_ns = 60 * 10**9

    seen = measure(planned(line_bundle), 0, Watch("start", sleep))
    assert seen.cold_start is None
    assert seen.facts["stillness"] == ["the start is not timed, as the machine slept for 60 s meanwhile"]


def test_stillness_is_told_once_and_only_where_there_was_any() -> None:
    with Still() as still:
        still.check()
        signal.raise_signal(signal.SIGCONT)
        with pytest.raises(Disturbed, match="stopped from outside"):
            still.check()
        still.check()
    assert signal.getsignal(signal.SIGCONT) == signal.SIG_DFL
