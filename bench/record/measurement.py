"""A number that says how it was got."""

from __future__ import annotations

from typing import Self

import msgspec


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a result row.

    `how` is its provenance: `measured:<source>`, `estimated:<model>` or `unavailable:<reason>`.
    `value` is None exactly when the figure is unavailable. `low` and `high` bound the interval at
    `confidence` (0..1), and are None where no interval can be given. `n` counts the samples used.
    """

    value: float | None
    unit: str
    n: int
    how: str
    low: float | None = None
    high: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != self.how.startswith("unavailable:"):
            raise ValueError(f"a value is absent exactly when it is unavailable: {self!r}")

    @classmethod
    def unavailable(cls, unit: str, reason: str, n: int = 0) -> Self:
        """A figure that was not measured, and why."""
        return cls(value=None, unit=unit, n=n, how=f"unavailable:{reason}")

    @property
    def reason(self) -> str | None:
        """Why there is no value; None where there is one."""
        return self.how.removeprefix("unavailable:") if self.value is None else None

    @property
    def is_estimate(self) -> bool:
        """Whether the value comes from a model rather than from a counter or a clock."""
        return self.how.startswith("estimated:")
