"""Clusters without Dask: workers that are asked in this process, or that are not asked at all."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from bench.fleet import station
from bench.fleet.link import MACHINE, TARGET, Ended, Seen
from bench.fleet.messages import Announcement, Order
from bench.record.case import Case
from bench.record.codec import pack, unpack
from bench.record.profile import Profile

_FEW = 10
"""In larger crowds nobody counts who is at what: that would take longer than the parent does."""


class Cluster:
    """See `bench.fleet.link.Link`. Each `wait` lets every worker that is well do one thing, the real thing.

    Workers die or fall silent on command.
    """

    def __init__(self) -> None:
        self.there: dict[str, Announcement] = {}
        self.silent: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.beat = 0.0
        self.before: Callable[[str, str], None] = lambda address, function: None
        self._todo: dict[str, tuple[str, Callable[..., Any], tuple[Any, ...]]] = {}

    def join(self, address: str, told: Announcement) -> None:
        self.there[address] = told

    def die(self, address: str) -> None:
        del self.there[address]

    def count(self, function: str) -> int:
        return sum(name == function for _, name in self.asked)

    def members(self) -> dict[str, Seen]:
        self.beat += 1
        return {
            address: Seen(address, 0.0 if address in self.silent else self.beat, {f"{TARGET}{told.target}": 1})
            for address, told in self.there.items()
        }

    def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, needs: dict[str, int]) -> None:
        machine = self.there[address].machine
        at_work = [where for where, *_ in self._todo.values() if where in self.there and where not in self.silent]
        if MACHINE in needs:
            assert machine not in {self.there[where].machine for where in at_work}, "two things at once on a machine"
        self._todo[key] = (address, function, given)

    def forget(self, key: str) -> None:
        self._todo.pop(key, None)

    def wait(self, seconds: float) -> list[Ended]:
        ended = []
        for key, (address, function, given) in list(self._todo.items()):
            if address in self.there and address not in self.silent:
                self.before(address, function.__name__)
            if address not in self.there or address in self.silent:
                continue
            self.asked.append((address, function.__name__))
            station.stand_as(self.there[address])
            del self._todo[key]
            try:
                ended.append(Ended(key, answer=function(*given)))
            except Exception as error:  # what a worker raises, of whatever kind, comes back as text
                ended.append(Ended(key, error=str(error)))
        return ended


class Crowd:
    """See `bench.fleet.link.Link`. Workers that measure nothing: each `wait` brings one answer, the oldest asked for.

    `asked` counts the answers by function, `at_once` how many workers were at it at the most; `spent_s` (wall clock) is
    what making the answers took, which elsewhere is the workers' time.
    """

    def __init__(self, there: Mapping[str, Announcement], outcome: Callable[[Case], bytes]) -> None:
        self.there = there
        self.asked: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.spent_s = 0.0
        self._outcome = outcome
        self._beat = 0.0
        self._todo: dict[str, tuple[str, str, tuple[Any, ...]]] = {}
        self._order: deque[str] = deque()

    def members(self) -> dict[str, Seen]:
        self._beat += 1
        return {
            address: Seen(address, self._beat, {f"{TARGET}{told.target}": 1, MACHINE: 1})
            for address, told in self.there.items()
        }

    def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, needs: dict[str, int]) -> None:
        self._todo[key] = (address, function.__name__, given)
        self._order.append(key)
        at_it = sum(name == function.__name__ for _, name, _ in self._todo.values()) if len(self._todo) < _FEW else 0
        self.at_once[function.__name__] = max(self.at_once[function.__name__], at_it)

    def forget(self, key: str) -> None:
        self._todo.pop(key, None)

    def wait(self, seconds: float) -> list[Ended]:
        while self._order:
            key = self._order.popleft()
            if key in self._todo:
                began = time.perf_counter()
                ended = Ended(key, answer=self._answer(*self._todo.pop(key)))
                self.spent_s += time.perf_counter() - began
                return [ended]
        return []

    def _answer(self, address: str, function: str, given: tuple[Any, ...]) -> bytes:
        self.asked[function] += 1
        if function == "announce":
            return pack(self.there[address])
        if function == "measure":
            return self._outcome(unpack(given[0], Order).case)
        return pack(Profile(target="", reason="simulated")) if function == "profile" else b""
