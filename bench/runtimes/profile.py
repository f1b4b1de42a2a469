"""Profiles by the runtimes' own profilers: which one a runtime has, and how its events become operator times."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from bench.record.profile import OperatorTime, Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.table import RUNTIMES

WARM_UP = 5
"""Inferences before the profiler counts: memory is laid out and caches are filled in them."""
WHOLE_MICROSECONDS = "the profiler counts whole microseconds: what takes far less than one shows little or nothing"
_QUARTER = 4
_MOST_RUNS = 2_000


class Event(msgspec.Struct, frozen=True):
    """What is known of an operator besides its time. Two events that are equal are of the same operator."""

    name: str
    type: str
    provider: str
    precision: str | None = None


Run = Sequence[tuple[Event, float]]
"""The operators of one inference in order, each with its time, ns."""
Feeds = Iterator[Sequence[Array]]
"""The inputs of one inference after the other, without end."""


def profile(runtime: str, opening: Opening, feeds: Feeds, seconds: float) -> Profile:
    """Profile one case for about `seconds`; where the runtime has no profiler, the profile says so.

    Raises:
        SessionError: the runtime refused the artifact.
    """
    spec = RUNTIMES[runtime]
    if spec.profiler is None:
        return Profile(target=f"{runtime}-{opening.provider}", reason=f"{spec.title} offers no profile of operators")
    made: Profile = importlib.import_module(spec.profiler).profile(opening, feeds, seconds)
    return made


def repeat(call: Callable[[], object], seconds: float) -> int:
    """Call for about `seconds`, but twice at least; how often it was called."""
    end = time.monotonic() + seconds
    count = 0
    while count < 2 or (time.monotonic() < end and count < _MOST_RUNS):
        call()
        count += 1
    return count


def walls(
    prepare: Callable[[Sequence[Array]], Any], call: Callable[[Any], object], feeds: Feeds, seconds: float
) -> list[float]:
    """The time (ns) of each call for about `seconds`, without what `prepare` makes of its inputs."""
    found = []

    def once() -> None:
        request = prepare(next(feeds))
        before = time.perf_counter_ns()
        call(request)
        found.append(float(time.perf_counter_ns() - before))

    repeat(once, seconds)
    return found


def operator_times(runs: Sequence[Run]) -> tuple[OperatorTime, ...]:
    """Mean time and calls of each operator over the middle half of the inferences, by the sum of their operators.

    Their sum is then close to the median inference, whatever the system takes away in the slow ones; and profilers
    count whole microseconds, of which a mean loses nothing and the median of each operator would. An operator of a
    loop's body that runs several times in an inference counts once, with the sum of its times.
    """
    if not runs:
        return ()
    totals = [sum(ns for _, ns in run) for run in runs]
    order = np.argsort(totals, kind="stable")
    count = len(runs)
    kept = [runs[at] for at in order[count // _QUARTER : count - count // _QUARTER]]
    sums: dict[Event, float] = {}
    calls: dict[Event, int] = {}
    for run in kept:
        for event, ns in run:
            sums[event] = sums.get(event, 0.0) + ns
            calls[event] = calls.get(event, 0) + 1
    return less(
        [
            OperatorTime(
                name=event.name,
                type=event.type,
                provider=event.provider,
                ns=total / len(kept),
                calls=calls[event] / len(kept),
                share=0.0,
                precision=event.precision,
            )
            for event, total in sums.items()
        ]
    )


def less(operators: Sequence[OperatorTime], each_ns: float = 0.0) -> tuple[OperatorTime, ...]:
    """The operators with `each_ns` less for each of their calls, but not less than nothing; and their shares anew."""
    times = [max(0.0, operator.ns - each_ns * operator.calls) for operator in operators]
    whole = sum(times)
    return tuple(
        msgspec.structs.replace(operator, ns=ns, share=ns / whole if whole else 0.0)
        for operator, ns in zip(operators, times, strict=True)
    )


def middle(values: Sequence[float]) -> float | None:
    """The median, None of nothing."""
    return float(np.median(values)) if len(values) else None
