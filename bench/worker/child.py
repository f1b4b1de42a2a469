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

from bench import wire


def main() -> None:
    """Answer one job."""
    started = time.perf_counter_ns()
    incoming, outgoing = wire.take_over()
    _end_with_parent()
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame = wire.receive(incoming)
    if frame is None:
        return
    import_ns = _import_runtime(frame)
    from bench.record.codec import unpack
    from bench.worker.measurement import Measurement, Talk
    from bench.worker.messages import VERSION, Job, ProfileJob, Refused

    job: Job | ProfileJob = unpack(frame, Job | ProfileJob)  # type: ignore[arg-type]
    talk = Talk(incoming, outgoing)
    if job.version != VERSION:
        talk.say(Refused(reason=f"parent speaks version {job.version}, child version {VERSION}", phase="start"))
        return
    if isinstance(job, ProfileJob):
        from bench.worker.profiling import answer

        answer(job, talk)
        return
    Measurement(job, talk, started, import_ns).answer()


def _end_with_parent() -> None:
    """A parent that is killed takes this process along, whatever it hangs in (Linux)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _import_runtime(frame: bytes) -> int:
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
