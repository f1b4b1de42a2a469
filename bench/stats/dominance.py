"""Whether one choice is better than another in everything, as far as the intervals can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

Interval = tuple[float, float]
"""(low, high) of one objective; low == high for a figure without error, such as a size."""

Direction = Literal["lower", "higher"]
Dominance = Literal["surely", "possibly", "not"]
Standing = Literal["on", "maybe", "off"]


def dominates(a: Sequence[Interval], b: Sequence[Interval], better: Sequence[Direction]) -> Dominance:
    """Whether `a` dominates `b`: nowhere worse and somewhere better (Pareto), under interval uncertainty.

    "surely": it does so for every choice of true values within the intervals; "possibly": for some
    choice; "not": for none (Limbourg & Aponte 2005, interval dominance).

    Raises:
        ValueError: the lengths differ or an interval is upside down.
    """
    pairs = [_as_lower(x, y, way) for x, y, way in zip(a, b, better, strict=True)]
    if all(x[1] <= y[0] for x, y in pairs) and any(x[1] < y[0] for x, y in pairs):
        return "surely"
    if all(x[0] <= y[1] for x, y in pairs) and any(x[0] < y[1] for x, y in pairs):
        return "possibly"
    return "not"


def standings(points: Sequence[Sequence[Interval]], better: Sequence[Direction]) -> list[Standing]:
    """Where each point stands to the Pareto front: "on" it, "maybe" on it, or "off" it.

    "off": some point surely dominates it; "on": no point even possibly does; "maybe": neither.

    Raises:
        ValueError: as `dominates`.
    """
    at = np.asarray(points, dtype=np.float64).reshape(len(points), len(better), 2)
    if not (at[..., 0] <= at[..., 1]).all():
        raise ValueError("an interval is upside down")
    every = {"surely": np.full((len(points),) * 2, True), "possibly": np.full((len(points),) * 2, True)}
    some = {"surely": np.full((len(points),) * 2, False), "possibly": np.full((len(points),) * 2, False)}
    for column, way in enumerate(better):
        low, high = at[:, column].T if way == "lower" else -at[:, column, ::-1].T
        # Row by row against column by column: whether i is no worse than j, and better.
        for word, mine, theirs in (("surely", high, low), ("possibly", low, high)):
            every[word] &= mine[:, None] <= theirs[None, :]
            some[word] |= mine[:, None] < theirs[None, :]
    off, maybe = (every[word] & some[word] & ~np.eye(len(points), dtype=bool) for word in ("surely", "possibly"))
    return ["off" if o else "maybe" if m else "on" for o, m in zip(off.any(axis=0), maybe.any(axis=0), strict=True)]


def _as_lower(x: Interval, y: Interval, way: Direction) -> tuple[Interval, Interval]:
    """Both intervals turned so that lower is better."""
    for low, high in (x, y):
        if not low <= high:
            raise ValueError(f"an interval is upside down: ({low}, {high})")
    return (x, y) if way == "lower" else ((-x[1], -x[0]), (-y[1], -y[0]))


def times_to_part(a: Interval, b: Interval, values: tuple[float, float]) -> float:
    """How many times as many samples it takes until two intervals around these values no longer meet.

    Half-widths shrink as 1/√n, so that they part at (h_a + h_b)² / (a - b)² times n: less than 1 where they are apart
    already, infinite where the values are equal or a width is not known. Of an interval that reaches further to the
    other one than to its own outside, that side counts.
    """
    (lower, first), (upper, second) = sorted(((values[0], a), (values[1], b)))
    halves = max(_half(first), first[1] - lower) + max(_half(second), upper - second[0])
    if upper == lower or math.isinf(halves):
        return math.inf
    return (halves / (upper - lower)) ** 2


def times_to_decide(
    a: Sequence[Interval],
    b: Sequence[Interval],
    values: tuple[Sequence[float], Sequence[float]],
    better: Sequence[Direction],
) -> tuple[float, int]:
    """How many times the samples until it is sure whether `a` dominates `b`, if the middles are true, and where.

    One objective in which `a` is surely worse is enough; where it is worse in none, it has to be surely no worse in
    all. The second figure is the position of the objective that takes the most. Infinite where neither can come about.
    """
    worse: list[tuple[float, int]] = []
    rest: list[tuple[float, int]] = []
    for at, (x, y, of_a, of_b, way) in enumerate(zip(a, b, *values, better, strict=True)):
        if x == y and x[0] == x[1]:
            continue
        is_worse = of_a > of_b if way == "lower" else of_a < of_b
        (worse if is_worse else rest).append((times_to_part(x, y, (of_a, of_b)), at))
    return min(worse) if worse else max(rest, default=(math.inf, 0))


def _half(x: Interval) -> float:
    return (x[1] - x[0]) / 2
