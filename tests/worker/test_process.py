"""A child process: what it may fill, how it is let go, and what of it is left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench import wire
from bench.orphans import MARK, sweep_for_parent
from bench.process import ChildProcess, Ending, describe_exit
from bench.record.observation import Failure
from bench.runner.revisions import prepare, run_command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sessions and pipes of POSIX")
SENDER = """
import sys
from bench import wire
_, outgoing = wire.take_over()
for size in {sizes}:
    wire.send(outgoing, bytes(size))
    print("sent", file=sys.stderr, flush=True)
"""


@pytest.fixture
def sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[int], int | None], ChildProcess]:
    """Starts a child that sends frames of such sizes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(sizes: list[int], results: int | None) -> ChildProcess:
        (tmp_path / "sender.py").write_text(SENDER.format(sizes=sizes))
        return ChildProcess("sender", results=results)

    return start


def test_frames_that_nobody_receives_wait_in_the_child(
    sender: Callable[[list[int], int | None], ChildProcess],
) -> None:
    with sender([2**20] * 20, None) as child:
        assert child.receive(60) is not None
        time.sleep(1.0)
        # One received, one that waits for it, one that the reader holds; the next is in the pipe at most in part.
        assert child.tail().count("sent") <= 3
        for _ in range(19):
            assert child.receive(60) is not None
        assert [child.receive(60), child.receive(60)] == [None, None]


def test_without_time_left_nothing_is_waited_for(
    sender: Callable[[list[int], int | None], ChildProcess],
) -> None:
    with sender([1], None) as child:
        with pytest.raises(TimeoutError):
            child.receive(0)
        assert child.receive(60) == b"\0"


def test_a_child_may_send_so_many_results_and_small_frames_without_end(
    sender: Callable[[list[int], int | None], ChildProcess],
) -> None:
    large = wire.SMALL + 1
    with sender([10, large, *[wire.SMALL] * 3, large], 1) as child:
        sizes = [len(child.receive(60) or b"") for _ in range(5)]
        assert sizes == [10, large, *[wire.SMALL] * 3]
        with pytest.raises(wire.WireError, match=f"announces {large} bytes, over the limit"):
            child.receive(60)


def test_a_child_that_is_let_go_ends_by_itself() -> None:
    job = b'{"command": "true", "folder": "/", "environment": {}, "inherited": []}'
    for _ in range(8):
        with ChildProcess("bench.worker.command") as child:
            child.send(job)
            assert child.receive(60) is not None
            assert child.end(grace_s=60) == Ending(0, None, False)


def test_a_system_that_cannot_wait_for_a_child_and_leave_it_a_zombie_ends_it_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "waitid")
    with ChildProcess("this") as child:
        assert child.was_stopped is False
        assert child.end(grace_s=60) == Ending(0, None, False)


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    with ChildProcess("bench.worker.command") as child:
        os.kill(child.pid, signal.SIGRTMIN + 1)
        assert child.receive(60) is None
        ending = child.end(grace_s=60)
    assert describe_exit(ending, "a call") == f"the process crashed with signal {signal.SIGRTMIN + 1} during a call"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (Ending(None, None, True), "the process hangs in the kernel and could not be ended, even by SIGKILL, during"),
        (
            Ending(-9, "SIGKILL", True),
            "closed the pipe that it answers through during the load, went on, and was ended",
        ),
        (Ending(-9, "SIGKILL", False), "was killed (SIGKILL) during the load, which the system does when memory runs"),
        (Ending(-11, "SIGSEGV", False), "the process crashed with SIGSEGV during the load"),
        (Ending(3, None, False), "the process ended with exit code 3 during the load, without an answer"),
    ],
)
def test_how_a_child_ended_is_a_sentence(ending: Ending, said: str) -> None:
    assert said in describe_exit(ending, "the load")


def test_a_farewell_does_not_wait_for_a_child_that_reads_nothing() -> None:
    with ChildProcess("this") as child:  # it prints a poem, and reads nothing
        child.send(bytes(2**16 - 8))
        assert child.end(grace_s=60).killed is False


SERVICE = (
    "setsid sh -c 'echo $$ > pid; exec sleep 600' > /dev/null 2>&1 < /dev/null & until [ -s pid ]; do sleep 0.01; done"
)


@pytest.mark.skipif(not shutil.which("setsid"), reason="no setsid here")
def test_what_a_command_leaves_in_a_session_of_its_own_is_ended_and_a_service_of_a_preparation_stays(
    tmp_path: Path,
) -> None:
    assert not isinstance(run_command(SERVICE, tmp_path, 60), Failure)
    pid = tmp_path / "pid"
    assert not alive(int(pid.read_text()))
    pid.unlink()
    prepare(SERVICE, "old", tmp_path)
    service = int(pid.read_text())
    try:
        assert alive(service)
    finally:
        os.kill(service, 9)


def alive(pid: int) -> bool:
    """Whether it runs; what was killed may still wait for its parent to take note."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


WITHOUT_PROC = """
from bench.process import ChildProcess
with ChildProcess("this") as child:
    print(child.end(grace_s=60).code)
"""


@pytest.mark.skipif(
    not shutil.which("unshare") or bool(subprocess.run(["unshare", "-Urm", "true"], check=False).returncode),
    reason="this kernel allows no user and mount namespace",
)
def test_a_child_is_ended_where_the_system_tells_nothing_of_processes() -> None:
    done = subprocess.run(
        [
            "unshare",
            "-Urm",
            "sh",
            "-c",
            'mount -t tmpfs none /proc && exec "$@"',
            "sh",
            sys.executable,
            "-c",
            WITHOUT_PROC,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "0\n", done.stderr


FORKED = """
import os
from bench.orphans import new_mark
told, tell = os.pipe()
before = new_mark()
if os.fork() == 0:
    os.write(tell, new_mark().encode())
    os._exit(0)
os.wait()
print(before, os.read(told, 100).decode(), new_mark())
"""


def test_a_fork_marks_its_children_as_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    before, forked, after = (mark.partition(".")[0] for mark in done.stdout.split())
    assert before == after != forked


def test_a_child_that_nobody_marked_sweeps_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        sweep_for_parent()
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


WITH_PARENT = """
import sys, threading
from bench import wire
wire.end_with_parent(sys.stdin.buffer)
threading.Event().wait()
"""


def test_a_child_in_the_group_of_others_ends_alone_when_its_parent_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", WITH_PARENT], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(60) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a signal at the death of the parent is Linux's")
def test_a_measuring_process_whose_parent_is_gone_before_it_can_ask_for_a_signal_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.worker.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        wire.send(child.stdin, b"a job that nobody waits for any more")
        _, said = child.communicate()
    assert child.returncode == 1
    assert b"the process that started this one is gone" in said


@pytest.mark.parametrize("module", ["bench.worker.child", "bench.worker.command", "bench.worker.stream"])
def test_a_child_that_is_asked_for_nothing_ends_without_a_word(module: str) -> None:
    with subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        wire.farewell(child.stdin)
        assert child.stdout is not None
        assert child.stdout.read() == b""
        assert child.wait(60) == 0


def test_the_bandwidth_may_be_measured_wherever_the_system_likes() -> None:
    job = {"threads": 2, "cores": None, "elements": 2000, "seconds": 0.01}
    with ChildProcess("bench.worker.stream") as child:
        child.send(json.dumps(job).encode())
        passes = json.loads(child.receive(60) or b"")["passes_ns"]
    assert len(passes) >= 11, "as many as a median and its interval take"
    assert min(passes) > 0
