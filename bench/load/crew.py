"""Several lanes at once, each with a thread of its own.

Python's threads share one lock. The runtimes let go of it while they compute, so calls overlap; what does
not is the Python around them, some microseconds a call, and a call that is back waits until another lane
lets go. `docs/how-we-measure.md` tells how much that is. With one lane, and in single-stream always,
the measured calls have no other thread to wait for.
"""

from __future__ import annotations

import queue
import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from bench.load.base import REAL, Requests, Time

T = TypeVar("T")
Block: TypeAlias = "tuple[array[int], array[int]]"

TICK_S = 1.0
SWITCH_S = 5e-6
"""How long a lane may keep Python's lock while another asks for it. A lane that spins until its next arrival would
else keep it for all that time."""


class Crew:
    """Lanes that can run at the same time. A context manager: its threads live as long as it is open.

    A lane keeps its thread, since some runtimes hold what they need for a thread by thread.

    Args:
        lanes: one or more, each with requests of its own.
        time: the clock they share.
    """

    def __init__(self, lanes: Sequence[Requests], time: Time = REAL) -> None:
        if not lanes:
            raise ValueError("a crew needs a lane")
        self.lanes = list(lanes)
        self.time = time
        self._threads: list[_Worker] = []
        self._switch = sys.getswitchinterval()

    def __enter__(self) -> Self:
        if len(self.lanes) > 1:
            sys.setswitchinterval(SWITCH_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._threads:
            worker.inbox.put(None)
        for worker in self._threads:
            worker.thread.join()
        self._threads = []
        sys.setswitchinterval(self._switch)

    def together(
        self, work: Callable[[int, Requests], T], tick: Callable[[], None] | None = None, tick_s: float = TICK_S
    ) -> list[T]:
        """Run `work(i, lane i)` for every lane at the same time; the answers in the order of the lanes.

        `tick` is called every `tick_s` seconds meanwhile. The first error of a lane is raised once all
        lanes are back.
        """
        while len(self._threads) < len(self.lanes):
            self._threads.append(_Worker(len(self._threads)))
        outbox: queue.SimpleQueue[_Answer[T]] = queue.SimpleQueue()
        for worker, lane in zip(self._threads, self.lanes, strict=True):
            worker.inbox.put((work, lane, outbox))
        answers: list[_Answer[T]] = []
        while len(answers) < len(self.lanes):
            try:
                answers.append(outbox.get(timeout=tick_s if tick else None))
            except queue.Empty:
                assert tick is not None  # without one there is no time-out
                tick()
        answers.sort(key=lambda answer: answer.lane)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return [value for answer in answers for value in answer.value]

    def block(self, seconds: float) -> list[Block]:
        """Closed loops on all lanes for `seconds`, one call a lane at least: when calls started and ended, ns."""
        deadline = self.time.now() + int(seconds * 1e9)
        if len(self.lanes) == 1:
            return [self.lanes[0].until(deadline)]
        return self.together(lambda _, lane: lane.until(deadline))


class _Answer(Generic[T]):
    """What a lane came back with: one value, or an error."""

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.value: list[T] = []
        self.error: BaseException | None = None


class _Worker:
    """A thread that does what is put in its inbox, until that is None."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=f"lane-{number}", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while (job := self.inbox.get()) is not None:
            work, lane, outbox = job
            answer: _Answer[Any] = _Answer(self.number)
            try:
                answer.value.append(work(self.number, lane))
            except BaseException as error:
                answer.error = error
            outbox.put(answer)
            del job, work, lane, outbox, answer
