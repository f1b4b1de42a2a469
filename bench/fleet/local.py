"""A fleet on one machine, for trial: a scheduler and some workers, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import IO

from bench.errors import UserError
from bench.fleet.crew import LOOPBACK, PARENT, Say
from bench.fleet.secure import need_distributed
from bench.process import child_environment


def run_local(workers: int, targets: Sequence[str], say: Say, *, port: int = 0, apart: bool = False) -> None:
    """Keep them until Ctrl-C or SIGTERM. `say` gets the address first.

    Targets are given to the workers in turn. All are workers of one machine, so that cases still go one at a
    time; `apart` makes each count as a machine: then they disturb each other, and the figures are worth nothing.

    Raises:
        UserError: no Dask, a process that does not start, or the scheduler or all workers have ended by themselves.
    """
    need_distributed()
    processes: list[subprocess.Popen[str]] = []
    try:
        scheduler = _start(processes, "scheduler", "--port", str(port), stdout=subprocess.PIPE)
        assert scheduler.stdout is not None
        address = scheduler.stdout.readline().strip()
        if not address:
            raise UserError("the scheduler did not start", where=LOOPBACK, remedy="see what it printed, or give --port")
        say(address)
        for number in range(1, workers + 1):
            target = ("--target", targets[(number - 1) % len(targets)]) if targets else ()
            machine = ("--machine", f"local-{number}") if apart else ()
            _start(processes, "worker", address, "--name", f"local-{number}", *target, *machine)
        while scheduler.poll() is None and any(process.poll() is None for process in processes[1:]):
            time.sleep(0.2)
        ended = "all workers have" if scheduler.poll() is None else "the scheduler has"
        raise UserError(f"{ended} ended", where=address, remedy="see what was printed above")
    except KeyboardInterrupt:
        pass
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start(
    processes: list[subprocess.Popen[str]], *words: str, stdout: int | IO[str] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench", "fleet", *words]
    processes.append(
        subprocess.Popen(
            command,
            stdout=stdout,
            stdin=subprocess.DEVNULL,
            text=True,
            env=child_environment({PARENT: str(os.getpid())}),
        )
    )
    return processes[-1]
