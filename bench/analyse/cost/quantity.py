"""A figure with unit, interval and grade, that keeps all three in sums and products."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.analyse.cost.units import Powers, UnitError, combined, parse, written
from bench.analyse.intervals import ROUNDING
from bench.record.measurement import Measurement

COMPUTED = "computed:from measured and stated figures"
TOO_LARGE = "it is too large to be told"


class Unknown(Exception):
    """A figure that does not follow, and why: a sentence for the reader of the bill."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """`value` in base units, whose `powers` say which.

    `low` and `high` bound it: the ends of a sum, product or quotient are those that the ends of its terms allow, so
    that the interval is at least as wide as it has to be, at the lowest `confidence` among them. A stated figure is
    exact: both ends are the value, without a confidence. None: no interval can be given. An estimate's interval
    covers what was measured, not the error of the estimate. `guesses` say what makes it an estimate, `projected` onto
    what it was projected. A result that is too large for a number raises `Unknown`.
    """

    value: float
    powers: Powers = ()
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    guesses: tuple[str, ...] = ()
    projected: tuple[str, ...] = ()

    @classmethod
    def exact(cls, value: float, unit: str = "1") -> Quantity:
        """A figure without error. Raises `UnitError` for a unit that is not known."""
        scale, powers = parse(unit)
        base = value * scale
        return cls(value=base, powers=powers, low=base, high=base)

    @classmethod
    def of(cls, figure: Measurement) -> Quantity:
        """A figure of a row or of a part. Raises `Unknown` with its reason where it has no value."""
        if figure.value is None:
            raise Unknown(figure.reason)
        scale, powers = parse(figure.unit)
        grade, _, why = figure.how.partition(":")
        known = figure.low is not None and figure.high is not None
        ends = (figure.low, figure.high) if known else (figure.value,) * 2 if grade == "stated" else (None, None)
        return cls(
            value=figure.value * scale,
            powers=powers,
            low=None if ends[0] is None else ends[0] * scale,
            high=None if ends[1] is None else ends[1] * scale,
            confidence=figure.confidence if known else None,
            guesses=tuple(why.split("; ")) if grade == "estimated" else (),
            projected=tuple(why.split("; ")) if grade == "projected" else (),
        )

    def figure(self, unit: str, how: str | None = None) -> Measurement:
        """It in `unit`, graded by what went in unless `how` says how. Raises `UnitError` where it is no such thing."""
        scale, powers = parse(unit)
        if powers != self.powers:
            raise UnitError(f"a figure in {written(self.powers)} is not one in {unit}")
        return Measurement(
            value=self.value / scale,
            unit=unit,
            n=0,  # samples are behind what went in
            how=how or self.how,
            low=None if self.low is None else self.low / scale,
            high=None if self.high is None else self.high / scale,
            confidence=self.confidence,
        )

    @property
    def how(self) -> str:
        """Its grade: the least sure of all that went in."""
        if self.projected:
            return f"projected:{'; '.join((*self.projected, *self.guesses))}"
        return f"estimated:{'; '.join(self.guesses)}" if self.guesses else COMPUTED

    def __add__(self, other: Quantity) -> Quantity:
        self._same(other)
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Quantity) -> Quantity:
        self._same(other)
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Quantity | float) -> Quantity:
        other = _quantity(other)
        return replace(self._with(other, lambda a, b: a * b), powers=combined(self.powers, other.powers))

    def __truediv__(self, other: Quantity | float) -> Quantity:
        """Raises `Unknown` where the divisor is not over 0; its interval has none where that reaches 0."""
        other = _quantity(other)
        if other.value <= 0:
            raise Unknown(f"there is nothing to divide by: {other.value:g} {written(other.powers)}")
        if other.low is not None and other.low <= 0:
            other = replace(other, low=None, high=None)
        return replace(self._with(other, lambda a, b: a / b), powers=combined(self.powers, other.powers, -1))

    def each(self, change: Callable[[float], float]) -> Quantity:
        """Value and ends after a change that never falls, such as rounding up."""
        return replace(
            self,
            value=change(self.value),
            low=None if self.low is None else change(self.low),
            high=None if self.high is None else change(self.high),
        )

    def ceil(self) -> Quantity:
        """Rounded up to whole ones; what lies over one by no more than rounding of numbers is that one."""
        return self.each(lambda value: float(math.ceil(value * (1 - ROUNDING))))

    def not_negative(self) -> Quantity:
        """0 where noise brought it below."""
        return self.each(lambda value: max(value, 0.0))

    def guessed(self, *why: str) -> Quantity:
        """The same as an estimate, for these reasons."""
        return replace(self, guesses=_both(self.guesses, tuple(filter(None, why))))

    def from_low(self, low: float | None) -> Quantity:
        """The same with a lower end that is at most `low`, in base units; without an interval where it is None."""
        if low is None or self.low is None or self.high is None:
            return replace(self, low=None, high=None)
        return replace(self, low=min(self.low, low))

    def _same(self, other: Quantity) -> None:
        if self.powers != other.powers:
            raise UnitError(f"{written(self.powers)} and {written(other.powers)} do not add up")

    def _with(self, other: Quantity, work: Callable[[float, float], float]) -> Quantity:
        ends: list[float] = []
        if None not in (self.low, self.high, other.low, other.high):
            ends = [work(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]  # type: ignore[arg-type]
        value = work(self.value, other.value)
        if not math.isfinite(value):
            raise Unknown(TOO_LARGE)
        if not all(math.isfinite(end) for end in ends):
            ends = []
        sure = [c for c in (self.confidence, other.confidence) if c is not None]
        return replace(
            self,
            value=value,
            low=min(ends, default=None),
            high=max(ends, default=None),
            confidence=min(sure, default=None) if ends else None,
            guesses=_both(self.guesses, other.guesses),
            projected=_both(self.projected, other.projected),
        )


def number(value: float) -> str:
    """A number in a formula: four digits, none of them lost before the point, and no exponent for large ones."""
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.4g}"


def _quantity(value: Quantity | float) -> Quantity:
    return value if isinstance(value, Quantity) else Quantity.exact(value)


def _both(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*a, *b)))
