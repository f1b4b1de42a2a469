"""Which cases of a fleet are to do, in flight, done or lost. Pure: no clock, no network, no disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

TRIES = 3
"""So many workers may be lost with a case before it is given up: it may be what ends them."""

_TODO, _DONE = 0, 1


class Lost(msgspec.Struct, frozen=True):
    """A case that was given up on a target, after so many tries; `where` is the worker that was lost last."""

    target: str
    case: str
    tries: int
    where: str
    reason: str


class Book:
    """The plan of a fleet, case by target, and what became of it.

    A case is on record for a target once: what comes later is not taken. It is in flight at one worker at a time.
    A byte a cell, so that a plan of millions of them fits.

    Args:
        wanted: ids of the cases of each target, in the order in which they are handed out.
        tries: how often a case may be lost with its worker.
    """

    def __init__(self, wanted: Mapping[str, Sequence[str]], *, tries: int = TRIES) -> None:
        self._at = {target: {case: at for at, case in enumerate(cases)} for target, cases in wanted.items()}
        self._cases = {target: list(at) for target, at in self._at.items()}
        self._state = {target: bytearray(len(cases)) for target, cases in self._cases.items()}
        self._todo = {target: deque(range(len(cases))) for target, cases in self._cases.items()}
        self._left = {target: len(cases) for target, cases in self._cases.items()}
        self._flying: dict[tuple[str, str], str] = {}
        self._tries: dict[tuple[str, str], int] = {}
        self._most = tries

    @property
    def total(self) -> int:
        """Cells of the plan."""
        return sum(map(len, self._cases.values()))

    @property
    def left(self) -> int:
        """Cells that are not on record."""
        return sum(self._left.values())

    @property
    def in_flight(self) -> int:
        """Cells that are with a worker."""
        return len(self._flying)

    def open_targets(self) -> list[str]:
        """Targets with cases that are not on record."""
        return [target for target, left in self._left.items() if left]

    def left_of(self, target: str) -> int:
        """Cases of the target that are not on record."""
        return self._left.get(target, 0)

    def peek(self, target: str) -> str | None:
        """The case that `take` would hand out; None where none is to do."""
        todo = self._todo.get(target)
        while todo:
            if self._state[target][todo[0]] != _DONE:
                return self._cases[target][todo[0]]
            todo.popleft()
        return None

    def take(self, target: str, where: str) -> str | None:
        """Hand the next case of the target out to the worker `where`."""
        case = self.peek(target)
        if case is not None:
            self._todo[target].popleft()
            self._flying[target, case] = where
        return case

    def record(self, target: str, case: str) -> bool:
        """A result is here. True the first time; False where it is on record already or was never asked for."""
        at = self._at.get(target, {}).get(case)
        if at is None or self._state[target][at] == _DONE:
            return False
        self._state[target][at] = _DONE
        self._left[target] -= 1
        self._flying.pop((target, case), None)
        return True

    def lose(self, target: str, case: str, where: str, reason: str) -> Lost | None:
        """Its worker is gone or broke down: it is to do again, or given up, which is a record too.

        What is no longer in flight at `where` is left as it is.
        """
        if self._flying.get((target, case)) != where:
            return None
        del self._flying[target, case]
        tries = self._tries[target, case] = self._tries.get((target, case), 0) + 1
        if tries >= self._most:
            self.record(target, case)
            return Lost(target, case, tries, where, reason)
        # At the end: should it be what ends workers, the others are done first.
        self._todo[target].append(self._at[target][case])
        return None
