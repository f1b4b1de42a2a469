"""The parent's side of the sampler: start it, aim it, take snapshots, collect."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from bench import wire
from bench.errors import UserError, unknown
from bench.process import ChildProcess
from bench.record.codec import pack, unpack
from bench.record.observation import Reading, SensorState, Telemetry
from bench.sensors.messages import (
    STOOD_IN,
    VERSION,
    Call,
    Choice,
    Finish,
    Finished,
    Latest,
    Live,
    Ready,
    Refused,
    Reply,
    Setup,
    Snapshot,
    Started,
    Taken,
    Watch,
)
from bench.sensors.table import DEFAULT, SENSORS

T = TypeVar("T", Started, Taken, Live, Finished)

MAX_READINGS = 200_000
STARTS = 2
"""A sampler that could not be started so often in a row is given up: each try may cost its time-out."""
WORD_S = 0.5
"""How long a sampler that hangs has for its last word."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class _Gone(Exception):
    """The sampler process died or does not answer; the text says which."""


class Sampler:
    """A process beside the measured one that reads sensors, used for many cases in a row.

    ```python
    with Sampler() as sampler:
        sampler.watch(worker.pid)
        sampler.snapshot("measure-start")
        ...
        sampler.snapshot("measure-end")
        telemetry = sampler.finish()
    ```

    Args:
        sensors: names from `bench.sensors.table.SENSORS`; `DEFAULT` unless given.
        options: options by sensor name, such as `{"nvml": {"period_s": 0.02}}`.
        affinity: the cores the sampler may use, so that it keeps off those being measured.
        max_readings: a bound on what is kept; beyond it readings are thinned, and the state says so.
        start_timeout_s: how long the process may take to stand (seconds).
        timeout_s: how long any later answer may take (seconds).

    A sampler that dies or hangs costs its readings, never the case: `watch` and `snapshot` then return
    quietly, `finish` says in the sensor states what happened, and the next `watch` starts a new process.
    Safe to call from several threads.

    Raises:
        UserError: from `__enter__`, for an unknown sensor or option, or cores that do not exist.
    """

    def __init__(
        self,
        sensors: Sequence[str] | None = None,
        *,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        affinity: Iterable[int] | None = None,
        max_readings: int = MAX_READINGS,
        start_timeout_s: float = 30.0,
        timeout_s: float = 10.0,
    ) -> None:
        names = DEFAULT if sensors is None else tuple(sensors)
        options = options or {}
        for name in (*names, *options):
            if name not in SENSORS:
                raise unknown("sensor", name, SENSORS)
        self._setup = Setup(
            version=VERSION,
            sensors=tuple(Choice(name=name, options=dict(options.get(name, {}))) for name in names),
            max_readings=max_readings,
            affinity=None if affinity is None else tuple(sorted(affinity)),
        )
        self._start_timeout_s = start_timeout_s
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self._process: ChildProcess | None = None
        self._number = 0
        self._states: tuple[SensorState, ...] = ()
        self._snapshots: dict[str, tuple[Reading, ...]] = {}
        self._trouble: str | None = None
        self._failed_starts = 0
        self._began: float | None = None

    def __enter__(self) -> Self:
        with self._lock:
            try:
                self._start()
            except _Gone as gone:
                self._fail(gone)
            except BaseException:
                self._stop()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the sampler while it runs."""
        return None if self._process is None else self._process.pid

    def states(self) -> tuple[SensorState, ...]:
        """How each sensor stands: available with its units, or not and why."""
        return self._blamed() if self._trouble is not None else self._states

    def watch(self, pid: int) -> None:
        """Sample the process tree of `pid` from now; returns when every sensor has been read once."""
        with self._lock:
            self._snapshots = {}
            self._began = time.perf_counter()
            while True:
                fresh = self._process is None
                if fresh and self._failed_starts >= STARTS:
                    return
                try:
                    if fresh:
                        self._start()
                    self._trouble = None
                    self._ask(Watch(pid), Started)
                except (_Gone, UserError) as error:
                    self._fail(error)
                    # One that died since the last case is replaced at once; a new one gets no second try.
                    if not fresh:
                        continue
                return

    def snapshot(self, edge: str) -> None:
        """Take a reading of everything, the dear figures too, filed under `edge`; returns when it is taken."""
        with self._lock:
            if self._began is None or self._trouble is not None:
                return
            try:
                self._snapshots[edge] = self._ask(Snapshot(edge), Taken).readings
            except _Gone as gone:
                self._fail(gone)

    def latest(self) -> tuple[Reading, ...]:
        """The newest reading of each quantity, for a progress view; nothing where there is none or it is busy."""
        if not self._lock.acquire(blocking=False):
            return ()
        try:
            if self._began is None or self._trouble is not None:
                return ()
            return self._ask(Latest(), Live).readings
        except _Gone as gone:
            self._fail(gone)
            return ()
        finally:
            self._lock.release()

    def finish(self) -> Telemetry:
        """Stop sampling this process and return what was seen, or why nothing was."""
        with self._lock:
            began, self._began = self._began, None
            if self._trouble is None and began is not None:
                try:
                    return self._ask(Finish(), Finished).telemetry
                except _Gone as gone:
                    self._fail(gone)
            wall_s = 0.0 if began is None else time.perf_counter() - began
            return Telemetry(sensors=self.states(), snapshots=self._snapshots, sampler_wall_s=wall_s)

    def close(self) -> None:
        """End the sampler process."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        self._stop()
        self._failed_starts += 1
        self._number = 0
        try:
            self._process = ChildProcess("bench.sensors.sampler_process", environment=_ONE_THREAD)
        except OSError as error:
            raise _Gone(f"the sampler process could not be started: {error}") from error
        self._send(pack(self._setup))
        reply = self._await(0, self._start_timeout_s)
        if isinstance(reply, Refused):
            raise UserError(f"the sampler refused its setup: {reply.reason}", where="sensors")
        if not isinstance(reply, Ready) or reply.version != VERSION:
            raise _Gone("the sampler did not introduce itself as expected")
        self._states = reply.states
        self._failed_starts = 0

    def _ask(self, body: Watch | Snapshot | Latest | Finish, kind: type[T]) -> T:
        self._number += 1
        self._send(pack(Call(self._number, body)))
        reply = self._await(self._number, self._timeout_s)
        if not isinstance(reply, kind):
            raise _Gone(f"the sampler answered {type(reply).__name__} to {type(body).__name__}")
        return reply

    def _send(self, frame: bytes) -> None:
        if self._process is None:
            raise _Gone("the sampler is not running")
        self._process.send(frame)

    def _await(self, number: int, timeout_s: float) -> Ready | Started | Taken | Live | Finished | Refused:
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                frame = self._process.receive(deadline - time.monotonic())
                reply = None if frame is None else unpack(frame, Reply)
            except TimeoutError:
                raise _Gone(f"the sampler did not answer within {timeout_s:g} s{self._where()}") from None
            except (wire.WireError, msgspec.MsgspecError) as error:
                raise _Gone(f"the sampler sent something unreadable: {error}") from error
            if reply is None:
                raise _Gone(self._end())
            if reply.number == number:
                return reply.body

    def _end(self) -> str:
        """How the sampler process ended, with the last of what it printed."""
        assert self._process is not None
        ending = self._process.end(grace_s=1.0)
        tail = self._process.tail()
        how = f"signal {ending.signal}" if ending.signal else f"exit code {ending.code}"
        return f"the sampler process ended by {how}" + (f": {tail.splitlines()[-1]}" if tail else "")

    def _where(self) -> str:
        """Which sensor a sampler hangs in that does not answer, as it says itself when it is told to end."""
        assert self._process is not None
        self._process.end(grace_s=WORD_S)
        _, known, name = self._process.tail().rpartition(STOOD_IN)
        return f", as it hangs in reading {name}" if known else ""

    def _fail(self, error: Exception) -> None:
        self._trouble = str(error)
        self._stop()

    def _blamed(self) -> tuple[SensorState, ...]:
        """The states with the sampler's own trouble as the reason for those that were to be read."""
        known = self._states or tuple(
            SensorState(sensor=choice.name, source="", period_s=0.0, available=True) for choice in self._setup.sensors
        )
        return tuple(
            msgspec.structs.replace(s, available=False, quantities={}, reason=str(self._trouble)) if s.available else s
            for s in known
        )

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # After trouble there is nothing to wait for.
            process.end(grace_s=0.0 if self._trouble is not None else self._timeout_s)
            process.close()
