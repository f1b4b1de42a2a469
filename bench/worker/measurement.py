"""One invocation of a case, from its inputs to its answer, inside the measuring process."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from bench import wire
from bench.load import table
from bench.load.base import CLOCK, Measured, OptionError, Settings, Watch, quiet_collector
from bench.load.still import Disturbed, Still
from bench.load.warmup import NONE, warm_up
from bench.record.codec import pack, unpack
from bench.record.observation import ColdStart, Phase, Warmup
from bench.runtimes.base import Opening, Session, SessionError
from bench.runtimes.table import RUNTIMES, make_ready, open_session
from bench.worker import inputs
from bench.worker.evaluate import write_outputs
from bench.worker.lanes import open_crew
from bench.worker.messages import Closed, Done, Edge, Entered, Errand, Finished, FromChild, Go, Job, Progress, Refused

HEAVY = ("tensorflow", "keras", "tf2onnx", "torch", "polars", "sklearn", "scipy", "pandas")
"""Modules that a measuring process must not hold; what it finds of them is reported with the result."""


_RESERVE = 16 * 2**20


class Talk:
    """The child's side of the conversation."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._pid = os.getpid()

    def say(self, message: FromChild) -> None:
        """Send one message. Raises SystemExit where nobody can hear it."""
        if os.getpid() != self._pid:
            # A fork that the runtime made came back into the harness: two would speak at once.
            os._exit(1)
        try:
            wire.send(self._outgoing, pack(message))
        except OSError as error:
            sys.exit(f"the pipe to the harness is closed ({error})")

    def edge(self, name: str) -> Go:
        """Tell the parent that a phase ends and wait until the snapshot is taken; what the parent says to that."""
        self.say(Edge(name, time.perf_counter_ns()))
        try:
            go = wire.receive(self._incoming)
        except (OSError, wire.WireError) as error:
            raise SessionError(f"the pipe from the harness was closed inside the process ({error})") from error
        if not go:
            # The parent is gone, or has said farewell: nobody is left to answer to.
            os._exit(1)
        return unpack(go, Go)


class Measurement:
    """One job. `started` is when this process began (ns), `import_ns` what importing the runtime took.

    `fence` says what `bench.confine` holds this process to.
    """

    def __init__(self, job: Job, talk: Talk, started: int, import_ns: int, fence: dict[str, Any]) -> None:
        self._job, self._talk, self._fence = job, talk, fence
        self._started, self._import_ns = started, import_ns
        self._phase, self._phase_start = "start", started
        self._phases: list[Phase] = []
        self._opened: tuple[Session, list[tuple[int, ...]]] | None = None
        self._still = Still()
        self._stillness: list[str] = []

    def answer(self) -> None:
        """Measure and say what came of it, then of each errand."""
        with self._still:
            if not self._said(self._measure):
                return
        for name, errand in self._job.errands.items():
            self._enter(name)
            self._said(partial(self._run, errand))
        self._said(self._close)

    def _said(self, make: Callable[[], Finished | Done | Closed]) -> bool:
        """Say what `make` gives, or why it gives nothing; whether it gave something."""
        try:
            self._talk.say(make())
        except SystemExit as error:
            self._refuse(f"the runtime ended the process: exit({error.code!r})")
        except Exception as error:
            if _is_of_memory(error):
                use_reserve()
                limit = self._job.plan.memory_limit_bytes
                self._refuse(f"out of memory (limit {limit // 2**20} MiB)" if limit else "out of memory")
            elif _has_errno(error, errno.EFBIG):
                self._refuse(f"{error}: {self._file_limit()}")
            elif isinstance(error, SessionError | OptionError):
                self._refuse(str(error))
            elif isinstance(error, Disturbed):
                self._refuse(f"{error}: run it again where nothing stops it")
            else:
                traceback.print_exc()
                self._refuse(f"{type(error).__name__}: {error}")
        else:
            return True
        return False

    def _run(self, errand: Errand) -> Done:
        assert self._opened is not None
        session, wanted = self._opened
        began = CLOCK()
        write_outputs(session, self._job.artifact, Path(errand.inputs), wanted, Path(errand.outputs))
        return Done(seconds=(CLOCK() - began) * 1e-9)

    def _close(self) -> Closed:
        assert self._opened is not None
        self._tell("close")
        self._opened[0].close()
        return Closed()

    def _file_limit(self) -> str:
        limit = self._job.plan.confinement.file_limit_bytes
        return f"over the limit of {limit / 2**20:g} MiB (file_limit_mb)" if limit else "over the system's limit"

    def _refuse(self, reason: str) -> None:
        self._talk.say(Refused(reason=reason, phase=self._phase))

    def _measure(self) -> Finished:
        """What was measured. It is told before the inputs of any errand are read; the session stays open."""
        job = self._job
        limit_memory(job.plan.memory_limit_bytes)
        self._enter("import")
        # The runtime is there already, unless it cannot be imported: then this says why.
        importlib.import_module(RUNTIMES[job.case.runtime].imported(job.case.provider))
        make_ready(job.case.runtime, job.case.provider)
        own = table.own_options(job.case.scenario, job.case.options)
        table.check(job.case.scenario, own)

        self._tell("inputs")
        wanted, pool = self._lay_out()
        peak_reset = _reset_peak()
        self._talk.edge("before-load")

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
        go = self._talk.edge("after-load")
        placement = session.placement()

        self._enter("first")
        request = session.prepare(pool[0])
        before = CLOCK()
        session.call(request)
        first_ns = CLOCK() - before

        cold = None
        if job.spawned_ns is not None and self._ran_on(go.stood_still):
            cold = ColdStart(
                process_start_ns=self._started - job.spawned_ns,
                import_ns=self._import_ns,
                load_ns=load_ns,
                first_ns=first_ns,
            )
        # Each invocation has luck of its own, and a search uses up a few seeds.
        settings = Settings(own, batch=job.case.batch, seed=job.plan.seed + 1000 * job.invocation, cold=cold)
        warmup, found = self._load(session, opening, pool, settings)
        if job.outputs is not None:
            write_outputs(session, job.artifact, Path(job.inputs), wanted, Path(job.outputs))
        self._enter("end")
        facts = _facts() | self._fence | {"scope": session.scope, "inputs": pool.about, "threads": job.case.threads}
        facts |= {"load": found.facts, "peak_reset": peak_reset, "stillness": self._stillness} | session.facts()
        self._opened = session, wanted
        return Finished(
            placement=placement,
            phases=tuple(self._phases),
            warmup=warmup,
            samples=found.samples,
            load_ns=load_ns,
            first_ns=first_ns,
            validity=found.validity,
            capacity=found.capacity,
            cold_start=cold,
            facts=facts,
        )

    def _lay_out(self) -> tuple[list[tuple[int, ...]], inputs.Pool]:
        """The concrete input shapes, and the pool filled with the examples."""
        job = self._job
        examples = inputs.read_inputs(Path(job.inputs))
        wanted = inputs.shapes(job.artifact, examples, job.case.batch)
        return wanted, inputs.Pool(job.artifact, examples, wanted)

    def _load(
        self, session: Session, opening: Opening, pool: inputs.Pool, settings: Settings
    ) -> tuple[Warmup, Measured]:
        """Warm up, then make the requests of the scenario."""
        case, plan = self._job.case, self._job.plan
        spec = table.SCENARIOS[case.scenario]
        scenario = importlib.import_module(spec.module)
        lanes = table.lanes(spec.name, settings.options)
        watch = Watch(self._begin, self._between, self._still.check)
        with open_crew(session, opening, case.runtime, pool, lanes) as crew, quiet_collector():
            self._tell("warm-up")
            first = len(self._phases)

            def once() -> tuple[Warmup, Measured]:
                warmup = warm_up(crew, plan) if spec.warms_up else NONE
                self._tell("search")
                return warmup, scenario.measure(crew, plan, settings, watch)

            def anew(why: str) -> None:
                self._stillness.append(f"measured anew, as {why}: what came before is in no figure")
                self._tell("warm-up")
                # One stretch without a figure, so that each phase is there once.
                self._phases[first:] = [Phase("disturbed", self._phases[first].start_ns, self._phase_start)]

            warmup, found = self._still.undisturbed(once, anew)
            self._enter("evaluate")
            self._talk.edge("measure-end")
        return warmup, found

    def _ran_on(self, seen: str | None) -> bool:
        """Whether the process ran on since it was started; where its start is what is measured, that has to be.

        `seen` is how it stood still until it was loaded, as the parent saw it. Raises `Disturbed`.
        """
        try:
            self._still.check()
        except Disturbed as why:
            seen = seen or str(why)
        if seen is None:
            return True
        if not table.SCENARIOS[self._job.case.scenario].warms_up:
            raise Disturbed(seen)
        self._stillness.append(f"the start is not timed, as {seen} meanwhile")
        return False

    def _begin(self) -> None:
        if self._phase == "measure":
            # It starts anew: what was measured so far was part of the search.
            self._phase = "search"
        self._talk.edge("measure-start")
        self._enter("measure")

    def _between(self, count: int, median_s: float) -> None:
        self._talk.say(Progress("measure", count, median_s))

    def _tell(self, phase: str) -> None:
        """Enter a phase that no edge tells the parent of."""
        self._talk.say(Entered(phase))
        self._enter(phase)

    def _enter(self, phase: str) -> None:
        now = time.perf_counter_ns()
        self._phases.append(Phase(self._phase, self._phase_start, now))
        self._phase, self._phase_start = phase, now


def _facts() -> dict[str, object]:
    """What the process knows of itself."""
    return {
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "heavy_modules": [name for name in HEAVY if name in sys.modules],
        "python": sys.version.split()[0],
        "clock": "time.perf_counter_ns",
        "clock_resolution_s": time.get_clock_info("perf_counter").resolution,
    }


_UNMAPPED = "failed to map segment from shared object"


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether there was no memory, also where a runtime says so in an error of its own."""
    # The last is what the loader of shared libraries says of it.
    told = any(isinstance(each, MemoryError) or _UNMAPPED in str(each) for each in _causes(error))
    return told or _has_errno(error, errno.ENOMEM)


def _has_errno(error: BaseException | None, number: int) -> bool:
    return any(getattr(each, "errno", None) == number for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _reset_peak() -> bool:
    """Start the kernel's high-water mark anew, to be of loading and running alone (Linux); whether it worked."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def limit_memory(limit: int | None) -> None:
    """Let this process have no more than `limit` bytes of data, and a reserve to say so with (POSIX)."""
    if limit is None:
        return
    try:
        import resource
    except ImportError:  # not a POSIX system: the limit is not enforced there
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit + _RESERVE))


def use_reserve() -> None:
    """Let this process have what `limit_memory` kept back."""
    with contextlib.suppress(ImportError):
        import resource

        _, limit = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
