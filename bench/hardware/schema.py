"""What a hardware profile (`hardware_profiles/NAME.toml`) may say. Validated by pydantic.

Every figure is a table of its value, where it comes from and when that was so. SI units: operations/s (two a
multiply-accumulate), B, B/s, W; currency units; kWh only in the tariff, as bills have it.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

NAME = r"^[A-Za-z0-9._-]+$"
Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8", "int4"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Sourced(_Strict):
    source: Text = Field(description="where it comes from: an address, a document, or `measured by …`")
    date: datetime.date = Field(description="when the source said so")
    note: str = Field(default="", description="how it follows from the source where the source does not state it")


class Stated(_Sourced):
    """One figure."""

    value: Amount


def _over_0(figure: Stated) -> Stated:
    if figure.value == 0:
        raise ValueError("the value must be over 0: leave out what is not known")
    return figure


Rate = Annotated[Stated, AfterValidator(_over_0)]
"""A figure that is divided by, or that nothing real is without."""


class StatedNames(_Sourced):
    """A list of names, such as instruction sets."""

    value: list[str]


class Match(_Strict):
    """What tells this target from every other; all that is given has to hold.

    `cpu_model` and `gpu` are regular expressions, found anywhere and without regard to case, in the fields of
    `bench.record.environment.Environment`; `features` have to be among its instruction sets, `without` must not.
    """

    architecture: list[str] = []
    system: str | None = None
    cpu_model: str | None = None
    gpu: str | None = None
    features: list[str] = []
    without: list[str] = []

    @field_validator("cpu_model", "gpu")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value


class Memory(_Strict):
    """What the device computes from: `size` in B, `bandwidth` in B/s (`bandwidth_core`: of one core alone)."""

    size: Rate
    bandwidth: Rate
    bandwidth_core: Rate | None = None


class Power(_Strict):
    """W of the whole device: at rest, and its rated limit."""

    idle: Stated | None = None
    tdp: Rate | None = None


class Price(_Strict):
    """What the machine costs: rented by the hour, or bought, with years of life and the share of them it works.

    `example` is true until a user puts a price of their own here. `includes_energy`: a rent that pays for power.
    """

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    example: bool = True
    per_hour: Stated | None = None
    includes_energy: bool = False
    purchase: Stated | None = None
    life_years: Stated | None = None
    utilisation: Stated | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Price:
        bought = (self.purchase, self.life_years, self.utilisation)
        if (self.per_hour is None) == (self.purchase is None):
            raise ValueError("give either per_hour, or purchase with life_years and utilisation")
        if self.purchase is None and any(bought):
            raise ValueError("life_years and utilisation belong to purchase, not to per_hour")
        if self.purchase is not None and None in bought:
            raise ValueError("purchase needs life_years and utilisation too")
        if self.life_years is not None and self.life_years.value == 0:
            raise ValueError("life_years must be over 0")
        if self.utilisation is not None and not 0 < self.utilisation.value <= 1:
            raise ValueError("utilisation is a share over 0 and at most 1")
        if self.purchase is not None and self.includes_energy:
            raise ValueError("includes_energy is for a rent")
        return self


class Energy(_Strict):
    """Of the grid: `tariff` in currency units per kWh, `carbon` in g of CO2 equivalent per kWh."""

    tariff: Stated | None = None
    carbon: Stated | None = None


class HardwareProfile(_Strict):
    """One target. `cores` are the physical cores that the price, the peaks and the powers are for.

    `peak` holds operations/s of the whole device by precision, dense; `peak_core` those of one core alone, where
    known. `call` and `node` are seconds of an inference that computes nothing and of one more operator in it, by
    `runtime-provider`; only a measurement gives them. `providers` are the `runtime-provider`s to use there.
    """

    name: str = Field(pattern=NAME)
    title: Text
    kind: Literal["cpu", "gpu"]
    about: str = ""
    match: Match = Match()
    cores: Rate
    instruction_sets: StatedNames | None = None
    peak: Annotated[dict[Precision, Rate], Field(min_length=1)]
    peak_core: dict[Precision, Rate] = {}
    memory: Memory
    power: Power = Power()
    providers: Annotated[list[str], Field(min_length=1)]
    call: dict[str, Rate] = {}
    node: dict[str, Rate] = {}
    price: Price | None = None
    energy: Energy = Energy()
