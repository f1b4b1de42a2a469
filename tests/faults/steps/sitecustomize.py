"""Ends or stops this process before a step that it takes in a folder; found by Python where PYTHONPATH names it.

`BENCH_TEST_UNDER` is the folder, `BENCH_TEST_AT` the number of the step from 1, or the end of what the step is called,
and `BENCH_TEST_STEPS` a file that every step is written to. `BENCH_TEST_SIGNAL` names the signal: SIGKILL unless given.
A step is a file opened for writing, renamed or removed, or a folder made or removed: whatever changes what a reader
finds.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any

_UNDER, _AT = os.environ["BENCH_TEST_UNDER"], os.environ.get("BENCH_TEST_AT", "")
_LOG = os.open(os.environ["BENCH_TEST_STEPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_SIGNAL = signal.Signals[os.environ.get("BENCH_TEST_SIGNAL", "SIGKILL")]
_number = count(1)
# Where an event tells the path, and the descriptor of the folder that it is relative to.
_TOLD = {"open": (0, None), "os.rename": (1, 3), "os.remove": (0, 1), "os.rmdir": (0, 1), "os.mkdir": (0, 2)}


def _seen(event: str, given: tuple[Any, ...]) -> None:
    if event not in _TOLD:
        return
    # An open is a step only where it may change the file.
    if event == "open" and (not isinstance(given[2], int) or not given[2] & (os.O_WRONLY | os.O_RDWR)):
        return
    name, folder = _TOLD[event]
    if isinstance(given[name], int):
        return
    path = Path(os.fsdecode(given[name]))
    if folder is not None and given[folder] >= 0:
        path = Path(f"/proc/self/fd/{given[folder]}").readlink() / path
    if not str(path.absolute()).startswith(_UNDER):
        return
    number, step = next(_number), f"{event} {path}"
    os.write(_LOG, f"{step}\n".encode())
    if str(number) == _AT or (_AT and step.endswith(_AT)):
        os.kill(os.getpid(), _SIGNAL)


sys.addaudithook(_seen)
