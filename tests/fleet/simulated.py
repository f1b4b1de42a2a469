"""A cluster without Dask: workers are asked in this process, and die or fall silent on command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.fleet import station
from bench.fleet.link import MACHINE, TARGET, Ended, Seen
from bench.fleet.messages import Announcement


class Cluster:
    """See `bench.fleet.link.Link`. Each `wait` lets every worker that is well do one thing, the real thing."""

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
