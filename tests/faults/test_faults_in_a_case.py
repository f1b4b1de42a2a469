"""A runtime that does its worst at every moment of a case: one failed row that says why, nothing left, and on it goes.

The runtime is the real one behind a stand-in on PYTHONPATH (`tests/faults/stand_in`); all else is as users run it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.metrics import quality
from bench.metrics.robustness import Outputs
from bench.process import LOG_BYTES, TAIL_BYTES, ChildProcess
from bench.record.artifact import Bundle
from bench.record.observation import Observation, Plan
from bench.worker.measure import measure
from tests.faults.conftest import Start
from tests.faults.marked import Marked, until
from tests.worker.test_measure import Watch, job_for

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="signals, limits and /proc as Linux has them"),
]
STAND_IN = Path(__file__).with_name("stand_in")
MARK = "BENCH_TEST_FAULTS_OF"
TIMEOUT_S = 12.0
GRACE_S = 5.0
"""How long after its time-out a case may take to be over on a busy machine."""
MEMORY = 700 * 2**20


@dataclass(frozen=True)
class Expected:
    """What a fault at one moment has to end as: parts of the reason and of the tail, and the signal."""

    fault: str
    moment: str
    reason: str
    tail: str = ""
    signal: str | None = None
    hangs: bool = False

    @property
    def name(self) -> str:
        return f"{self.fault}-{self.moment}"


def crash(fault: str, *moments: str) -> list[Expected]:
    return [Expected(fault, at, f"crashed with SIGSEGV during .*{at}", "about to crash", "SIGSEGV") for at in moments]


def leaves(fault: str, *moments: str) -> list[Expected]:
    return [Expected(fault, at, f"ended with exit code 0 during .*{at}", "about to leave") for at in moments]


def hang(fault: str, moment: str, tail: str = "") -> Expected:
    return Expected(fault, moment, rf"no answer within {TIMEOUT_S:g} s \(timeout_s\)", tail, "SIGKILL", hangs=True)


def closes(*moments: str) -> list[Expected]:
    told = "the pipe to the harness is closed"
    return [Expected("close_the_pipes", at, f"ended with exit code 1 during .*{at}", told) for at in moments]


def writes_to_the_pipe(*moments: str) -> list[Expected]:
    return [Expected("flood_the_pipe", at, "unreadable: b'all work' is no frame") for at in moments]


def eats(fault: str, *moments: str) -> list[Expected]:
    return [Expected(fault, at, re.escape(f"out of memory (limit {MEMORY // 2**20} MiB)")) for at in moments]


def changes(fault: str, then: str) -> Expected:
    return Expected(
        fault, "evaluate", rf"changed from call to call: float32 \(1, 10\) at first, then {re.escape(then)}"
    )


EXPECTED = [
    hang("sleep", "import", "about to sleep"),
    hang("hang_with_the_lock", "load"),
    hang("stop", "warm-up"),
    hang("deaf", "measure"),
    hang("sleep", "evaluate", "about to sleep"),
    hang("hang_with_the_lock", "close"),
    hang("flood_stderr", "measure", "all work and no play"),
    hang("bare_daemon_and_sleep", "load", "about to sleep"),
    *crash("segfault", "import", "load", "first", "warm-up", "measure", "evaluate", "close"),
    *leaves("exit_0", "import", "load", "warm-up", "measure", "evaluate", "close"),
    Expected("system_exit", "measure", r"the runtime ended the process: exit\(0\)"),
    Expected("abort", "load", "crashed with SIGABRT", "about to abort", "SIGABRT"),
    Expected("real_time_signal", "measure", "crashed with signal 40", signal="signal 40"),
    Expected("raise_a_lot", "load", r"xxx… \(10,000,\d+ characters\)"),
    *crash("flood_stdout_and_crash", "import", "measure"),
    *crash("flood_stderr_and_crash", "load", "evaluate"),
    *writes_to_the_pipe("import", "load", "measure", "close"),
    *closes("load", "measure", "evaluate", "close"),
    Expected(
        "close_the_pipes_and_sleep", "load", "closed the pipe that it answers through", "about to sleep", "SIGKILL"
    ),
    Expected(
        "close_all", "warm-up", "ended with exit code 1|closed the pipe that it answers through", signal="SIGKILL?"
    ),
    *crash("daemon_and_crash", "import", "measure", "close"),
    *leaves("daemon_and_exit_0", "load"),
    *crash("children_and_crash", "evaluate"),
    *eats("eat_memory_bit_by_bit", "load", "measure"),
    *eats("eat_memory_in_small_bits", "warm-up"),
    *eats("eat_memory_at_once", "load", "evaluate"),
    *eats("eat_memory_outside_python", "measure"),
    changes("shape", "float32 (1, 9)"),
    changes("rows", "float32 (2, 10)"),
    changes("dtype", "float64 (1, 10)"),
    Expected("fewer", "evaluate", "a call gave 0 outputs, and the model has 1"),
]
HARMLESS = [
    ("daemon_and_go_on", "load"),
    ("fork_that_comes_back", "measure"),
    ("flood_stdout_and_go_on", "load"),
    ("close_standard_streams", "load"),
    ("nan", "evaluate"),
]
"""What costs a case nothing, since it still gives its figures."""


@dataclass(frozen=True)
class Seen:
    observation: Observation
    took_s: float
    left: list[str]


@dataclass(frozen=True)
class Ordeal:
    seen: dict[str, Seen]
    outputs: Path
    grew_bytes: int


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left_of(mark: str, place: int) -> list[str]:
    """Command lines of what still runs of the case that is known by its number of threads."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get(MARK) == mark and environment.get("OMP_NUM_THREADS") == str(place):
                found.append(f"{process.pid} {process.status()} {process.cmdline()}")
        except psutil.Error:
            continue
    return found


def environment(faults: list[tuple[str, str]], log: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(STAND_IN), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "BENCH_TEST_FAULTS": json.dumps(faults), "BENCH_TEST_FAULT_LOG": str(log)}


@pytest.fixture(scope="module")
def ordeal(digits_bundle: tuple[Path, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Ordeal:
    """Every fault once, by the harness's own `measure`, some side by side: most of them sleep."""
    folder, mark = tmp_path_factory.mktemp("ordeal"), uuid.uuid4().hex
    faults = [(each.fault, each.moment) for each in EXPECTED] + HARMLESS
    plan = Plan(
        warmup_min_s=0.02,
        warmup_max_s=0.1,
        min_s=0.05,
        max_s=0.1,
        min_samples=1,
        timeout_s=TIMEOUT_S,
        memory_limit_bytes=MEMORY,
    )

    def suffer(place: int) -> Seen:
        job = job_for(digits_bundle, plan=plan, threads=place, outputs=folder / f"{faults[place - 1][0]}.npz")
        began = time.monotonic()
        observation = measure(job, 0, Watch())
        took_s = time.monotonic() - began
        return Seen(observation, took_s, left_of(mark, place))

    with pytest.MonkeyPatch.context() as patched:
        log = folder / "log"
        log.mkdir()
        for name, value in (environment(faults, log) | {MARK: mark}).items():
            patched.setenv(name, value)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with ThreadPoolExecutor(10) as pool:
            seen = list(pool.map(suffer, range(1, len(faults) + 1)))
        grew = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        forked = [int(path.name) for path in log.iterdir()]
    assert forked, "there were daemons"
    assert not [pid for pid in forked if running(pid)]
    return Ordeal({"-".join(fault): one for fault, one in zip(faults, seen, strict=True)}, folder, grew * 1024)


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each.name)
def test_a_fault_is_one_failed_row_that_says_what_happened_and_when(ordeal: Ordeal, expected: Expected) -> None:
    seen = ordeal.seen[expected.name]
    failure = seen.observation.failure
    assert seen.observation.status == "failed"
    assert failure is not None
    assert re.search(expected.reason, failure.reason), failure
    assert len(failure.reason) < 2100
    assert failure.phase == expected.moment
    # Without any file some processes cannot even end.
    assert failure.signal in ((None, "SIGKILL") if expected.signal == "SIGKILL?" else (expected.signal,))
    assert expected.tail in failure.tail
    assert len(failure.tail) <= TAIL_BYTES
    assert seen.observation.samples is None


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda each: each.name)
def test_it_is_over_in_its_time_and_leaves_no_process(ordeal: Ordeal, expected: Expected) -> None:
    seen = ordeal.seen[expected.name]
    assert seen.took_s < TIMEOUT_S + GRACE_S
    assert (seen.took_s >= TIMEOUT_S) == expected.hangs, "only what hangs waits for its time-out"
    assert seen.left == []


@pytest.mark.parametrize("fault", HARMLESS, ids="-".join)
def test_what_does_no_harm_to_the_figures_costs_none_and_leaves_no_process(
    ordeal: Ordeal, fault: tuple[str, str]
) -> None:
    seen = ordeal.seen["-".join(fault)]
    assert seen.observation.status == "ok", seen.observation.failure
    assert seen.left == []


def test_gigabytes_of_print_stay_neither_in_memory_nor_on_disk(ordeal: Ordeal) -> None:
    assert ordeal.grew_bytes < 2**27


def test_answers_that_are_not_numbers_are_wrong_answers(ordeal: Ordeal, digits_bundle: tuple[Path, Bundle]) -> None:
    folder, bundle = digits_bundle
    artifact = ordeal.seen["nan-evaluate"].observation.case
    (made,) = [a for a in bundle.artifacts if a.variant == artifact.variant and a.format == "onnx"]
    judged = quality.evaluate(ordeal.outputs / "nan.npz", Outputs(reason="none"), folder, bundle, made)
    assert judged.figures["accuracy"].value == 0
    assert judged.figures["parity_max_abs"].value is None
    assert "6000 NaN" in judged.figures["parity_max_abs"].how
    assert [warning for warning in judged.warnings if "NaN" in warning], judged.warnings


def test_what_is_kept_of_a_flood_in_a_log_is_bounded_and_the_tail_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"import sys; sys.stderr.write('words ' * {LOG_BYTES // 3} + 'and the last')"
    tmp_path.joinpath("printer.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log = tmp_path / "log.txt"
    with ChildProcess("printer", errors=log.open("w+b")) as child:
        ending = child.end(grace_s=60)
        assert child.tail().endswith("words words and the last")
    assert (ending.code, ending.killed) == (0, False)
    assert log.stat().st_size == LOG_BYTES


RUN = [
    ("segfault", "import"),
    ("daemon_and_crash", "load"),
    ("exit_0", "measure"),
    ("flood_the_pipe", "measure"),
    ("eat_memory_at_once", "warm-up"),
    ("shape", "evaluate"),
    ("hang_with_the_lock", "close"),
    ("nan", "evaluate"),
]
LIMITS = """timeout_s = 10.0
memory_limit_mb = 700
"""


@pytest.fixture(scope="module")
def run(
    line_suite: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Marked, dict[str, Any]]]:
    """A whole `bench run` of cases that fail, each at another moment, with one that is well at the end of the list."""
    folder = tmp_path_factory.mktemp("run")
    log = folder / "log"
    log.mkdir()
    suite = Path(line_suite("onnxruntime-cpu", more=LIMITS))
    suite.write_text(f"{suite.read_text()}threads = {list(range(1, len(RUN) + 2))}\n")
    command = Marked("run", str(suite), "--json", cwd=folder, env=environment(RUN, log))
    try:
        assert command.wait(240) == 1, command.told()
        left = command.left()
        assert left == []
        assert not [path for path in log.iterdir() if running(int(path.name))]
        yield command, json.loads(command.told()[command.told().index("{\n") :])
    finally:
        command.close()


def test_a_run_has_one_row_for_every_case_that_failed_and_measures_those_that_follow(
    run: tuple[Marked, dict[str, Any]],
) -> None:
    _, found = run
    assert found["status"] == "complete"
    by_place = {case["case"]["threads"]: case for case in found["cases"]}
    assert sorted(by_place) == list(range(1, len(RUN) + 2))
    for place, (fault, moment) in enumerate(RUN, 1):
        row = by_place[place]
        if fault == "nan":
            assert row["status"] == "ok"
            continue
        assert row["status"] == "failed", fault
        assert row["failure"]["phase"] == moment, row["failure"]
        assert row["failure"]["reason"]
    well = by_place[len(RUN) + 1]
    assert well["status"] == "ok"
    assert well["metrics"]["p50_latency"]["value"] > 0
    assert well["metrics"]["accuracy"]["value"] > 0.9


def test_a_run_gives_no_figure_for_the_quality_of_outputs_that_are_no_numbers(
    run: tuple[Marked, dict[str, Any]],
) -> None:
    _, found = run
    (row,) = [case for case in found["cases"] if case["case"]["threads"] == len(RUN)]
    accuracy = row["metrics"]["accuracy"]
    assert accuracy["value"] is None
    assert "not finite" in accuracy["how"]


def test_what_a_case_started_ends_with_a_harness_that_is_killed(
    start: Start, line_suite: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.mkdir()
    suite = line_suite("onnxruntime-cpu")
    command = start("run", suite, env=environment([("daemon_and_sleep", "measure")], log))
    assert until(lambda: bool(list(log.iterdir())), 120), command.told()
    command.kill()
    assert until(lambda: not command.left(), 30), command.left()


HARNESS = """
import sys
from pathlib import Path
from bench.runner.revisions import run_command
run_command("sleep 3600 & sleep 3600", Path.cwd(), 3600)
"""


def test_a_command_of_the_users_ends_with_a_harness_that_is_killed(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    harness = subprocess.Popen([sys.executable, "-c", HARNESS], cwd=tmp_path, env={**os.environ, MARK: mark})

    def there() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    assert until(lambda: sum(process.name() == "sleep" for process in there()) == 2, 60)
    harness.kill()
    harness.wait()
    assert until(lambda: not there(), 30), there()


def test_the_system_ends_the_measuring_process_before_the_harness_where_memory_runs_out(
    digits_bundle: tuple[Path, Bundle],
) -> None:
    found: list[str] = []
    watch = Watch("measure-start", lambda pid: found.append(Path(f"/proc/{pid}/oom_score_adj").read_text().strip()))
    measure(job_for(digits_bundle, "null-none"), 0, watch)
    assert found == ["1000"]


TRACER = """
import ctypes, sys
PTRACE_SEIZE = 0x4206
print(ctypes.CDLL(None).ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None), flush=True)
sys.stdin.read()
"""


def test_a_process_that_even_sigkill_does_not_end_holds_nothing_up(
    digits_bundle: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.process._KILL_S", 0.5)
    tracers: list[subprocess.Popen[str]] = []

    def hold(pid: int) -> None:
        """A debugger keeps what is killed from ever being gone, as a driver does that waits for its device."""
        tracer = subprocess.Popen(
            [sys.executable, "-c", TRACER, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        tracers.append(tracer)
        assert tracer.stdout is not None
        if tracer.stdout.readline().strip() != "0":
            pytest.skip("this user may not trace another process")
        os.kill(pid, signal.SIGSTOP)

    plan = Plan(warmup_min_s=0.02, warmup_max_s=0.1, min_s=0.05, max_s=0.1, min_samples=1, timeout_s=4)
    began = time.monotonic()
    try:
        seen = measure(job_for(digits_bundle, "null-none", plan=plan), 0, Watch("measure-start", hold))
    finally:
        for tracer in tracers:
            tracer.communicate("")
    assert time.monotonic() - began < plan.timeout_s + GRACE_S
    assert seen.failure is not None
    assert "hangs in the kernel and could not be ended" in seen.failure.reason
    assert seen.failure.phase == "measure"
