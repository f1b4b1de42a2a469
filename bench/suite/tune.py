"""The table `[tune]` of a suite file: what to search, for what, under which constraints."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

Value = bool | int | float | str
SamplerName = Literal["tpe", "random", "grid", "nsga2"]
_SLACK = 1e-9


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Values(_Strict):
    """What one dimension of a search may take: a list, or numbers from `low` to `high`, both included.

    Numbers are whole where `low`, `high` and `step` are. `step` leaves only `low`, `low + step` and so on; `log` looks
    as closely at small numbers as at large ones. In TOML a list stands for itself.
    """

    values: list[Value] | None = Field(default=None, min_length=1)
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = Field(default=None, gt=0)
    log: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, given: Any) -> Any:
        return {"values": given} if isinstance(given, list) else given

    @model_validator(mode="after")
    def _consistent(self) -> Values:
        if self.values is not None:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("a list has no low, high, step or log")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give a list, or low and high")
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("a range has finite ends")
        if not self.low < self.high:
            raise ValueError(f"low ({self.low}) is not below high ({self.high})")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range begins above 0 and has no step")
        return self

    @property
    def ends(self) -> tuple[int | float, int | float] | None:
        """The lowest and the highest number of a range; None for a list."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers only."""
        return self.ends is not None and all(isinstance(end, int) for end in (*self.ends, self.step or 1))

    def listed(self) -> tuple[Value, ...] | None:
        """Every value; None for a range without steps."""
        if self.ends is None:
            return tuple(self.values or ())
        (low, high), step = self.ends, self.step or (1 if self.whole else None)
        if step is None:
            return None
        count = math.floor((high - low) / step + _SLACK) + 1
        # Rounded, or 0.1 + 2 * 0.1 brings the dust of binary fractions.
        return tuple(low + n * step if self.whole else round(low + n * step, 12) for n in range(count))

    def fault(self, value: Value) -> str | None:
        """Why `value` is none of these, a step apart or not; None where it is."""
        if self.ends is None:
            known = self.values or ()
            # `in` alone takes 1 for True.
            if any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in known):
                return None
            return f"{value!r} is not one of {', '.join(map(repr, known))}"
        low, high = self.ends
        if isinstance(value, bool | str):
            return f"{value!r} is not a number"
        if self.whole and not isinstance(value, int):
            return f"{value!r} is not a whole number"
        return None if low <= value <= high else f"{value!r} is not within {low} to {high}"


class Tune(_Strict):
    """How `bench tune` searches; keys of the command line win.

    `objectives` are metrics (`bench list metrics`), or `cost` with a profile; the first one decides which of the
    frontier is confirmed. `max_loss` is how much worse than the default setting the task metric may be, in its own
    unit. `constraints` are budgets by metric, as in `[gate]`: `size = "<= 200kB"`. docs/tune.md describes `space`.
    """

    model: str | None = Field(default=None, description="the model, where the suite names several")
    objectives: Annotated[list[str], Field(min_length=1)] = ["p50_latency"]
    sampler: SamplerName | None = Field(default=None, description="tpe; nsga2 for several objectives")
    trials: PositiveInt | None = Field(default=None, description="measured trials; 40, or all of a grid")
    budget_s: PositiveFloat | None = Field(default=None, description="time for the search; none unless given")
    invocations: PositiveInt = Field(default=3, description="processes of a trial that is not pruned")
    scenario: str = "single-stream"
    options: dict[str, Value] = Field(default={}, description="fixed options of the scenario or the runtimes")
    min_accuracy: float | None = None
    max_loss: float | None = Field(default=None, ge=0)
    constraints: dict[str, str] = {}
    space: dict[str, Values] = {}
