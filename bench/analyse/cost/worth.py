"""What a choice gives for what it costs more than the cheapest, and how much of the machine it uses."""

from __future__ import annotations

from collections.abc import Mapping

from bench.analyse.cost.quantity import Quantity, Unknown
from bench.analyse.kinds import better_by
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.record.measurement import Measurement


def cheapest(bills: Mapping[str, Part]) -> str | None:
    """The name with the least money among those that are complete; None where there is none."""
    known = {name: part.figure.value for name, part in bills.items() if part.complete and part.figure.value is not None}
    return min(known, key=lambda name: known[name], default=None)


def quality_for_money(choice: Choice, money: Part, against: Choice, other: Part) -> Measurement:
    """Quality gained by a unit of money over a choice that costs less: Δ quality / Δ money, with its interval.

    Unavailable, with the reason, where a cost has unknown parts, the qualities are not of the same data and metric,
    or the intervals of either do not stand apart, as a ratio of two differences that may be nothing says nothing.
    """
    unit = f"1/{money.figure.unit}"
    try:
        gained = _gained(choice, against)
        paid = _paid(money, other)
        return (gained / paid).figure(unit)
    except Unknown as why:
        return Measurement.unavailable(unit, str(why))


def _gained(choice: Choice, against: Choice) -> Quantity:
    if (choice.dataset, choice.judged_by) != (against.dataset, against.judged_by):
        raise Unknown("the qualities are of other data or another metric")
    for each in (choice, against):
        if "accuracy" not in each.figures:
            raise Unknown("no quality is on record")
    gained = Quantity.of(choice.figures["accuracy"]) - Quantity.of(against.figures["accuracy"])
    _apart(gained, "the qualities")
    lower = better_by("accuracy", choice.judged_by) == "lower"
    return gained * -1.0 if lower else gained


def _paid(money: Part, other: Part) -> Quantity:
    if not (money.complete and other.complete):
        raise Unknown("a cost has unknown parts")
    paid = Quantity.of(money.figure) - Quantity.of(other.figure)
    _apart(paid, "the costs")
    if paid.value < 0:
        raise Unknown("it costs less")
    return paid


def _apart(difference: Quantity, what: str) -> None:
    if difference.low is None or difference.high is None:
        raise Unknown(f"{what} have no interval to tell them apart by")
    if difference.low <= 0 <= difference.high:
        raise Unknown(f"{what} do not stand apart")
