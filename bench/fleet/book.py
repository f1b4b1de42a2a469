"""Which cases of a fleet are to do, in flight, done or lost. Pure: no clock, no network, no disk."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

TRIES = 3
"""So many workers may be lost with a case before it is given up: it may be what ends them."""

_DONE = 1

Parts = npt.NDArray[np.uint32]
"""Of each case of a target, by index, the number of the part that it is of, from 0."""
Order = Callable[[str, int], npt.NDArray[np.uint32]]
"""In which order so many cases of a target are handed out: each index from 0 once."""


class Lost(msgspec.Struct, frozen=True):
    """A case that was given up on a target, after so many tries; `where` is the worker that was lost last.

    `run` is the run folder whose table has its failed row.
    """

    target: str
    case: str
    tries: int
    where: str
    reason: str
    run: str = ""


class _Target:
    """The cases of a target, in parts that each belong to one machine at a time.

    `at` is how far the `order` of a part has been handed out, `end` where it ends; `again` has, by part, what is to do
    once more, after all that was never begun. `free` are parts that no machine has yet.
    """

    def __init__(
        self, cases: Sequence[str], index: Mapping[str, int], parts: Parts, order: npt.NDArray[np.uint32]
    ) -> None:
        self.cases, self.index, self.parts = cases, index, parts
        self.state = bytearray(len(cases))
        self.left = len(cases)
        among = parts[order]
        # Stable: within a part the order stays what it was.
        self.order = order[np.argsort(among, kind="stable")]
        self.end = np.cumsum(np.bincount(parts), dtype=np.uint32)
        self.at = array("I", [0, *self.end[:-1]][: len(self.end)])
        self.free = deque(dict.fromkeys(among.tolist()))
        self.again: dict[int, deque[int]] = {}
        self.owner: dict[int, str] = {}
        self.begun: dict[str, deque[int]] = {}

    def next(self, machine: str) -> int | None:
        mine = self.begun.setdefault(machine, deque())
        while True:
            while mine:
                if (case := self._first(mine[0])) is not None:
                    return case
                mine.popleft()
            if not self.free:
                return self._once_more(machine)
            part = self.free.popleft()
            if part not in self.owner and self._first(part) is not None:
                self.claim(part, machine)

    def _first(self, part: int) -> int | None:
        while self.at[part] < self.end[part]:
            case = int(self.order[self.at[part]])
            if self.state[case] != _DONE:
                return case
            self.at[part] += 1
        return None

    def _once_more(self, machine: str) -> int | None:
        for part in list(self.again):
            if self.owner.get(part, machine) != machine:
                continue
            waiting = self.again[part]
            while waiting and self.state[waiting[0]] == _DONE:
                waiting.popleft()
            if waiting:
                self.owner[part] = machine
                return waiting[0]
            del self.again[part]
        return None

    def claim(self, part: int, machine: str) -> None:
        if self.owner.setdefault(part, machine) == machine:
            self.begun.setdefault(machine, deque()).append(part)

    def release(self, machine: str) -> None:
        self.begun.pop(machine, None)
        for part in [part for part, owner in self.owner.items() if owner == machine]:
            del self.owner[part]
            self.free.append(part)

    def step(self, case: int) -> None:
        part = int(self.parts[case])
        if self.at[part] < self.end[part] and self.order[self.at[part]] == case:
            self.at[part] += 1
        else:
            self.again[part].popleft()


def as_given(target: str, count: int) -> npt.NDArray[np.uint32]:
    """The `Order` in which they were given."""
    return np.arange(count, dtype=np.uint32)


class Book:
    """The plan of a fleet, case by target, and what became of it.

    A case is on record for a target once: what comes later is not taken. It is in flight at one worker at a time.
    All cases of a part go to one machine of the target, until it is said to have left: figures that are held against
    each other are of one machine. Some bytes a cell, so that a plan of millions of them fits.

    Args:
        wanted: ids of the cases of each target. Targets with the same cases may share one sequence, which is then
            kept once.
        part: what stays on one machine, by the id of a case; all cases of a target unless given.
        order: in which the cases of a target are handed out: those of a part in this order, part after part.
        tries: how often a case may be lost with its worker.
    """

    def __init__(
        self,
        wanted: Mapping[str, Sequence[str]],
        *,
        part: Callable[[str], str] = lambda case: "",
        order: Order = as_given,
        tries: int = TRIES,
    ) -> None:
        shared: dict[int, tuple[dict[str, int], Parts]] = {}
        for cases in wanted.values():
            if id(cases) not in shared:
                shared[id(cases)] = {case: at for at, case in enumerate(cases)}, _parts(cases, part)
        self._targets = {
            target: _Target(cases, *shared[id(cases)], order(target, len(cases))) for target, cases in wanted.items()
        }
        self._total = self._left = sum(map(len, wanted.values()))
        self._flying: dict[tuple[str, str], str] = {}
        self._tries: dict[tuple[str, str], int] = {}
        self._most = tries

    @property
    def total(self) -> int:
        """Cells of the plan."""
        return self._total

    @property
    def left(self) -> int:
        """Cells that are not on record."""
        return self._left

    @property
    def in_flight(self) -> int:
        """Cells that are with a worker."""
        return len(self._flying)

    def open_targets(self) -> list[str]:
        """Targets with cases that are not on record."""
        return [name for name, target in self._targets.items() if target.left]

    def left_of(self, target: str) -> int:
        """Cases of the target that are not on record."""
        return self._targets[target].left if target in self._targets else 0

    def peek(self, target: str, machine: str = "") -> str | None:
        """The case that `take` would hand out, whose part belongs to that machine then; None where none is to do."""
        of = self._targets.get(target)
        at = None if of is None else of.next(machine)
        return None if of is None or at is None else of.cases[at]

    def take(self, target: str, where: str, machine: str = "") -> str | None:
        """Hand the next case of the target out to the worker `where` of that machine."""
        case = self.peek(target, machine)
        if case is not None:
            of = self._targets[target]
            of.step(of.index[case])
            self._flying[target, case] = where
        return case

    def claim(self, target: str, case: str, machine: str) -> None:
        """The part of that case belongs to the machine, unless it is another's already."""
        of = self._targets.get(target)
        if of is not None and case in of.index:
            of.claim(int(of.parts[of.index[case]]), machine)

    def release(self, target: str, machine: str) -> None:
        """The machine has left: what it has not been handed yet may go to any other."""
        if target in self._targets:
            self._targets[target].release(machine)

    def record(self, target: str, case: str) -> bool:
        """A result is here. True the first time; False where it is on record already or was never asked for."""
        of = self._targets.get(target)
        at = None if of is None else of.index.get(case)
        if of is None or at is None or of.state[at] == _DONE:
            return False
        of.state[at] = _DONE
        of.left -= 1
        self._left -= 1
        self._flying.pop((target, case), None)
        return True

    def lose(self, target: str, case: str, where: str, reason: str, *, blameless: bool = False) -> Lost | None:
        """Its worker is gone or broke down: it is to do again, or given up, which is a record too.

        What is no longer in flight at `where` is left as it is. A `blameless` case has a try more.
        """
        if self._flying.get((target, case)) != where:
            return None
        del self._flying[target, case]
        tries = self._tries.get((target, case), 0)
        if not blameless:
            tries = self._tries[target, case] = tries + 1
        if tries >= self._most:
            self.record(target, case)
            return Lost(target, case, tries, where, reason)
        # At the end: should it be what ends workers, the others are done first.
        of = self._targets[target]
        at = of.index[case]
        of.again.setdefault(int(of.parts[at]), deque()).append(at)
        return None


def _parts(cases: Sequence[str], part: Callable[[str], str]) -> Parts:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(part(case), len(numbers)) for case in cases], np.uint32)
