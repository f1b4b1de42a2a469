"""Whether one choice is better than another in everything, as far as the intervals can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
    answers: list[Standing] = []
    for i, point in enumerate(points):
        verdicts = {dominates(other, point, better) for j, other in enumerate(points) if j != i}
        answers.append("off" if "surely" in verdicts else "maybe" if "possibly" in verdicts else "on")
    return answers


def _as_lower(x: Interval, y: Interval, way: Direction) -> tuple[Interval, Interval]:
    """Both intervals turned so that lower is better."""
    for low, high in (x, y):
        if not low <= high:
            raise ValueError(f"an interval is upside down: ({low}, {high})")
    return (x, y) if way == "lower" else ((-x[1], -x[0]), (-y[1], -y[0]))
