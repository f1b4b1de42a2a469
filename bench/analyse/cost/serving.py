"""What serving costs: a million inferences at full load, and a month at a given traffic and p99 bound."""

from __future__ import annotations

import math

from bench.analyse.cost.energy import draw, figure, per_example, throughput
from bench.analyse.cost.parts import leaf, missing, scaled, total, unknown_as
from bench.analyse.cost.quantity import Quantity, Unknown, number
from bench.analyse.cost.terms import SIDE_BY_SIDE, Bill, Demand, Terms, hour, intensity, slots, tariff
from bench.analyse.cost.units import HOURS_A_MONTH
from bench.analyse.intervals import within
from bench.record.choice import Choice
from bench.record.cost import Part

MILLION = 1e6
IN_THE_RENT = ", energy in the rent"
NO_MAKING = "the carbon of making the machine is not stated: [hardware] embodied_kg in the costs file"


def per_million(choice: Choice, terms: Terms) -> Bill:
    """Of a million inferences, on machines all of whose processes are always busy.

    Machine-hours: 1e6 / (throughput x slots). An inference is one example.
    """

    def hours() -> tuple[Quantity, str]:
        rate, held = throughput(choice), slots(choice, terms)
        needed = Quantity.exact(MILLION) / (rate * held)
        formula = f"{MILLION:,.0f} / ({number(rate.value)}/s × {held} on a machine) = {number(needed.value / 3600)} h"
        return needed.guessed(SIDE_BY_SIDE if held > 1 else ""), formula

    def drawn() -> tuple[Quantity, str]:
        each, formula = per_example(choice, terms)
        return each * MILLION, f"{MILLION:,.0f} × ({formula})"

    return _bill("a million inferences", terms, leaf("machines", "h", hours), leaf("energy", "J", drawn))


def replicas(choice: Choice, demand: Demand) -> Part:
    """Processes for the demand: traffic / (capacity x (1 - headroom)), rounded up, and so are the ends."""
    return leaf("replicas", "1", lambda: _replicas(choice, demand))


def machines(choice: Choice, terms: Terms, demand: Demand) -> Part:
    """Machines for the demand: replicas over the processes on a machine, rounded up."""
    return leaf("machines", "1", lambda: _machines(choice, terms, demand))


def per_month(choice: Choice, terms: Terms, demand: Demand) -> Bill:
    """Of a month (730.5 h) at the demand.

    Energy is that of the work above the power at rest, and the power at rest of all machines all the time, so that
    nothing is counted twice. Where the power at rest is not known, that of the time without work is an unknown part,
    and that of the work is the least that it may be: with the power at rest shared by a full machine.
    """

    def hours() -> tuple[Quantity, str]:
        count, formula = _machines(choice, terms, demand)
        needed = count * Quantity.exact(HOURS_A_MONTH, "h")
        return needed, f"{_counted(count, 'machine')} [{formula}] × {HOURS_A_MONTH:g} h"

    return _bill("a month", terms, leaf("machines", "h", hours), _energy_of_month(choice, terms, demand), kept=True)


def no_service(name: str, terms: Terms, reason: str) -> Bill:
    """A bill of which nothing is known."""
    return Bill(
        money=missing(name, terms.money, reason), energy=missing(name, "J", reason), carbon=missing(name, "g", reason)
    )


def _bill(name: str, terms: Terms, hours: Part, energy: Part, *, kept: bool = False) -> Bill:
    """Money and carbon that follow from the machine-hours and from the energy; `kept` as in `hour`."""
    paid = energy_money(energy, terms, terms.rent_includes_energy)
    return Bill(
        money=total(name, terms.money, [_hardware(hours, terms, kept), *paid]),
        energy=energy,
        carbon=total(name, "g", [energy_carbon(energy, terms), _making(hours, terms)]),
    )


def _hardware(hours: Part, terms: Terms, kept: bool) -> Part:
    """The machine-hours at the price of one."""

    def cost() -> tuple[Quantity, str]:
        needed = Quantity.of(hours.figure)
        price, formula = hour(terms, kept=kept)
        return needed * price, f"({hours.formula}) × ({formula}{IN_THE_RENT if terms.rent_includes_energy else ''})"

    return leaf("hardware", terms.money, cost)


def energy_money(energy: Part, terms: Terms, in_the_rent: bool) -> tuple[Part, ...]:
    """The energy at the tariff; no part at all where a rent pays for it."""
    if in_the_rent:
        return ()
    try:
        rate = tariff(terms)
    except Unknown as why:
        return (unknown_as(energy, terms.money, str(why)),)
    per_kwh = rate.figure(f"{terms.money}/kWh").value
    return (scaled(energy, rate, terms.money, f"{per_kwh:g} {terms.money}/kWh"),)


def energy_carbon(energy: Part, terms: Terms) -> Part:
    """The energy at the carbon intensity of the grid, whoever pays for it."""
    try:
        rate = intensity(terms)
    except Unknown as why:
        return unknown_as(energy, "g", str(why))
    return scaled(energy, rate, "g", f"{rate.figure('g/kWh').value:g} g/kWh")


def _making(hours: Part, terms: Terms) -> Part:
    def share() -> tuple[Quantity, str]:
        if terms.embodied is None:
            raise Unknown(NO_MAKING)
        return (
            Quantity.of(hours.figure) * Quantity.exact(terms.embodied, "g/h"),
            f"({hours.formula}) × {terms.embodied:.4g} g an hour",
        )

    return leaf("making of the machine", "g", share)


def _replicas(choice: Choice, demand: Demand) -> tuple[Quantity, str]:
    capacity = _capacity(choice, demand)
    usable = capacity * (1 - demand.headroom)
    needed = (Quantity.exact(demand.traffic, "1/s") / usable).ceil()
    assert choice.capacity_bound_s is not None
    return needed, (
        f"{number(demand.traffic)}/s / ({number(capacity.value)}/s at p99 ≤ {choice.capacity_bound_s * 1e3:g} ms"
        f" × (1 − {demand.headroom:g})), rounded up"
    )


def _capacity(choice: Choice, demand: Demand) -> Quantity:
    asked = f", p99_ms = {demand.p99_s * 1e3:g}" if demand.p99_s is not None else ", p99_ms = …"
    remedy = f'measure one with scenario server, rate = "search"{asked}'
    if choice.batch != demand.batch:
        raise Unknown(
            f"its capacity is in queries of {choice.batch} examples, a request has {demand.batch}: "
            "what gathering or splitting them costs was not measured"
        )
    bound = choice.capacity_bound_s
    if bound is None:
        raise Unknown(f"no server row on record: {remedy}")
    if demand.p99_s is not None and not within(bound, demand.p99_s):
        raise Unknown(
            f"no server row under p99 ≤ {demand.p99_s * 1e3:g} ms, only under the looser {bound * 1e3:g} ms: {remedy}"
        )
    return figure(choice, "capacity", remedy)


def _machines(choice: Choice, terms: Terms, demand: Demand) -> tuple[Quantity, str]:
    needed, formula = _replicas(choice, demand)
    held = slots(choice, terms)
    most = max(needed.value, needed.high or math.inf)
    shared = SIDE_BY_SIDE if min(held, most) > 1 else ""
    found = (needed / held).ceil().guessed(shared)
    return found, f"{_counted(needed, 'replica')} ({formula}) / {held} on a machine, rounded up"


def _counted(count: Quantity, what: str) -> str:
    return f"{count.value:,.0f} {what}{'' if count.value == 1 else 's'}"


def _energy_of_month(choice: Choice, terms: Terms, demand: Demand) -> Part:
    month = Quantity.exact(1.0, "month")

    def work() -> tuple[Quantity, str]:
        drawn = draw(choice, terms)
        examples = Quantity.exact(demand.traffic * demand.batch, "1/s") * month
        told = f"{number(examples.value)} inferences"
        if drawn.above is not None and drawn.idle is not None:
            return examples * drawn.above, f"{told} × {number(drawn.above.value)} J above the power at rest"
        held = 1 if drawn.shared else slots(choice, terms)
        if held > 1:
            least = examples * (drawn.whole / held).guessed(SIDE_BY_SIDE)
            formula = f"{number(drawn.whole.value)} J / {held} on a machine"
            return least, f"{told} × ({formula}), the least, as the power at rest that they share is not known"
        each, formula = per_example(choice, terms)
        return examples * each, f"{told} × ({formula}), the power at rest while at work in it"

    def rest() -> tuple[Quantity, str]:
        drawn = draw(choice, terms)
        if drawn.above is None or drawn.idle is None:
            raise Unknown("the power at rest is not known, so nor is the energy of the time without work")
        count, _ = _machines(choice, terms, demand)
        return (
            count * drawn.idle * month,
            f"{_counted(count, 'machine')} × {number(drawn.idle.value)} W × {HOURS_A_MONTH:g} h",
        )

    return total("energy", "J", [leaf("work", "J", work), leaf("rest", "J", rest)])
