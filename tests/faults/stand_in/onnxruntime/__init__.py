"""ONNX Runtime as it is installed, but for one fault at one moment in the measuring process of a case.

For PYTHONPATH. `BENCH_TEST_FAULTS` holds a JSON list of [fault, moment]; the case's number of threads, less one, is the
place in it, and a case beyond the list is well. `BENCH_TEST_FAULT_LOG` is a folder for the ids of what was forked.
"""

from __future__ import annotations

import ctypes
import importlib
import itertools
import json
import mmap
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FLOOD = 2**28
_FAULTS = json.loads(os.environ.get("BENCH_TEST_FAULTS", "[]"))
_PLACE = int(os.environ.get("OMP_NUM_THREADS", "0")) - 1
# Only the measuring process has scratch as its folder; the parent and others may import this too.
FAULT, MOMENT = _FAULTS[_PLACE] if 0 <= _PLACE < len(_FAULTS) else ("", "")
_past: set[str] = set()
_CALLERS = {
    "bench.worker.evaluate": "evaluate",
    "bench.load.single_stream": "measure",
    "bench.load.warmup": "warm-up",
    "bench.worker.measurement": "first",
}


def happen(moment: str) -> None:
    """Here the fault happens, if it is its moment."""
    if moment == MOMENT and FAULT in globals() and FAULT not in _past:
        globals()[FAULT]()


def changed(outputs: Any) -> Any:
    """What a call gives, with the fault that lies in it."""
    if _now() != MOMENT or FAULT not in _CHANGES:
        return outputs
    return _CHANGES[FAULT](outputs) if FAULT == "nan" or next(_calls) > 3 else outputs


_calls = itertools.count()
_CHANGES = {
    "nan": lambda outputs: [values * float("nan") for values in outputs],
    "shape": lambda outputs: [values[..., :-1] for values in outputs],
    "rows": lambda outputs: [values.repeat(2, axis=0) for values in outputs],
    "dtype": lambda outputs: [values.astype("float64") for values in outputs],
    "fewer": lambda outputs: outputs[:-1],
}


def _now() -> str:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") in _CALLERS:
            return _CALLERS[frame.f_globals["__name__"]]
        frame = frame.f_back
    return ""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def segfault() -> None:
    say("about to crash")
    ctypes.string_at(0)


def abort() -> None:
    say("about to abort")
    os.abort()


def real_time_signal() -> None:
    os.kill(os.getpid(), 40)


def exit_0() -> None:
    say("about to leave")
    os._exit(0)


def system_exit() -> None:
    sys.exit(0)


def raise_a_lot() -> None:
    raise RuntimeError("x" * 10_000_000)


def sleep() -> None:
    say("about to sleep")
    time.sleep(3600)


def hang_with_the_lock() -> None:
    ctypes.PyDLL(None).sleep(3600)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def deaf() -> None:
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        time.sleep(1)


def _pour(descriptor: int, size: int | None) -> None:
    line = (b"all work and no play " * 200)[:4095] + b"\n"
    poured = 0
    while size is None or poured < size:
        poured += os.write(descriptor, line)


def flood_stdout_and_crash() -> None:
    _pour(1, FLOOD)
    segfault()


def flood_stderr_and_crash() -> None:
    _pour(2, FLOOD)
    segfault()


def flood_stderr() -> None:
    _pour(2, None)


def flood_stdout_and_go_on() -> None:
    _pour(1, FLOOD)


def _pipes() -> list[int]:
    """The pipes to the harness."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            if int(name) > 2 and os.readlink(f"/proc/self/fd/{name}").startswith("pipe:"):  # noqa: PTH115
                found.append(int(name))
        except OSError:
            continue
    return found


def flood_the_pipe() -> None:
    for descriptor in _pipes():
        try:
            _pour(descriptor, FLOOD)
        except OSError:
            continue


def close_the_pipes() -> None:
    for descriptor in _pipes():
        os.close(descriptor)


def close_the_pipes_and_sleep() -> None:
    close_the_pipes()
    sleep()


def close_all() -> None:
    os.closerange(0, 256)


def close_standard_streams() -> None:
    for descriptor in range(3):
        os.close(descriptor)


def _log() -> None:
    Path(os.environ["BENCH_TEST_FAULT_LOG"], f"{os.getpid()}").touch()


def _daemon(*, bare: bool = False) -> None:
    """A process of its own session, which nobody's child is any more, and which holds all pipes open."""
    if (first := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            _log()
            if bare:
                os.execve("/bin/sleep", ["sleep", "3600"], {})
            time.sleep(3600)
        os._exit(0)
    os.waitpid(first, 0)
    while not list(Path(os.environ["BENCH_TEST_FAULT_LOG"]).iterdir()):
        time.sleep(0.01)


def daemon_and_crash() -> None:
    _daemon()
    segfault()


def daemon_and_exit_0() -> None:
    _daemon()
    exit_0()


def daemon_and_sleep() -> None:
    _daemon()
    sleep()


def daemon_and_go_on() -> None:
    _daemon()


def bare_daemon_and_sleep() -> None:
    _daemon(bare=True)
    sleep()


def children_and_crash() -> None:
    for _ in range(8):
        if os.fork() == 0:
            _log()
            time.sleep(3600)
    segfault()


def fork_that_comes_back() -> None:
    _past.add(FAULT)
    if os.fork() == 0:
        _log()


def eat_memory_bit_by_bit() -> None:
    kept = []
    while True:
        kept.append(b"x" * 2**20)


def eat_memory_in_small_bits() -> None:
    kept: list[object] = []
    while True:
        kept.append([None] * 7)


def eat_memory_at_once() -> None:
    bytearray(2**40)


def eat_memory_outside_python() -> None:
    """What a library in C++ does that does not look: it writes to what malloc gave."""
    while True:
        held = mmap.mmap(-1, 2**24, mmap.MAP_PRIVATE)
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(held)), 1, 2**24)
        _held.append(held)


_held: list[object] = []

happen("import")
_here = Path(__file__).resolve().parents[1]
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != _here]
del sys.modules[__name__]
importlib.invalidate_caches()
_real = importlib.import_module(__name__)

if MOMENT:
    _Real = _real.InferenceSession

    class InferenceSession(_Real):  # type: ignore[misc, valid-type]
        def __init__(self, path: str, options: Any, **more: Any) -> None:
            happen("load")
            # The number of threads is only a name here.
            options.intra_op_num_threads = 1
            super().__init__(path, options, **more)

        def run(self, *given: Any) -> Any:
            happen(_now())
            return changed(super().run(*given))

        def __del__(self) -> None:
            happen("close")

    _real.InferenceSession = InferenceSession
