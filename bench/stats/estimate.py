"""What a statistic answers: a value with its interval, or how many samples are missing."""

from __future__ import annotations

import msgspec

from bench.record.measurement import Measurement


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its interval, in the unit of the samples.

    `low` and `high` bound the interval at `confidence` (0..1). `n` counts the samples, `n_effective`
    how many independent samples carry the same information. `method` says in a few words how the
    interval was made.
    """

    value: float
    low: float
    high: float
    confidence: float
    n: int
    n_effective: float
    method: str

    @property
    def relative_half_width(self) -> float:
        """Half the interval's width as a share of the value; infinite for the value 0 with a width."""
        width = self.high - self.low
        if width == 0:
            return 0.0
        return width / 2 / abs(self.value) if self.value else float("inf")

    def measurement(self, unit: str, how: str, *, scale: float = 1.0) -> Measurement:
        """The estimate as a figure of a row; values are multiplied by `scale` (1e-9 for ns to s)."""
        return Measurement(
            value=self.value * scale,
            unit=unit,
            n=self.n,
            how=how,
            low=self.low * scale,
            high=self.high * scale,
            confidence=self.confidence,
        )


class TooFew(msgspec.Struct, frozen=True, kw_only=True):
    """No honest figure can be given: `n_effective` independent samples are fewer than the `needed` ones."""

    n: int
    n_effective: float
    needed: int

    @property
    def reason(self) -> str:
        """One line for people."""
        if self.n_effective < self.n - 0.5:
            return f"too few independent samples ({self.n_effective:.0f} of {self.needed})"
        return f"too few samples ({self.n} of {self.needed})"

    def measurement(self, unit: str, how: str = "", *, scale: float = 1.0) -> Measurement:
        """The missing figure as a figure of a row; takes what `Estimate.measurement` takes."""
        del how, scale  # the same call serves both answers
        return Measurement.unavailable(unit, self.reason, self.n)
