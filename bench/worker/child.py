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
from typing import IO, Any

from bench import wire

HEAVY = ("tensorflow", "keras", "tf2onnx", "polars", "sklearn", "scipy", "pandas")
"""Modules that a measuring process must not hold; what it finds of them is reported with the result."""


def main() -> None:
    """Answer one job."""
    started = time.perf_counter_ns()
    incoming, outgoing = wire.take_over()
    # Ctrl-C belongs to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame = wire.receive(incoming)
    if frame is None:
        return
    import_ns = _import_runtime(frame)
    from bench.record.codec import unpack
    from bench.worker.messages import VERSION, Job, Refused

    job = unpack(frame, Job)
    talk = _Talk(incoming, outgoing)
    if job.version != VERSION:
        talk.say(Refused(reason=f"parent speaks version {job.version}, child version {VERSION}", phase="start"))
        return
    _Measurement(job, talk, started, import_ns).answer()


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


class _Talk:
    """The child's side of the conversation."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
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

    def __init__(self, job: Any, talk: _Talk, started: int, import_ns: int) -> None:
        self.job, self.talk = job, talk
        self._started, self._import_ns = started, import_ns
        self._phase_start = started
        self.phase = "start"
        self.phases: list[Any] = []
        self.facts: dict[str, Any] = {}

    def answer(self) -> None:
        """Measure and say what came of it."""
        from bench.load.base import OptionError
        from bench.runtimes.base import SessionError
        from bench.worker.messages import Refused

        try:
            self.talk.say(self._measure())
        except (SessionError, OptionError) as error:
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
        from bench.worker.messages import Finished

        job, plan = self.job, self.job.plan
        _limit_memory(plan.memory_limit_bytes)
        self._enter("import")
        from bench.load import table
        from bench.load.base import CLOCK, Settings, quiet_collector
        from bench.load.warmup import NONE, warm_up
        from bench.record.observation import ColdStart
        from bench.runtimes.base import Opening
        from bench.runtimes.table import RUNTIMES, open_session
        from bench.worker import inputs
        from bench.worker.evaluate import write_outputs
        from bench.worker.lanes import open_crew

        runtime, spec = RUNTIMES[job.case.runtime], table.SCENARIOS[job.case.scenario]
        # It is there already, unless it cannot be imported: then this says why.
        importlib.import_module(runtime.imported(job.case.provider))
        scenario = importlib.import_module(spec.module)
        own = table.own_options(spec.name, job.case.options)
        table.check(spec.name, own)

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
            options={name: value for name, value in job.case.options.items() if name not in own},
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

        cold = ColdStart(
            process_start_ns=0 if job.spawned_ns is None else self._started - job.spawned_ns,
            import_ns=self._import_ns,
            load_ns=load_ns,
            first_ns=first_ns,
        )
        # Each invocation has luck of its own, and a search uses up a few seeds.
        settings = Settings(own, batch=job.case.batch, seed=plan.seed + 1000 * job.invocation, cold=cold)

        with (
            open_crew(session, opening, job.case.runtime, pool, table.lanes(spec.name, own)) as crew,
            quiet_collector(),
        ):
            self._enter("warm-up")
            warmup = warm_up(crew, plan) if spec.warms_up else NONE
            self._enter("search")
            found = scenario.measure(crew, plan, settings, self._watch())
            self._enter("evaluate")
            self.talk.edge("measure-end")
        if job.outputs is not None:
            write_outputs(session, job.artifact, Path(job.inputs), wanted, Path(job.outputs))
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
            "load": found.facts,
            **session.facts(),
        }
        session.close()
        return Finished(
            placement=placement,
            phases=tuple(self.phases),
            warmup=warmup,
            samples=found.samples,
            load_ns=load_ns,
            first_ns=first_ns,
            validity=found.validity,
            capacity=found.capacity,
            cold_start=cold,
            facts=self.facts,
        )

    def _watch(self) -> Any:
        from bench.load.base import Watch
        from bench.worker.messages import Progress

        def begin() -> None:
            if self.phase == "measure":
                # It starts anew: what was measured so far was part of the search.
                self.phase = "search"
            self.talk.edge("measure-start")
            self._enter("measure")

        return Watch(begin=begin, between=lambda count, median: self.talk.say(Progress("measure", count, median)))

    def _enter(self, phase: str) -> None:
        from bench.record.observation import Phase

        now = time.perf_counter_ns()
        self.phases.append(Phase(self.phase, self._phase_start, now))
        self.phase, self._phase_start = phase, now


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
