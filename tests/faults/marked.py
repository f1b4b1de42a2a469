"""A command in a process that is known by a mark, and with it every process that it ever started."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

_MARK = "BENCH_TEST_MARK"
_STEPS = Path(__file__).parent / "steps"


def in_steps(cwd: Path, at: str = "", number: str = "SIGKILL") -> dict[str, str]:
    """The environment in which a command writes its steps in the results of `cwd` down, and gets a signal at one.

    See `steps/sitecustomize.py`.
    """
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(_STEPS), os.environ.get("PYTHONPATH")))),
        "BENCH_TEST_UNDER": str(cwd / "results"),
        "BENCH_TEST_STEPS": str(cwd / "steps.txt"),
        "BENCH_TEST_AT": at,
        "BENCH_TEST_SIGNAL": number,
    }


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Marked:
    """Python started in `cwd`, `bench` with these arguments unless `code` is given to be run.

    What it prints goes to a file, which never fills up as a pipe.
    """

    def __init__(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, code: str = "") -> None:
        self.mark = uuid.uuid4().hex
        self._told = (cwd / f"told-{self.mark}.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *(("-c", code) if code else ("-m", "bench")), *arguments],
            cwd=cwd,
            env={**os.environ, **(env or {}), _MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=self._told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, seconds: float = 120.0) -> int | None:
        """Its exit code, or None where it still runs after so long."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """SIGKILL for this one process: what it started has to find out by itself."""
        self.process.kill()
        self.process.wait()

    def told(self) -> str:
        """All that it printed so far."""
        self._told.flush()
        return Path(self._told.name).read_text()

    def left(self) -> list[psutil.Process]:
        """Processes with the mark that still run."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def children(self, module: str) -> list[psutil.Process]:
        """Those of them that run this module, such as `bench.worker.child`."""
        found = []
        for process in self.left():
            try:
                if module in process.cmdline():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def close(self) -> None:
        """End what is left of it."""
        for process in self.left():
            process.kill()
        self.process.wait()
        self._told.close()
