"""Runs one command of the user's and tells what the kernel says of it. Standard library alone.

The kernel's high-water mark of a process begins at that of the process which started it, so the command is started
from this small one and not from the harness. What it prints goes to this process's standard error.

Run as `python -m bench.worker.command`, with frames of JSON on standard input and output.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from bench import wire


def main() -> None:
    """Answer one job: `command` (for /bin/sh) in `folder` with the environment `environment`.

    Of this process's own environment it gets the variables `inherited`.
    """
    incoming, outgoing = wire.take_over()
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame = wire.receive(incoming)
    if not frame:
        return
    # The command is of this process's group: a harness that is killed takes it along.
    wire.end_with_parent(incoming)
    wire.send(outgoing, json.dumps(_run(**json.loads(frame))).encode())


def _run(command: str, folder: str, environment: dict[str, str], inherited: list[str]) -> dict[str, float]:
    """Wall and CPU time (s), peak resident set (B) of the largest of its processes, and how it ended."""
    os.chdir(folder)
    environment |= {name: os.environ[name] for name in inherited}
    before = time.perf_counter()
    # Python ignores SIGPIPE, which a shell's pipes need.
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", command], environment, setsigdef=[signal.SIGINT, signal.SIGPIPE])
    _, status, used = os.wait4(pid, 0)
    return {
        "wall_time": time.perf_counter() - before,
        "cpu_time": used.ru_utime + used.ru_stime,
        # Linux counts in KiB, macOS in bytes.
        "peak_rss": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "exit_code": os.waitstatus_to_exitcode(status),
    }


if __name__ == "__main__":
    main()
