"""What a model costs beside the machines that serve it: the user's costs file. Validated by pydantic.

Nothing has to be given: what is missing is an unknown part of the bill, never a zero.
"""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bench.suite.validate import load_toml

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Engineering(_Strict):
    """Hours of work by variant: its exact name, else the first pattern (`int8*`) that fits."""

    rate_per_hour: Amount | None = None
    hours: dict[str, Amount] = {}

    def hours_for(self, variant: str) -> float | None:
        """The hours that a variant took; None where none are stated."""
        if variant in self.hours:
            return self.hours[variant]
        return next((hours for glob, hours in self.hours.items() if fnmatch.fnmatchcase(variant, glob)), None)


class Data(_Strict):
    """Money for the data: collecting and labelling it."""

    collection: Amount | None = None
    labelling: Amount | None = None


class TrainingCosts(_Strict):
    """The machine that trained: its price, and how often it trained for one model that is kept.

    `includes_energy`: that price pays for power. `cost` is the money for all trainings, where it is known otherwise.
    """

    price_per_hour: Amount | None = None
    includes_energy: bool = False
    runs: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1
    cost: Amount | None = None

    @model_validator(mode="after")
    def _one_way(self) -> TrainingCosts:
        if self.cost is not None and self.price_per_hour is not None:
            raise ValueError("give either cost, or price_per_hour with runs")
        return self


class EnergyPrice(_Strict):
    """In place of the profile's: `tariff` in money a kWh, `carbon` in g of CO2 equivalent a kWh."""

    tariff: Amount | None = None
    carbon: Amount | None = None


class Hardware(_Strict):
    """In place of the profile's price, and the carbon of making a machine (kg), spread over its years of life."""

    price_per_hour: Amount | None = None
    includes_energy: bool = False
    embodied_kg: Amount | None = None
    embodied_years: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Hardware:
        if (self.embodied_kg is None) != (self.embodied_years is None):
            raise ValueError("embodied_kg and embodied_years belong together")
        if self.includes_energy and self.price_per_hour is None:
            raise ValueError("includes_energy belongs to price_per_hour")
        return self


class Effort(_Strict):
    """The whole file. Amounts are in `currency`; none given: in that of the hardware profile."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    life_months: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    engineering: Engineering = Engineering()
    data: Data = Data()
    training: TrainingCosts = TrainingCosts()
    energy: EnergyPrice = EnergyPrice()
    hardware: Hardware = Hardware()


def load_effort(path: Path) -> Effort:
    """The costs file at `path`. Raises `UserError`."""
    return load_toml(path, Effort, kind="costs file")
