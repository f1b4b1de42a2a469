"""What a bill is made out for: the machine and its price, and what is asked of the service."""

from __future__ import annotations

import datetime
import math

import msgspec

from bench.analyse.cost.parts import leaf
from bench.analyse.cost.quantity import Quantity, Unknown
from bench.analyse.cost.units import HOURS_A_YEAR
from bench.analyse.device import device
from bench.errors import UserError
from bench.hardware.schema import HardwareProfile, Price, Stated
from bench.record.choice import Choice
from bench.record.cost import Part
from bench.suite.effort import Effort

COSTS_FILE = "the costs file"
HEADROOM = 0.3
"""The share of its capacity that a replica keeps free unless it is said."""
MOST_TRAFFIC, MOST_HEADROOM = 1e12, 0.999
SIDE_BY_SIDE = "processes side by side on one machine are taken not to slow each other"


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Requests: `traffic` of them a second, answered within `p99_s` (s; None: within whatever bound was measured).

    A replica is loaded up to the share 1 - `headroom` of its capacity. A request holds `batch` examples.
    """

    traffic: float
    p99_s: float | None = None
    headroom: float = HEADROOM
    batch: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.traffic <= MOST_TRAFFIC:
            told = f"the traffic must be over 0 requests a second, and no more than {MOST_TRAFFIC:g}"
            raise UserError(told, where="--traffic", remedy="such as 10000/s")
        if not 0 <= self.headroom <= MOST_HEADROOM:
            told = f"the head-room is a share from 0 to {MOST_HEADROOM:g}"
            raise UserError(told, where="--headroom", remedy="such as 0.3")
        if self.p99_s is not None and not (math.isfinite(self.p99_s) and self.p99_s > 0):
            raise UserError("the bound on p99 must be over 0", where="--max-p99", remedy="such as 10ms")


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that is paid for. `slots` are the processes on one of them; None: as many as it has cores for.

    Without a `profile` all that rests on it is unknown, for the reason `no_profile`. `elsewhere` says why the rows are
    not of such a machine, where they are not: only choices that are projected onto it have a cost then. `embodied` is
    the carbon of making the machine, g an hour of its life. `currency` is for where the profile has no price.
    `no_tariff` says why the profile's tariff does not hold, where it does not.
    """

    profile: HardwareProfile | None
    slots: int | None = None
    no_profile: str = "no hardware profile is given"
    elsewhere: str = ""
    embodied: float | None = None
    currency: str = "USD"
    no_tariff: str = ""

    @property
    def money(self) -> str:
        """The currency of every amount."""
        price = None if self.profile is None else self.profile.price
        return self.currency if price is None else price.currency

    @property
    def known_profile(self) -> HardwareProfile:
        """The profile. Raises `Unknown` where there is none."""
        if self.profile is None:
            raise Unknown(self.no_profile)
        return self.profile

    @property
    def rent_includes_energy(self) -> bool:
        """Whether the price of an hour pays for the power too."""
        return self.profile is not None and self.profile.price is not None and self.profile.price.includes_energy


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """One cost in three ways that are never mixed: money in a currency, energy in J, carbon in g of CO2 equivalent."""

    money: Part
    energy: Part
    carbon: Part


def terms_of(
    profile: HardwareProfile | None,
    effort: Effort | None = None,
    slots: int | None = None,
    *,
    today: datetime.date | None = None,
    no_profile: str = "no hardware profile is given",
    elsewhere: str = "",
) -> Terms:
    """The terms with the user's own prices over those of the profile.

    Raises:
        UserError: the costs file and the profile have different currencies, and figures of both would be added.
    """
    effort = effort or Effort()
    making, years = effort.hardware.embodied_kg, effort.hardware.embodied_years
    no_tariff = "" if profile is None else _foreign_tariff(profile, effort)
    if profile is not None:
        _check_currency(profile, effort)
        profile = _priced(profile, effort, today or datetime.date.today())
    return Terms(
        profile=profile,
        slots=slots,
        no_profile=no_profile,
        elsewhere=elsewhere,
        embodied=None if making is None or years is None else making * 1e3 / (years * HOURS_A_YEAR),
        currency=effort.currency or "USD",
        no_tariff=no_tariff,
    )


def hour(terms: Terms, *, kept: bool = False) -> tuple[Quantity, str]:
    """What an hour of one machine costs, and how that follows. Raises `Unknown`.

    A rent as it is stated; for a machine that was bought, purchase / (years of life x 8766 h x utilisation). `kept`:
    of one that is there all the time, work or not, so that every hour of its life is paid for once.
    """
    profile = terms.known_profile
    price = profile.price
    if price is None:
        raise Unknown(f"the profile {profile.name} states no price")
    if price.per_hour is not None:
        return (
            Quantity.exact(price.per_hour.value, f"{price.currency}/h"),
            f"{price.per_hour.value:,g} {price.currency} an hour",
        )
    assert price.purchase is not None
    assert price.life_years is not None
    assert price.utilisation is not None
    hours = price.life_years.value * HOURS_A_YEAR * (1 if kept else price.utilisation.value)
    formula = (
        f"{price.purchase.value:,g} {price.currency} / ({price.life_years.value:g} years × {HOURS_A_YEAR:g} h"
        f"{'' if kept else f' × {price.utilisation.value:g}'})"
    )
    return Quantity.exact(price.purchase.value, price.currency) / Quantity.exact(hours, "h"), formula


def hour_price(terms: Terms) -> Part:
    """The price of a machine-hour as a part: `stated` for a rent, `computed` for a purchase."""
    price = None if terms.profile is None else terms.profile.price
    rent = None if price is None else price.per_hour
    return leaf(
        "machine-hour", f"{terms.money}/h", lambda: hour(terms), None if rent is None else f"stated:{rent.source}"
    )


def tariff(terms: Terms) -> Quantity:
    """What a kWh costs. Raises `Unknown`."""
    profile = terms.known_profile
    if terms.no_tariff:
        raise Unknown(terms.no_tariff)
    if profile.energy.tariff is None:
        raise Unknown(f"the profile {profile.name} states no tariff")
    return Quantity.exact(profile.energy.tariff.value, f"{terms.money}/kWh")


def intensity(terms: Terms) -> Quantity:
    """The carbon of a kWh. Raises `Unknown`."""
    profile = terms.known_profile
    if profile.energy.carbon is None:
        raise Unknown(f"the profile {profile.name} states no carbon intensity")
    return Quantity.exact(profile.energy.carbon.value, "g/kWh")


def slots(choice: Choice, terms: Terms) -> int:
    """How many processes of the choice one machine holds: its cores over those of a process, or as the terms say.

    Raises `Unknown` where they do not fit, or the choice was not measured on such a machine.
    """
    check_machine(choice, terms)
    profile = terms.known_profile
    if profile.kind == "gpu":
        return terms.slots or 1
    cores = math.floor(profile.cores.value)
    if choice.threads * (terms.slots or 1) > cores:
        many = "" if terms.slots in (None, 1) else f"{terms.slots} processes of "
        raise Unknown(f"it does not fit on {profile.name}: {many}{choice.threads} threads for {cores} cores")
    return terms.slots or cores // choice.threads


def check_machine(choice: Choice, terms: Terms) -> None:
    """Raises `Unknown` where the choice runs on another kind of device, or its figures are of another machine."""
    profile = terms.known_profile
    if terms.elsewhere and choice.projected != profile.name:
        raise Unknown(terms.elsewhere)
    found = device(choice.target)
    if found is None:
        raise Unknown(f"it is not known which device {choice.target} computes on")
    if found != profile.kind:
        told = f"the profile {profile.name} is of a {profile.kind.upper()}"
        raise Unknown(f"{told}; {choice.target} computes on a {found.upper()}")


def _check_currency(profile: HardwareProfile, effort: Effort) -> None:
    price = profile.price
    if effort.currency is None or price is None or effort.currency == price.currency:
        return
    own, training = effort.hardware, effort.training
    paid_with_rent = own.includes_energy and (training.includes_energy or training.cost is not None)
    no_tariff = profile.energy.tariff is None or effort.energy.tariff is not None
    if own.price_per_hour is not None and (paid_with_rent or no_tariff):
        return
    raise UserError(
        f"the costs file is in {effort.currency}, the profile {profile.name} in {price.currency}",
        where="currency",
        remedy=f"write the costs in {price.currency}, or state [hardware] price_per_hour and [energy] tariff there too",
    )


def _foreign_tariff(profile: HardwareProfile, effort: Effort) -> str:
    """Why the profile's tariff does not hold: a profile without a price says in no currency what its tariff is."""
    stated = profile.energy.tariff is not None and effort.energy.tariff is None
    if not stated or profile.price is not None or effort.currency is None:
        return ""
    return (
        f"the profile {profile.name} does not say in which currency its tariff is, nor {COSTS_FILE} a [energy] tariff"
    )


def _priced(profile: HardwareProfile, effort: Effort, today: datetime.date) -> HardwareProfile:
    def own(value: float | None, before: Stated | None) -> Stated | None:
        return before if value is None else Stated(value=value, source=COSTS_FILE, date=today)

    energy = profile.energy.model_copy(
        update={
            "tariff": own(effort.energy.tariff, profile.energy.tariff),
            "carbon": own(effort.energy.carbon, profile.energy.carbon),
        }
    )
    price = profile.price
    if effort.hardware.price_per_hour is not None:
        price = Price(
            currency=effort.currency or (price.currency if price is not None else "USD"),
            example=False,
            per_hour=own(effort.hardware.price_per_hour, None),
            includes_energy=effort.hardware.includes_energy,
        )
    return profile.model_copy(update={"price": price, "energy": energy})
