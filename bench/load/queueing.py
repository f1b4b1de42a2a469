"""Queries that arrive on a schedule, served in that order by the lanes that are free.

There is no thread that hands queries out: the schedule is known beforehand, and a lane that is free takes
the next arrival and waits for it itself. That is a first-come-first-served queue with as many servers as
lanes, without a hand-over between threads in the latency, and waiting never takes a core from a lane that
works, beyond the last 200 us before an arrival (`RealTime`).
"""

from __future__ import annotations

import itertools
from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.load.base import Requests, Watch, as_int64
from bench.load.crew import Crew
from bench.record.observation import Plan

Int64s = npt.NDArray[np.int64]
_CHUNK = 65_536
_HEAD_START_NS = 2_000_000  # the lanes are awake before the first arrival


def poisson(rate: float, seed: int, plan: Plan) -> Int64s:
    """Arrivals of a Poisson process of `rate` (1/s), ns from the start: `plan.min_s` and `plan.min_samples` at least.

    None lies after `plan.max_s`, except that there is always one. The same seed gives the same process at
    every rate, only faster or slower, so that two rates are compared on the same luck.
    """
    random = np.random.default_rng(seed)
    parts: list[npt.NDArray[np.float64]] = []
    at, count = 0.0, 0
    while at < plan.max_s and (at < plan.min_s or count < plan.min_samples):
        part = at + np.cumsum(random.standard_exponential(_CHUNK)) / rate
        parts.append(part)
        at, count = float(part[-1]), count + _CHUNK
    seconds = np.concatenate(parts)
    wanted = max(int(np.searchsorted(seconds, plan.min_s)) + 1, plan.min_samples)
    allowed = max(int(np.searchsorted(seconds, plan.max_s, side="right")), 1)
    return np.rint(seconds[: min(wanted, allowed)] * 1e9).astype(np.int64)


@dataclass(frozen=True)
class Served:
    """What became of the arrivals, in their order. Times in ns on the crew's clock, one entry a served query.

    `ready_ns` is when a query had arrived and its lane was free; what lies between that and `start_ns` is
    the harness's own lateness. `unserved` is how many were left when the run was cut or given up.
    """

    begin_ns: int
    scheduled_ns: Int64s
    ready_ns: Int64s
    start_ns: Int64s
    end_ns: Int64s
    stream: Int64s
    unserved: int

    @property
    def latency_ns(self) -> Int64s:
        """What users waited: from the scheduled arrival, so that queueing is never hidden."""
        return self.end_ns - self.scheduled_ns


@dataclass(frozen=True)
class Patience:
    """Give up once `late` queries took longer than `bound_ns`."""

    bound_ns: int
    late: int


class _Queue:
    """The arrivals not taken yet."""

    def __init__(self, at: Int64s, cut_ns: int, patience: Patience | None) -> None:
        self._at: list[int] = at.tolist()
        self._ticket = itertools.count().__next__  # atomic under Python's lock, as lanes draw at once
        self._cut, self._patience = cut_ns, patience
        self.late: list[None] = []
        self.closed = False

    def draw(self, now: int) -> tuple[int, int] | None:
        """The next arrival's number and time, or None where there is none, or no more is to be served."""
        if self.closed or now >= self._cut:
            return None
        number = self._ticket()
        return (number, self._at[number]) if number < len(self._at) else None

    def note(self, latency: int) -> None:
        if self._patience is not None and latency > self._patience.bound_ns:
            self.late.append(None)
            if len(self.late) >= self._patience.late:
                self.closed = True


class _Log:
    """What one lane served; eight bytes a stamp."""

    def __init__(self) -> None:
        self.number, self.ready, self.start, self.end = array("q"), array("q"), array("q"), array("q")


def serve(
    crew: Crew, arrivals: Int64s, *, cut_s: float, watch: Watch | None = None, patience: Patience | None = None
) -> Served:
    """Serve `arrivals` (ns from the start, in order) on all lanes of the crew.

    A query that has not begun `cut_s` after the last arrival is left unserved: at a rate over capacity the
    queue would never end.
    """
    time = crew.time
    begin = time.now() + _HEAD_START_NS
    at = begin + arrivals
    queue = _Queue(at, int(at[-1]) + int(cut_s * 1e9), patience)
    logs = [_Log() for _ in crew.lanes]

    def work(number: int, lane: Requests) -> None:
        try:
            _lane(lane, queue, logs[number])
        except BaseException:
            queue.closed = True
            raise

    def _lane(lane: Requests, queue: _Queue, log: _Log) -> None:
        now, wait_until, call, take, draw, note = (
            time.now,
            time.wait_until,
            lane.call,
            lane.take,
            queue.draw,
            queue.note,
        )
        keep_number, keep_ready, keep_start, keep_end = (
            log.number.append,
            log.ready.append,
            log.start.append,
            log.end.append,
        )
        free = now()
        while (drawn := draw(free)) is not None:
            number, due = drawn
            request = take()
            start = wait_until(due)
            call(request)
            end = now()
            keep_number(number)
            keep_ready(due if due > free else free)
            keep_start(start)
            keep_end(end)
            note(end - due)
            free = end

    def tick() -> None:
        log = logs[0]
        recent = range(max(0, len(log.end) - 100), len(log.end))
        waited = [log.end[i] - int(at[log.number[i]]) for i in recent]
        if watch is not None:
            watch.between(sum(len(log.end) for log in logs), float(np.median(waited)) / 1e9 if waited else 0.0)

    crew.together(work, tick)
    number = np.concatenate([as_int64(log.number) for log in logs])
    stream = np.repeat(np.arange(len(logs), dtype=np.int64), [len(log.end) for log in logs])
    order = np.argsort(number, kind="stable")

    def column(name: str) -> Int64s:
        return np.concatenate([as_int64(getattr(log, name)) for log in logs])[order]

    return Served(
        begin_ns=begin,
        scheduled_ns=at[number[order]],
        ready_ns=column("ready"),
        start_ns=column("start"),
        end_ns=column("end"),
        stream=stream[order],
        unserved=len(at) - len(number),
    )
