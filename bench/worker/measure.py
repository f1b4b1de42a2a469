"""The parent's side of one invocation: start the child, keep its time, take what comes of it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import msgspec

from bench import wire
from bench.load.still import STOPPED, Disturbed, Still
from bench.process import UNENDED, ChildProcess, Interpreter, describe_exit
from bench.record.case import Case
from bench.record.codec import pack, unpack
from bench.record.observation import Failure, Observation, Telemetry
from bench.worker.messages import (
    Closed,
    Done,
    Edge,
    Entered,
    Finished,
    FromChild,
    Go,
    Job,
    Profiled,
    Progress,
    Refused,
)

Word = TypeVar("Word", Finished, Done, Closed, Profiled)
CORRUPTED, EDGES = "corrupted", "edge"
"""Errands, and the facts that tell what became of them: `seconds`, or why they `failed`."""

OnProgress = Callable[[str, int, float | None], None]
"""Called with phase, samples so far in it and the last block's median (s), which is None where a phase begins."""

_BEGINS = {"before-load": "load", "after-load": "first", "measure-start": "measure", "measure-end": "evaluate"}
"""The phase that begins at an edge."""
_SHOWN = ("load", "warm-up", "measure", "evaluate")
"""The phases that last long enough to be shown."""
_CLOSE_S = 5.0
"""What closing the session may last at least, however long the errands took."""
_REASON_CHARS = 2000
"""How much of a reason is kept: it comes from the process, and a runtime may put anything into its errors."""


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

    Its working folder, and that of its temporary files, is an empty one that is removed with all that is left in it.

    Raises:
        OSError: the interpreter cannot be started.
    """
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True))
        still = Still()
        spawned_ns = time.perf_counter_ns()
        child = stack.enter_context(worker(job.case, scratch, python=python))
        job = msgspec.structs.replace(job, spawned_ns=spawned_ns, invocation=invocation)
        watcher.watch(child.pid)
        deadline = time.monotonic() + job.plan.timeout_s
        child.send(pack(job))
        if on_progress is not None:
            on_progress("start", 0, None)

        def at_edge(name: str) -> Go:
            watcher.snapshot(name)
            return Go(_stillness(child, still) if name == "after-load" else None)

        try:
            answer = listen(child, job.plan.timeout_s, deadline, "start", Finished, at_edge, on_progress)
        finally:
            telemetry = watcher.finish()
        told: dict[str, object] = {}
        if isinstance(answer, Finished):
            told = _errands(child, job, deadline, on_progress)
            if told:
                deadline = max(deadline, time.monotonic() + _CLOSE_S)
            # A process that an errand ended cannot close its session: the errand says why.
            closed = Closed() if child.ended else listen(child, job.plan.timeout_s, deadline, "close", Closed)
            answer = closed if isinstance(closed, Failure) else answer
        # It ends by itself: to have it killed would be no quicker.
        child.end()
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
                facts=answer.facts | told,
            )
        return Observation(case=job.case, invocation=invocation, status="failed", failure=answer, telemetry=telemetry)


def _stillness(child: ChildProcess, still: Still) -> str | None:
    """How the child stood still since it was started: it has no eyes for that itself before the runtime is there."""
    try:
        still.check()
    except Disturbed as why:
        return str(why)
    return STOPPED if child.was_stopped else None


def _errands(child: ChildProcess, job: Job, deadline: float, on_progress: OnProgress | None) -> dict[str, object]:
    """What became of the errands. They come last: whatever happens there, the case has its figures."""
    told: dict[str, object] = {}
    for name in job.errands:
        if on_progress is not None:
            on_progress(f"evaluate {name}", 0, None)
        last = listen(child, job.plan.timeout_s, deadline, f"evaluate {name}", Done)
        told[name] = {"failed": last.reason} if isinstance(last, Failure) else {"seconds": last.seconds}
    return told


def listen(
    child: ChildProcess,
    timeout_s: float,
    deadline: float,
    phase: str,
    until: type[Word],
    at_edge: Callable[[str], Go] | None = None,
    on_progress: OnProgress | None = None,
) -> Word | Failure:
    """The child's word of the kind `until`, or why there is none at `deadline` (monotonic clock, s).

    `timeout_s` is the time that the child had in all, for the sentence; `phase` is what it is in.
    `at_edge` is called with the name of each edge and gives what the child is then told.
    """
    while True:
        message = _heard(child, timeout_s, deadline, phase)
        match message:
            case Failure():
                return message
            case Entered():
                phase = message.phase
                _show(phase, on_progress)
            case Edge(name=name) if name in _BEGINS:
                phase = _BEGINS[name]
                child.send(pack(at_edge(name) if at_edge is not None else Go()))
                # Only now: the edge is taken and the child is at work again.
                _show(phase, on_progress)
            case Progress():
                if on_progress is not None:
                    on_progress(message.phase, message.samples, message.median_s)
            case Refused():
                return Failure(reason=_cut(message.reason), phase=message.phase, tail=child.tail())
            case _ if isinstance(message, until):
                return message
            case _:
                reason = f"the process spoke out of turn: {type(message).__name__}"
                return Failure(reason=reason, phase=phase, tail=child.tail())


def _heard(child: ChildProcess, timeout_s: float, deadline: float, phase: str) -> FromChild | Failure:
    """The child's next word, or why there is none; then the child is ended."""
    try:
        frame = child.receive(deadline - time.monotonic())
        if frame is not None:
            return unpack(frame, FromChild)  # type: ignore[arg-type]
    except TimeoutError:
        how = UNENDED if child.end(grace_s=0).code is None else "was ended"
        reason = f"no answer within {timeout_s:g} s (timeout_s); the process {how}"
        return Failure(reason=reason, phase=phase, signal="SIGKILL", tail=child.tail())
    except (wire.WireError, msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        child.kill()
        reason = _cut(f"the process sent something unreadable: {error}")
        return Failure(reason=reason, phase=phase, tail=child.tail())
    ending = child.end()
    reason = describe_exit(ending, "its start" if phase == "start" else f"the phase {phase!r}")
    return Failure(reason=reason, phase=phase, exit_code=ending.code, signal=ending.signal, tail=child.tail())


def _show(phase: str, on_progress: OnProgress | None) -> None:
    if on_progress is not None and phase in _SHOWN:
        on_progress(phase, 0, None)


def _cut(reason: str) -> str:
    return reason if len(reason) <= _REASON_CHARS else f"{reason[:_REASON_CHARS]}… ({len(reason):,} characters)"


def worker(case: Case, scratch: str, *, python: Interpreter | None = None) -> ChildProcess:
    """A measuring process that waits for its job: it works in the folder `scratch`, and keeps temporary files there.

    Its environment holds thread pools which a runtime makes on import to the case's number.
    """
    count = str(case.threads)
    environment = {"OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": count, "TMPDIR": scratch}
    return ChildProcess("bench.worker.child", environment=environment, python=python, folder=scratch, results=1)
