"""A child process: what it may fill, how it is let go, and what of it is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench import wire
from bench.process import ChildProcess, Ending
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
        assert child.receive(60) is None


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
