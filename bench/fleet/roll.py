"""Who is there: workers that came, were asked who they are, fell silent or went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench import __version__
from bench.fleet import station
from bench.fleet.link import TARGET, Ended, Link, Seen
from bench.fleet.messages import Announcement, Unreadable, answer
from bench.hardware.schema import HardwareProfile

Say = Callable[[str], None]
_SLOW_LOOK = 20
"""The cluster is looked at when so many times as long has passed as looking took: that stays a share of the time."""


@dataclass
class Member:
    """A worker. `told` is None until it has answered; a `refused` one is given nothing. `work` is what it is at.

    `work` is changed by `Roll.begin` and `Roll.end` only. `failed` is what it could not do since it last could.
    """

    address: str
    seen: Seen
    beat_at: float
    told: Announcement | None = None
    refused: str | None = None
    work: str | None = None
    failed: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """As people know it."""
        return self.seen.name if self.told is None else f"{self.seen.name} on {self.told.host}"


class Roll:
    """The workers of a cluster, asked for now and then.

    Args:
        link: the line to the cluster.
        say: is told who comes and goes.
        lost_after_s: a worker that gives no sign of life for so long is counted as gone, whether the scheduler
            holds on to it or not.
    """

    def __init__(
        self, link: Link, say: Say, *, lost_after_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._link, self._say, self._clock = link, say, clock
        self._lost_after_s = lost_after_s
        self._silent: dict[str, float] = {}
        self._asked = 0
        self._asking: dict[str, tuple[str, float]] = {}
        # Kept as they change, since there may be a thousand workers and a result of any of them at any time.
        self._idle: dict[str, tuple[Member, Announcement]] = {}
        self._busy: set[str] = set()
        self._looked_at, self._look_took = -float("inf"), 0.0
        self.members: dict[str, Member] = {}
        self.unfit: Callable[[Announcement], str | None] = lambda told: None

    @property
    def asking(self) -> bool:
        """Whether a worker has still to say who it is; one that takes too long is not waited for, but heard later."""
        newest = next(reversed(self._asking.values()), None)
        return newest is not None and self._clock() - newest[1] < self._lost_after_s

    def ready(self) -> Iterator[tuple[Member, Announcement]]:
        """Those that may be given work, and are at none; of each machine none where another is at work there."""
        for member, told in list(self._idle.values()):
            if told.machine not in self._busy:
                yield member, told

    def begin(self, member: Member, work: str) -> None:
        """The member is at that work now."""
        assert member.told is not None  # it was ready
        member.work = work
        self._idle.pop(member.address, None)
        self._busy.add(member.told.machine)

    def end(self, member: Member) -> None:
        """The member is at no work any more."""
        if member.work is not None and member.told is not None:
            self._busy.discard(member.told.machine)
        member.work = None
        if member.told is not None and not member.refused and self.members.get(member.address) is member:
            self._idle[member.address] = member, member.told

    def look(self) -> list[tuple[Member, str]]:
        """Those that went since the last look, and how; none where that was a moment ago. Raises `SchedulerLost`."""
        now = self._clock()
        if now - self._looked_at < _SLOW_LOOK * self._look_took:
            return []
        gone = self._look(now)
        self._looked_at = self._clock()
        self._look_took = self._looked_at - now
        return gone

    def _look(self, now: float) -> list[tuple[Member, str]]:
        there = self._link.members()
        gone = []
        for address, member in list(self.members.items()):
            seen = there.get(address)
            if seen is None:
                gone.append(self._drop(member, "it left the cluster"))
            elif seen.beat != member.seen.beat:
                member.seen, member.beat_at = seen, now
            elif now - member.beat_at > self._lost_after_s:
                self._silent[address] = seen.beat
                gone.append(self._drop(member, f"it gave no sign of life for {self._lost_after_s:g} s"))
        for address, seen in there.items():
            if address in self.members or self._silent.get(address) == seen.beat:
                continue
            self._silent.pop(address, None)
            self._welcome(Member(address, seen, now))
        self._silent = {address: beat for address, beat in self._silent.items() if address in there}
        return gone

    def hear(self, ended: Ended) -> bool:
        """Whether that was a worker's word of who it is, which is then known."""
        asked = self._asking.pop(ended.key, None)
        if asked is None:
            return False
        member = self.members[asked[0]]  # one that went is asked no more
        if ended.answer is None:
            self.refuse(member, str(ended.error))
            return True
        try:
            told = answer(ended.answer, Announcement)
            _check(told, member.seen)
        except Unreadable as error:
            self.refuse(member, str(error))
            return True
        member.told = told
        reason = (
            f"it has version {told.version}, not {__version__}" if told.version != __version__ else self.unfit(told)
        )
        if reason is not None:
            self.refuse(member, reason)
        else:
            self.end(member)
            self._say(f"worker {member.name}: target {told.target}, machine {told.machine}")
        return True

    def refuse(self, member: Member, reason: str) -> None:
        """Give it nothing more."""
        member.refused = reason
        self._idle.pop(member.address, None)
        self._say(f"worker {member.name} is given nothing: {reason}")

    def refusals(self) -> list[str]:
        """Why workers that are there are given nothing."""
        silent = {address for address, _ in self._asking.values()}
        return [
            f"worker {m.name} cannot be used: {m.refused or 'it has not said who it is'}"
            for m in self.members.values()
            if m.refused or m.address in silent
        ]

    def is_there(self, target: str, place: str) -> bool:
        """Whether a worker can be used that has this target, and whose figures go in this place."""
        known = (m.told for m in self.members.values() if m.told is not None and not m.refused)
        return any((told.target, told.place) == (target, place) for told in known)

    def judge_anew(self) -> None:
        """`unfit` has changed."""
        for member in self.members.values():
            reason = self.unfit(member.told) if member.told is not None and not member.refused else None
            if reason is not None:
                self.refuse(member, reason)

    def _welcome(self, member: Member) -> None:
        self.members[member.address] = member
        if not any(name.startswith(TARGET) for name in member.seen.resources):
            self.refuse(
                member, "it names no target: start it by `bench fleet worker`, or with --preload bench.fleet.preload"
            )
            return
        self._asked += 1
        key = f"bench-who-{self._asked}-{id(self):x}"
        self._asking[key] = member.address, self._clock()
        self._link.submit(key, member.address, station.announce, needs={})

    def _drop(self, member: Member, how: str) -> tuple[Member, str]:
        del self.members[member.address]
        self._idle.pop(member.address, None)
        if member.work is not None and member.told is not None:
            self._busy.discard(member.told.machine)
        for key in [key for key, (address, _) in self._asking.items() if address == member.address]:
            del self._asking[key]
            self._link.forget(key)
        self._say(f"lost worker {member.name}: {how}")
        return member, how


def _check(told: Announcement, seen: Seen) -> None:
    """Raises `Unreadable` for one that cannot be true: then what it measures has no place."""
    if f"{TARGET}{told.target}" not in seen.resources:
        raise Unreadable(f"it says that its target is {told.target}, and joined as another")
    try:
        name = HardwareProfile.model_validate(told.profile).name
    except ValueError as error:
        raise Unreadable(f"its hardware profile is none: {' '.join(str(error).split())}") from error
    if name != told.target:
        raise Unreadable(f"its target is {told.target}, and its profile is of {name}")


def present(link: Link, wait_s: float = 10.0) -> list[dict[str, str]]:
    """A line for each worker that is there; one that does not answer in time is shown as silent."""
    roll = Roll(link, lambda message: None)
    roll.look()
    deadline = time.monotonic() + wait_s
    while roll.asking and time.monotonic() < deadline:
        for ended in link.wait(max(0.0, deadline - time.monotonic())):
            roll.hear(ended)
    return [
        {
            "worker": member.seen.name,
            "target": "" if member.told is None else member.told.target,
            "machine": "" if member.told is None else member.told.machine,
            "host": "" if member.told is None else member.told.host,
            "state": member.refused or ("busy or silent" if member.told is None else "ready"),
        }
        for member in roll.members.values()
    ]
