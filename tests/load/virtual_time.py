"""Simulated time: a clock that moves only when somebody spends or waits, for one lane or for several."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.load.base import Requests
from bench.load.crew import Crew

T = TypeVar("T")
MS = 1_000_000


class VirtualTime:
    """Each lane has a time of its own, and only the one that is farthest behind may go on.

    That is a conservative discrete-event simulation: what a lane does, it does knowing all that happened
    before. `overshoot` ns is how much too long every wait lasts, as a sleeping machine's does.
    """

    def __init__(self, overshoot: int = 0) -> None:
        self._main = 0
        self._local: dict[int, int] = {}
        self._turn = threading.Condition()
        self._overshoot = overshoot

    def now(self) -> int:
        return self._local.get(threading.get_ident(), self._main)

    def spend(self, ns: int) -> None:
        self._go_to(self.now() + ns)

    def wait_until(self, at_ns: int) -> int:
        if at_ns > self.now():
            self._go_to(at_ns + self._overshoot)
        return self.now()

    def _go_to(self, at: int) -> None:
        me = threading.get_ident()
        if me not in self._local:
            self._main = at
            return
        with self._turn:
            self._local[me] = at
            self._turn.notify_all()
            self._turn.wait_for(lambda: min(self._local.items(), key=lambda item: item[1])[0] == me)

    def run_together(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        answers: dict[int, T] = {}
        gate = threading.Barrier(len(tasks) + 1)

        def run(number: int, task: Callable[[], T]) -> None:
            me = threading.get_ident()
            self._local[me] = self._main
            gate.wait()
            gate.wait()
            try:
                self._go_to(self._main)
                answers[number] = task()
            finally:
                with self._turn:
                    ended.append(self._local.pop(me))
                    self._turn.notify_all()

        ended: list[int] = []
        threads = [threading.Thread(target=run, args=item, daemon=True) for item in enumerate(tasks)]
        for thread in threads:
            thread.start()
        gate.wait()  # every lane is known before the first one moves
        gate.wait()
        for thread in threads:
            thread.join()
        self._main = max(ended)
        return [answers[number] for number in range(len(tasks))]


class VirtualCrew(Crew):
    """A crew in simulated time; its one lane runs in the caller's thread."""

    time: VirtualTime

    def together(
        self, work: Callable[[int, Requests], T], tick: Callable[[], None] | None = None, tick_s: float = 1.0
    ) -> list[T]:
        if tick:
            tick()
        if len(self.lanes) == 1:
            return [work(0, self.lanes[0])]
        return self.time.run_together(
            [lambda number=number, lane=lane: work(number, lane) for number, lane in enumerate(self.lanes)]
        )


def virtual_crew(services: Sequence[Sequence[int]], overshoot: int = 0) -> VirtualCrew:
    """One lane for each list of service times (ns), which it takes in turn and over again."""
    time = VirtualTime(overshoot)
    return VirtualCrew(
        [Requests(time.spend, lambda i, lane=lane: lane[i], len(lane), time.now) for lane in services], time
    )


def erlang_wait(load: float, services: float) -> float:
    """P(wait <= services * D) in an M/D/1 queue (Erlang 1909)."""
    terms = (
        (load * (k - services)) ** k / math.factorial(k) * math.exp(-load * (k - services))
        for k in range(math.floor(services) + 1)
    )
    return (1 - load) * math.fsum(terms)
