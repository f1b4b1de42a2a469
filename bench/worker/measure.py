"""The parent's side of one invocation: start the child, keep its time, take what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from bench import wire
from bench.process import ChildProcess, Interpreter, describe_exit
from bench.record.case import Case
from bench.record.codec import pack, unpack
from bench.record.observation import Failure, Observation, Telemetry
from bench.worker.messages import Done, Edge, Finished, FromChild, Go, Job, Profiled, Progress, Refused

Word = TypeVar("Word", Finished, Done, Profiled)
CORRUPTED, EDGES = "corrupted", "edge"
"""Errands, and the facts that tell what became of them: `seconds`, or why they `failed`."""

OnProgress = Callable[[str, int, float | None], None]
"""Called with phase, samples so far in it and the last block's median (s), which is None where a phase begins."""

_BEGINS = {"before-load": "load", "after-load": "warm-up", "measure-start": "measure", "measure-end": "evaluate"}
"""The phase that begins at an edge."""


class Watcher(Protocol):
    """What the parent needs of a sampler."""

    def watch(self, pid: int) -> None:
        """Start sampling this process; returns when sampling has started."""

    def snapshot(self, edge: str) -> None:
        """Read every sensor once; returns when that is done."""

    def finish(self) -> Telemetry:
        """Stop sampling and give what was read."""


def measure(
    job: Job,
    invocation: int,
    watcher: Watcher,
    on_progress: OnProgress | None = None,
    *,
    python: Interpreter | None = None,
) -> Observation:
    """Run one invocation of a case in a fresh process, of `python` where given. Never raises for what the child does.

    Raises:
        OSError: the interpreter cannot be started.
    """
    spawned_ns = time.perf_counter_ns()
    with ChildProcess("bench.worker.child", environment=thread_pools(job.case), python=python) as child:
        job = msgspec.structs.replace(job, spawned_ns=spawned_ns, invocation=invocation)
        watcher.watch(child.pid)
        deadline = time.monotonic() + job.plan.timeout_s
        child.send(pack(job))
        if on_progress is not None:
            on_progress("start", 0, None)
        try:
            answer = listen(child, job.plan.timeout_s, deadline, "start", Finished, watcher, on_progress)
        finally:
            telemetry = watcher.finish()
        if isinstance(answer, Finished):
            return Observation(
                case=job.case,
                invocation=invocation,
                status="ok",
                placement=answer.placement,
                phases=answer.phases,
                warmup=answer.warmup,
                samples=answer.samples,
                telemetry=telemetry,
                load_ns=answer.load_ns,
                validity=answer.validity,
                capacity=answer.capacity,
                cold_start=answer.cold_start,
                first_ns=answer.first_ns,
                facts=answer.facts | _errands(child, job, deadline, watcher, on_progress),
            )
        return Observation(case=job.case, invocation=invocation, status="failed", failure=answer, telemetry=telemetry)


def _errands(
    child: ChildProcess, job: Job, deadline: float, watcher: Watcher, on_progress: OnProgress | None
) -> dict[str, object]:
    """What became of the errands. They come last: whatever happens there, the case has its figures."""
    told: dict[str, object] = {}
    before = "the case's own figures"
    for name in job.errands:
        if on_progress is not None:
            on_progress(f"evaluate {name}", 0, None)
        last = listen(child, job.plan.timeout_s, deadline, before, Done, watcher)
        told[name] = {"failed": last.reason} if isinstance(last, Failure) else {"seconds": last.seconds}
        before = name
    return told


def listen(
    child: ChildProcess,
    timeout_s: float,
    deadline: float,
    phase: str,
    until: type[Word],
    watcher: Watcher | None = None,
    on_progress: OnProgress | None = None,
) -> Word | Failure:
    """The child's word of the kind `until`, or why there is none at `deadline` (monotonic clock, s).

    `timeout_s` is the time that the child had in all, for the sentence; `phase` is what it is in.
    """
    while True:
        try:
            frame = child.receive(deadline - time.monotonic())
            message: FromChild | None = None if frame is None else unpack(frame, FromChild)  # type: ignore[arg-type]
        except TimeoutError:
            child.kill()
            reason = f"no answer within {timeout_s:g} s (timeout_s); the process was ended"
            return Failure(reason=reason, phase=phase, signal="SIGKILL", tail=child.tail())
        except (wire.WireError, msgspec.DecodeError) as error:
            child.kill()
            return Failure(reason=f"the process sent something unreadable: {error}", phase=phase, tail=child.tail())
        match message:
            case None:
                code, name = child.end()
                reason = describe_exit(code, name, f"the phase after {phase}" if phase != "start" else "its start")
                return Failure(reason=reason, phase=phase, exit_code=code, signal=name, tail=child.tail())
            case Edge(name=name):
                phase = name
                if watcher is not None:
                    watcher.snapshot(name)
                child.send(pack(Go()))
                # Only now: the edge is taken and the child is at work again.
                if on_progress is not None and name in _BEGINS:
                    on_progress(_BEGINS[name], 0, None)
            case Progress():
                if on_progress is not None:
                    on_progress(message.phase, message.samples, message.median_s)
            case Refused():
                return Failure(reason=message.reason, phase=message.phase, tail=child.tail())
            case _ if isinstance(message, until):
                return message
            case _:
                return Failure(reason=f"the process spoke out of turn: {type(message).__name__}", phase=phase)


def thread_pools(case: Case) -> dict[str, str]:
    """The environment that holds thread pools which a runtime makes on import to the case's number."""
    count = str(case.threads)
    return {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": count}
