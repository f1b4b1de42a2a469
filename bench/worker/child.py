"""The measuring process: load, warm up, measure, answer. It imports nothing that it does not measure with.

A job may also ask for a profile: then that is all it does.

Run as `python -m bench.worker.child`, with frames on standard input and output.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from typing import IO, Any

from bench import wire

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Answer one job."""
    started = time.perf_counter_ns()
    # From here on imports are in no figure, but for the runtime's own.
    from bench import confine

    incoming, outgoing = wire.take_over()
    _stay_together(incoming)
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame = wire.receive(incoming)
    if not frame:
        return
    # While there is one thread: NumPy starts more.
    fence: dict[str, Any] | str
    try:
        fence = confine.confine_as_asked(frame)
    except confine.CannotConfine as error:
        fence = f"the network cannot be cut off here, so the model is not run: {error}"
    import_ns = 0 if isinstance(fence, str) else _import_runtime(frame, outgoing)
    from bench.record.codec import unpack
    from bench.worker.measurement import Measurement, Talk
    from bench.worker.messages import VERSION, Job, ProfileJob, Refused

    job: Job | ProfileJob = unpack(frame, Job | ProfileJob)  # type: ignore[arg-type]
    talk = Talk(incoming, outgoing)
    if job.version != VERSION:
        talk.say(Refused(reason=f"parent speaks version {job.version}, child version {VERSION}", phase="start"))
        return
    if isinstance(fence, str):
        talk.say(Refused(reason=fence, phase="start"))
        return
    if isinstance(job, ProfileJob):
        from bench.worker.profiling import answer

        answer(job, talk)
        return
    Measurement(job, talk, started, import_ns, fence).answer()


def _stay_together(incoming: IO[bytes]) -> None:
    """A parent that is killed takes this process along, whatever it hangs in, and what this process starts stays below.

    On Linux: a process that loses its parent in a double fork gets this one as its parent. The thread that started this
    process counts as its parent, and waits for it.
    """
    if sys.platform == "linux":
        import ctypes
        import select

        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # The signal tells of no death before that call.
        poll = select.poll()
        poll.register(incoming, 0)
        if poll.poll(0):
            sys.exit("the process that started this one is gone, or has let go of it")


def _import_runtime(frame: bytes, outgoing: IO[bytes]) -> int:
    """Import what the case's runtime needs, before the harness imports any of it itself; how long it took, ns.

    The records of the harness need NumPy, and so do the runtimes: who comes first pays. A job that cannot
    be read or a runtime that cannot be imported is told of where it is used.
    """
    import msgspec

    from bench.runtimes.table import RUNTIMES

    try:
        raw = msgspec.msgpack.decode(frame)
        _pin(raw["cores"])
        module = RUNTIMES[raw["case"]["runtime"]].imported(raw["case"]["provider"])
        # An `Entered`, in whose module NumPy is.
        wire.send(outgoing, msgspec.msgpack.encode({"type": "Entered", "phase": "import"}))
        before = time.perf_counter_ns()
        importlib.import_module(module)
    except Exception:
        return 0
    return time.perf_counter_ns() - before


def _pin(cores: list[int] | None) -> None:
    """Before anything makes a thread, since threads keep the cores that they were born with."""
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main()
    # All is said, and a runtime's threads can hang at the interpreter's exit.
    os._exit(0)
