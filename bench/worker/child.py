"""The measuring process: load, warm up, measure, answer. It imports nothing that it does not measure with.

Run as `python -m bench.worker.child`, with frames on standard input and output.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from bench import wire

HEAVY = ("tensorflow", "keras", "tf2onnx", "polars", "sklearn", "scipy", "pandas")
"""Modules that a measuring process must not hold; what it finds of them is reported with the result."""


def main() -> None:
    """Answer one job."""
    incoming, outgoing = wire.take_over()
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.perf_counter_ns()
    from bench.record.codec import unpack
    from bench.worker.messages import VERSION, Job, Refused

    frame = wire.receive(incoming)
    if frame is None:
        return
    job = unpack(frame, Job)
    talk = _Talk(incoming, outgoing)
    if job.version != VERSION:
        talk.say(Refused(reason=f"parent speaks version {job.version}, child version {VERSION}", phase="start"))
        return
    _Measurement(job, talk, started).answer()


class _Talk:
    """The child's side of the conversation."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    def say(self, message: Any) -> None:
        from bench.record.codec import pack

        wire.send(self._outgoing, pack(message))

    def edge(self, name: str) -> None:
        """Tell the parent that a phase ends and wait until the snapshot is taken."""
        from bench.worker.messages import Edge

        self.say(Edge(name, time.perf_counter_ns()))
        if wire.receive(self._incoming) is None:
            # The parent is gone: nobody is left to answer to.
            os._exit(1)


class _Measurement:
    """One job from its process start to its answer."""

    def __init__(self, job: Any, talk: _Talk, started: int) -> None:
        self.job, self.talk = job, talk
        self._phase_start = started
        self.phase = "start"
        self.phases: list[Any] = []
        self.facts: dict[str, Any] = {}

    def answer(self) -> None:
        """Measure and say what came of it."""
        from bench.runtimes.base import SessionError
        from bench.worker.messages import Refused

        try:
            self.talk.say(self._measure())
        except SessionError as error:
            self.talk.say(Refused(reason=str(error), phase=self.phase))
        except MemoryError:
            limit = self.job.plan.memory_limit_bytes
            cause = f"out of memory (limit {limit // 2**20} MiB)" if limit else "out of memory"
            self.talk.say(Refused(reason=cause, phase=self.phase))
        except Exception as error:
            import traceback

            traceback.print_exc()
            self.talk.say(Refused(reason=f"{type(error).__name__}: {error}", phase=self.phase))

    def _measure(self) -> Any:
        from bench.worker.messages import Finished, Progress

        job, plan = self.job, self.job.plan
        _limit_memory(plan.memory_limit_bytes)
        if job.cores is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, job.cores)
        self._enter("import")
        from bench.load.base import CLOCK, Requests, quiet_collector
        from bench.load.table import SCENARIOS
        from bench.load.warmup import warm_up
        from bench.runtimes.base import Opening
        from bench.runtimes.table import RUNTIMES, open_session
        from bench.worker import inputs

        importlib.import_module(RUNTIMES[job.case.runtime].needs)
        scenario = importlib.import_module(SCENARIOS[job.case.scenario].module)

        self._enter("inputs")
        examples = inputs.read_inputs(Path(job.inputs))
        wanted = inputs.shapes(job.artifact, examples, job.case.batch)
        pool = inputs.Pool(job.artifact, examples, wanted)
        del examples
        self.talk.edge("before-load")

        self._enter("load")
        opening = Opening(
            path=Path(job.artifact_path),
            artifact=job.artifact,
            provider=job.case.provider,
            threads=job.case.threads,
            shapes=wanted,
            options=job.case.options,
        )
        before = CLOCK()
        session = open_session(job.case.runtime, opening)
        load_ns = CLOCK() - before
        self.talk.edge("after-load")
        placement = session.placement()

        self._enter("first")
        request = session.prepare(pool[0])
        before = CLOCK()
        session.call(request)
        first_ns = CLOCK() - before

        with quiet_collector():
            self._enter("warm-up")
            requests = Requests(session.call, lambda at: session.prepare(pool[at]), pool.count)
            warmup = warm_up(requests, plan)
            self.talk.edge("measure-start")
            self._enter("measure")
            samples = scenario.measure(
                requests, plan, between=lambda count, median: self.talk.say(Progress("measure", count, median))
            )
            self._enter("evaluate")
            self.talk.edge("measure-end")
        if job.outputs is not None:
            _evaluate(session, job, wanted)
        self._enter("end")
        self.facts |= {
            "scope": session.scope,
            "inputs": pool.about,
            "threads": job.case.threads,
            "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "heavy_modules": [name for name in HEAVY if name in sys.modules],
            "python": sys.version.split()[0],
            "clock": "time.perf_counter_ns",
            "clock_resolution_s": time.get_clock_info("perf_counter").resolution,
            **session.facts(),
        }
        session.close()
        return Finished(
            placement=placement,
            phases=tuple(self.phases),
            warmup=warmup,
            samples=samples,
            load_ns=load_ns,
            first_ns=first_ns,
            facts=self.facts,
        )

    def _enter(self, phase: str) -> None:
        from bench.record.observation import Phase

        now = time.perf_counter_ns()
        self.phases.append(Phase(self.phase, self._phase_start, now))
        self.phase, self._phase_start = phase, now


def _evaluate(session: Any, job: Any, wanted: list[tuple[int, ...]]) -> None:
    """Run every example and write the real-valued outputs; the last batch is cut to what it holds."""
    import numpy as np

    from bench.runtimes.base import dequantise
    from bench.worker import inputs

    examples = inputs.read_inputs(Path(job.inputs))
    total = len(examples[0])
    parts: list[list[Any]] = [[] for _ in job.artifact.outputs]
    for feed in inputs.batches(job.artifact, examples, wanted):
        for kept, spec, values in zip(parts, job.artifact.outputs, session.run(feed), strict=True):
            kept.append(np.atleast_1d(dequantise(np.array(values), spec)))
    arrays = {str(at): np.concatenate(kept)[:total] for at, kept in enumerate(parts)}
    np.savez(job.outputs, allow_pickle=False, **arrays)


def _limit_memory(limit: int | None) -> None:
    if limit is None:
        return
    try:
        import resource
    except ImportError:  # not a POSIX system: the limit is not enforced there
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main()
