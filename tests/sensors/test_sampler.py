"""The sampler: a real process beside real children."""

from __future__ import annotations

import ast
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import wire
from bench.errors import UserError
from bench.record.codec import pack, unpack
from bench.record.observation import Reading
from bench.sensors.base import Quantity, Sensor
from bench.sensors.messages import VERSION, Call, Choice, Ready, Refused, Reply, Setup, Watch
from bench.sensors.recorder import Recorder
from bench.sensors.sampler import Sampler
from bench.sensors.table import DEFAULT, SENSORS, make

POSIX = os.name == "posix"
MB = 1 << 20
ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def gone(pid: int) -> bool:
    try:
        # Nobody need wait for the child of a dead parent.
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_rss_rises_with_the_child_and_stamps_lie_within(child: Any) -> None:
    process = child("print('up', flush=True); input(); b = bytearray(b'x') * (50 << 20); print(1, flush=True); input()")
    process.stdout.readline()
    with Sampler(["process"]) as sampler:
        begin = time.perf_counter_ns()
        sampler.watch(process.pid)
        sampler.snapshot("before-load")
        process.stdin.write("\n")
        process.stdout.readline()
        time.sleep(0.2)
        assert any(r.quantity == "rss" for r in sampler.latest())
        sampler.snapshot("after-load")
        telemetry = sampler.finish()
        end = time.perf_counter_ns()
    rss = [r.value for r in telemetry.readings if r.quantity == "rss"]
    assert 49 * MB <= rss[-1] - rss[0] <= 60 * MB
    before, after = ({r.quantity: r.value for r in telemetry.snapshots[e]} for e in ("before-load", "after-load"))
    assert 49 * MB <= after["uss"] - before["uss"] <= 60 * MB
    stamps = [r.t_ns for r in telemetry.readings]
    assert stamps == sorted(stamps)
    assert begin <= stamps[0]
    assert stamps[-1] <= end
    assert begin <= telemetry.snapshots["before-load"][0].t_ns <= telemetry.snapshots["after-load"][0].t_ns <= end
    assert telemetry.sensors[0].available
    assert 0 <= telemetry.sampler_cpu_s <= telemetry.sampler_wall_s <= (end - begin) / 1e9 + 0.01


def test_many_cases_one_process(child: Any) -> None:
    with Sampler(["process"]) as sampler:
        first = sampler.pid
        seen = []
        for size in (5, 40):
            process = child(f"b = bytearray(b'x') * ({size} << 20); print(1, flush=True); input()")
            process.stdout.readline()
            sampler.watch(process.pid)
            sampler.snapshot(f"edge-{size}")
            telemetry = sampler.finish()
            assert set(telemetry.snapshots) == {f"edge-{size}"}
            seen.append(telemetry.readings[0].value)
        assert sampler.pid == first
        assert seen[1] - seen[0] > 30 * MB
        again = sampler.finish()
        assert again.readings == ()


def test_watched_process_killed_in_mid_run(child: Any) -> None:
    process = child("input()")
    with Sampler(["process"]) as sampler:
        sampler.watch(process.pid)
        time.sleep(0.1)
        process.kill()
        process.wait()
        sampler.snapshot("measure-end")
        telemetry = sampler.finish()
    assert telemetry.readings
    assert all(r.value > 0 for r in telemetry.readings)
    assert telemetry.snapshots["measure-end"] == ()
    assert "had ended" in telemetry.sensors[0].reason


@pytest.mark.skipif(not POSIX, reason="signals")
def test_killed_sampler_costs_its_readings_and_no_more(child: Any) -> None:
    process = child("input()")
    with Sampler(["process"]) as sampler:
        sampler.watch(process.pid)
        sampler.snapshot("before-load")
        first = sampler.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        sampler.snapshot("after-load")
        telemetry = sampler.finish()
        assert not telemetry.sensors[0].available
        assert "SIGKILL" in telemetry.sensors[0].reason
        assert set(telemetry.snapshots) == {"before-load"}
        sampler.watch(process.pid)
        assert sampler.pid != first
        assert sampler.finish().readings


@pytest.mark.skipif(not POSIX, reason="signals")
def test_hanging_sampler_does_not_hang_the_parent(child: Any) -> None:
    process = child("input()")
    with Sampler(["process"], timeout_s=0.3) as sampler:
        sampler.watch(process.pid)
        pid = sampler.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        telemetry = sampler.finish()
        assert time.monotonic() - begin < 5
        assert "did not answer" in telemetry.sensors[0].reason
        assert until(lambda: gone(pid))


@pytest.mark.skipif(not POSIX, reason="signals")
def test_no_orphan_and_deaf_to_ctrl_c() -> None:
    code = textwrap.dedent("""
        import os, time
        from bench.sensors.sampler import Sampler
        sampler = Sampler(["process"]).__enter__()
        sampler.watch(os.getpid())
        print(sampler.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        os.kill(pid, signal.SIGINT)
        time.sleep(0.2)
        assert not gone(pid)
        assert os.getpgid(pid) != os.getpgid(parent.pid)
        parent.kill()
        parent.wait()
        assert until(lambda: gone(pid))


def test_a_sensor_that_hangs_leaves_no_orphan(tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text("""
import time
from bench.sensors.process import ProcessSensor
class Hang(ProcessSensor):
    def read(self):
        print("hanging", file=__import__("sys").stderr, flush=True)
        time.sleep(100)
""")
    code = "from bench.sensors import sampler_process as s, table; table.SENSORS['hang'] = 'hang:Hang'; s.main()"
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert process.stdin is not None
    assert process.stderr is not None
    with process:
        setup = Setup(version=VERSION, sensors=(Choice(name="hang"),), max_readings=10)
        wire.send(process.stdin, pack(setup))
        wire.send(process.stdin, pack(Call(1, Watch(os.getpid()))))
        assert process.stderr.readline().strip() == b"hanging"
        process.stdin.close()
        assert process.wait(timeout=20) == 1


def test_a_sampler_that_cannot_start_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    tried: list[object] = []
    started = subprocess.Popen

    def start(*given: Any, **more: Any) -> Any:
        tried.append(given)
        return started(*given, **more)

    monkeypatch.setattr(subprocess, "Popen", start)
    with Sampler(["process"]) as sampler:
        for _ in range(4):
            sampler.watch(os.getpid())
            sampler.snapshot("edge")
            assert "could not be started" in sampler.finish().sensors[0].reason
    assert len(tried) == 2


@pytest.mark.skipif(not POSIX, reason="signals")
def test_sampler_that_dies_between_two_cases_is_replaced_at_once() -> None:
    with Sampler(["process"]) as sampler:
        pid = sampler.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: gone(pid))
        sampler.watch(os.getpid())
        assert sampler.finish().readings


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no pinning on this system")
def test_affinity() -> None:
    core = min(os.sched_getaffinity(0))
    with Sampler(["process"], affinity=[core]) as sampler:
        assert sampler.pid is not None
        assert os.sched_getaffinity(sampler.pid) == {core}
    with pytest.raises(UserError), Sampler(["process"], affinity=[4000]):
        pass


def test_unknown_names_and_options() -> None:
    with pytest.raises(UserError, match="unknown sensor"):
        Sampler(["proces"])
    with pytest.raises(UserError, match="unknown sensor"):
        make("proces")
    with pytest.raises(UserError, match="setup"), Sampler(["process"], options={"process": {"colour": 3}}):
        pass


def test_states_name_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SYSFS_ROOT", str(tmp_path))
    with Sampler(["process", "rapl", "thermal", "tdp"], options={"tdp": {"tdp_w": 65}}) as sampler:
        states = {state.sensor: state for state in sampler.states()}
        sampler.watch(os.getpid())
        telemetry = sampler.finish()
    assert [s for s, state in states.items() if state.available] == ["process", "tdp"]
    assert "rapl" in states["rapl"].reason
    assert {r.sensor for r in telemetry.readings} == {"process", "tdp"}
    assert next(s for s in telemetry.sensors if s.sensor == "rapl").reason == states["rapl"].reason


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(sorted(m for m in sys.modules if '.' not in m or m.startswith('bench')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return set(ast.literal_eval(done.stdout))


def test_imports_stay_light() -> None:
    assert not loaded("import bench.sensors.table") & {"numpy", "psutil", "pynvml", "msgspec"}
    every = "import bench.sensors.sampler_process\nfrom bench.sensors.table import SENSORS, make\n"
    heavy = {"tensorflow", "keras", "polars", "scipy", "onnxruntime", "onnx", "pydantic"}
    assert not loaded(every + "for name in SENSORS: make(name)") & heavy


@pytest.mark.parametrize("name", SENSORS)
def test_every_sensor_declares_itself(name: str) -> None:
    sensor = make(name, period_s=0.125)
    assert sensor.name == name
    assert sensor.source
    assert sensor.quantities
    assert sensor.period_s == 0.125
    why = sensor.probe()
    assert why is None or len(why.split()) > 4
    assert set(DEFAULT) == set(SENSORS) - {"tdp"}
    sensor.close()


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


class Beat(Sensor):
    """Gives its own count, takes `cost` of the clock and fails as told."""

    name, source, default_period_s = "beat", "test", 0.01
    quantities = {"count": Quantity("1", "counter", "reads")}

    def __init__(self, clock: Clock, *, cost_ns: int = 0, fails_at: int | None = None, gives: bool = True) -> None:
        super().__init__()
        self.clock, self.cost_ns, self.fails_at, self.gives, self.count = clock, cost_ns, fails_at, gives, 0

    def probe(self) -> str | None:
        return None

    def read(self) -> list[Reading]:
        self.count += 1
        self.clock.ns += self.cost_ns
        if self.count == self.fails_at:
            raise RuntimeError("broke")
        return [self.reading("count", self.count, device="d", t_ns=self.clock.ns)] if self.gives else []


def turn(recorder: Recorder, clock: Clock, *, until_ns: int) -> None:
    while clock.ns < until_ns:
        wait = recorder.wait_s()
        if wait is None:
            return
        clock.ns += round(wait * 1e9)
        recorder.step()


def test_deadlines_do_not_drift() -> None:
    clock = Clock()
    recorder = Recorder([Beat(clock, cost_ns=1_300_000)], max_readings=1000, clock=clock)
    recorder.begin(1)
    turn(recorder, clock, until_ns=1_000_000_000)
    stamps = [r.t_ns for r in recorder.finish().readings]
    assert {(b - a) for a, b in pairwise(stamps)} == {10_000_000}


def test_a_stall_makes_no_burst_and_is_told() -> None:
    clock = Clock()
    sensor = Beat(clock)
    recorder = Recorder([sensor], max_readings=1000, clock=clock)
    recorder.begin(1)
    clock.ns = 95_000_000
    recorder.step()
    recorder.step()
    telemetry = recorder.finish()
    assert sensor.count == 2
    assert "skipped" in telemetry.sensors[0].reason


def test_memory_is_bounded_by_thinning() -> None:
    clock = Clock()
    recorder = Recorder([Beat(clock)], max_readings=100, clock=clock)
    recorder.begin(1)
    turn(recorder, clock, until_ns=10_000_000_000)
    telemetry = recorder.finish()
    assert 25 <= len(telemetry.readings) <= 100
    assert "thinned" in telemetry.sensors[0].reason
    stamps = [r.t_ns for r in telemetry.readings]
    gaps = {b - a for a, b in pairwise(stamps)}
    assert len(gaps) == 1
    assert telemetry.sensors[0].period_s == pytest.approx(gaps.pop() / 1e9)
    recorder.begin(2)
    assert recorder.wait_s() == pytest.approx(0.01)


def test_a_sensor_that_breaks_or_is_silent_says_so() -> None:
    clock = Clock()
    sensors = [Beat(clock, fails_at=3), Beat(clock, fails_at=1), Beat(clock, gives=False), Beat(clock)]
    recorder = Recorder(sensors, max_readings=1000, clock=clock)
    recorder.begin(1)
    turn(recorder, clock, until_ns=200_000_000)
    broken, never, silent, sound = recorder.finish().sensors
    assert broken.available
    assert "broke" in broken.reason
    assert not never.available
    assert "broke" in never.reason
    assert not silent.available
    assert "no reading" in silent.reason
    assert sound.available
    assert sound.reason == ""


def test_no_more_readings_are_kept_than_the_last_of_each_sensor() -> None:
    clock = Clock()
    recorder = Recorder([Beat(clock), Beat(clock), Beat(clock)], max_readings=2, clock=clock)
    recorder.begin(1)
    # Fewer than one a sensor would be no telemetry at all.
    assert len(recorder.finish().readings) == 3


def test_nothing_is_told_of_what_was_not_begun() -> None:
    clock = Clock()
    recorder = Recorder([Beat(clock)], max_readings=10, clock=clock)
    telemetry = recorder.finish()
    assert (telemetry.readings, telemetry.snapshots, telemetry.sampler_wall_s) == ((), {}, 0.0)
    assert [state.sensor for state in telemetry.sensors] == ["beat"]


def test_a_sensor_that_breaks_while_it_is_looked_for_is_not_there() -> None:
    class Broken(Beat):
        def probe(self) -> str | None:
            raise OSError("the bus is gone")

    recorder = Recorder([Broken(Clock())], max_readings=10)
    (state,) = recorder.states()
    assert not state.available
    assert state.reason == "looking for it failed: OSError: the bus is gone"


def test_the_newest_readings_are_there_only_while_it_samples(child: Any) -> None:
    with Sampler(["process"], timeout_s=5) as sampler:
        assert sampler.latest() == ()
        sampler.watch(child("input()").pid)
        assert {reading.quantity for reading in sampler.latest()} == {"rss"}
        assert sampler.pid is not None
        psutil.Process(sampler.pid).kill()
        assert until(lambda: sampler.latest() == ())
        assert not sampler.states()[0].available
        # It is not asked again.
        assert sampler.latest() == ()


@pytest.mark.skipif(not POSIX, reason="signals")
def test_the_newest_readings_are_not_waited_for(child: Any) -> None:
    with Sampler(["process"], timeout_s=5) as sampler:
        sampler.watch(child("input()").pid)
        assert sampler.pid is not None
        os.kill(sampler.pid, signal.SIGSTOP)
        asking = threading.Thread(target=sampler.snapshot, args=("edge",))
        asking.start()
        time.sleep(0.1)
        assert sampler.latest() == ()
        assert asking.is_alive()
        os.kill(sampler.pid, signal.SIGCONT)
        asking.join()
        assert sampler.finish().snapshots["edge"]


def test_a_sampler_that_was_closed_says_that_it_is_not_running() -> None:
    sampler = Sampler(["process"])
    with sampler:
        sampler.watch(os.getpid())
    assert sampler.finish().sensors[0].reason == "the sampler is not running"


@pytest.fixture
def other_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program that gives certain replies in the place of the sampler, as an install of mixed versions has one."""

    def put(replies: str) -> None:
        program = tmp_path / "python"
        program.write_text(f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from bench import wire
from bench.record.codec import pack
from bench.record.observation import Reading, Telemetry
from bench.sensors.messages import *
incoming, outgoing = wire.take_over()
for replies in {replies}:
    if not wire.receive(incoming):
        break
    for number, body in replies:
        wire.send(outgoing, pack(Reply(number, body)))
""")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return put


@pytest.mark.skipif(not POSIX, reason="a script as a program")
class TestAnotherSampler:
    @pytest.mark.parametrize("word", ["Ready(VERSION + 1, ())", "Started()"])
    def test_that_does_not_introduce_itself(self, other_sampler: Callable[[str], None], word: str) -> None:
        other_sampler(f"[[(0, {word})]]")
        with Sampler(["process"]) as sampler:
            assert sampler.states()[0].reason == "the sampler did not introduce itself as expected"

    def test_that_answers_something_else(self, other_sampler: Callable[[str], None]) -> None:
        other_sampler("[[(0, Ready(VERSION, ()))], [(1, Taken(()))]]")
        with Sampler(["process"]) as sampler:
            sampler.watch(1)
            (state,) = sampler.finish().sensors
        assert state.reason == "the sampler answered Taken to Watch"

    def test_a_reply_to_what_nobody_waits_for_is_passed_over(self, other_sampler: Callable[[str], None]) -> None:
        other_sampler("[[(0, Ready(VERSION, ()))], [(0, Taken(())), (1, Started())], [(2, Finished(Telemetry()))]]")
        with Sampler(["process"]) as sampler:
            sampler.watch(1)
            assert sampler.finish().sampler_wall_s == 0.0


def told(code: str, *frames: bytes) -> tuple[bytes | None, int]:
    """The first reply of a sampler process that is run by `code`, and its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}\nfrom bench.sensors.sampler_process import main\nraise SystemExit(main())"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for frame in frames:
            process.stdin.write(frame)
        process.stdin.flush()
        reply = wire.receive(process.stdout)
        process.stdin.close()
        return reply, process.wait(timeout=20)


def framed(body: bytes) -> bytes:
    stream = io.BytesIO()
    wire.send(stream, body)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("code", "setup", "reason"),
    [
        ("", {"version": VERSION + 1}, f"the sampler speaks version {VERSION}, its parent {VERSION + 1}"),
        (
            "import os\nif hasattr(os, 'sched_setaffinity'): del os.sched_setaffinity",
            {"version": VERSION, "affinity": (0,)},
            "this system cannot pin a process to cores\n  where: affinity",
        ),
    ],
)
def test_a_setup_that_is_refused(code: str, setup: dict[str, Any], reason: str) -> None:
    reply, code_of_exit = told(code, framed(pack(Setup(sensors=(), max_readings=10, **setup))))
    assert reply is not None
    body = unpack(reply, Reply).body
    assert isinstance(body, Refused)
    assert body.reason == reason
    assert code_of_exit == 2


def test_a_sampler_whose_parent_sends_no_frame_ends() -> None:
    setup = framed(pack(Setup(version=VERSION, sensors=(), max_readings=10)))
    reply, code = told("", setup, b"this is no frame")
    assert reply is not None
    assert isinstance(unpack(reply, Reply).body, Ready)
    assert code == 0
