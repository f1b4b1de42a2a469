"""The energy of a choice on a machine: measured, or from the rated power where nothing was, and then an estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.analyse.cost.quantity import Quantity, Unknown, number
from bench.analyse.cost.terms import SIDE_BY_SIDE, Terms, check_machine, slots
from bench.analyse.intervals import ROUNDING
from bench.hardware.schema import HardwareProfile
from bench.record.choice import Choice

TDP = "tdp (the rated power, in proportion to the busy cores)"
STATED_IDLE = "the power at rest is the profile's"
OTHER_LOAD = "the energy is that of single-stream, the throughput that of offline"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Of one process alone on the machine: J an example with the machine's power at rest in it (`whole`), and without.

    `idle` is that power, W. None: not known. `shared`: `whole` is of a machine all of whose processes are busy.
    """

    whole: Quantity
    above: Quantity | None = None
    idle: Quantity | None = None
    shared: bool = False


def throughput(choice: Choice) -> Quantity:
    """Examples a second of one process. Raises `Unknown`.

    A rate over a whole run has no interval of its own: it is known as well as the mean latency of the same calls,
    whose interval, as a share, it takes.
    """
    rate = figure(choice, "throughput", "measure it with the scenario single-stream")
    mean = _maybe(choice, "mean_latency")
    if rate.low is not None or mean is None or mean.low is None or mean.high is None or choice.offline:
        return rate
    known = mean.low > 0
    return replace(
        rate,
        low=rate.value * mean.value / mean.high if known else None,
        high=rate.value * mean.value / mean.low if known else None,
        confidence=mean.confidence if known else None,
    )


def figure(choice: Choice, name: str, remedy: str) -> Quantity:
    """A figure of the choice. Raises `Unknown`."""
    if name not in choice.figures:
        raise Unknown(f"no {name} is on record: {remedy}")
    return Quantity.of(choice.figures[name])


def per_example(choice: Choice, terms: Terms) -> tuple[Quantity, str]:
    """J an example where every process that the machine holds is always busy, and how that follows. Raises `Unknown`.

    The power at rest is shared by all of them: above + idle / (throughput x slots). Where it is not known, what was
    measured with one process alone counts it once a process: the figure is then the most that it may be, and its
    interval goes down to a share of 1 / slots.
    """
    held = slots(choice, terms)
    drawn = draw(choice, terms)
    if held == 1 or drawn.shared:
        return drawn.whole, f"{number(drawn.whole.value)} J"
    if drawn.above is not None and drawn.idle is not None:
        rate = throughput(choice)
        shared = drawn.above + drawn.idle / (rate * held)
        rest = f"{number(drawn.idle.value)} W / ({number(rate.value)}/s × {held})"
        return shared.guessed(SIDE_BY_SIDE), f"{number(drawn.above.value)} J above rest + {rest}"
    low = None if drawn.whole.low is None else drawn.whole.low / held
    return drawn.whole.from_low(low).guessed(SIDE_BY_SIDE), (
        f"{number(drawn.whole.value)} J with one process alone, as the power at rest that {held} share is not known"
    )


def draw(choice: Choice, terms: Terms) -> Draw:
    """What it draws, measured where it was, else by the profile's rated power. Raises `Unknown`.

    An energy of the row that is itself an estimate stands only where the profile gives none: what it took for the
    power at rest is not on record, and may be nothing.
    """
    check_machine(choice, terms)
    energy = choice.figures.get("energy")
    if energy is not None and energy.value is not None and not energy.is_estimate:
        return _measured(choice, terms)
    why = "no energy is on record" if energy is None else f"energy was not measured: {energy.reason or energy.how}"
    try:
        return _rated(choice, terms, terms.known_profile, why)
    except Unknown:
        if energy is None or energy.value is None:
            raise
        return Draw(whole=Quantity.of(energy))


def _measured(choice: Choice, terms: Terms) -> Draw:
    other = OTHER_LOAD if choice.offline else ""
    whole = Quantity.of(choice.figures["energy"]).guessed(other)
    found = {name: _maybe(choice, name) for name in ("energy_net", "idle_power", "power")}
    above, idle, power = found["energy_net"], found["idle_power"], found["power"]
    stated = terms.known_profile.power.idle
    if idle is None and stated is not None:
        idle = Quantity.exact(stated.value, "W").guessed(STATED_IDLE)
    if above is None and idle is not None and power is not None:
        above = whole - idle * (whole / power)
    return Draw(
        whole=whole,
        above=None if above is None else above.not_negative().guessed(other),
        idle=idle,
    )


def _rated(choice: Choice, terms: Terms, profile: HardwareProfile, why: str) -> Draw:
    """Power taken as linear in the share of busy cores, as the sensor `tdp` takes it.

    Without a stated power at rest only a machine all of whose cores are busy is known: it draws its rated power.
    """
    if profile.power.tdp is None:
        raise Unknown(f"{why}; the profile {profile.name} states no TDP")
    held = slots(choice, terms)
    share = 1 / held if profile.kind == "gpu" else choice.threads / profile.cores.value
    tdp = Quantity.exact(profile.power.tdp.value, "W").guessed(TDP)
    rate = throughput(choice)
    if profile.power.idle is None:
        if held * share < 1 - ROUNDING:
            raise Unknown(f"{why}; the profile {profile.name} states no power at rest, and some cores are")
        return Draw(whole=tdp / (rate * held), shared=True)
    rest = Quantity.exact(profile.power.idle.value, "W").guessed(TDP)
    above = (tdp - rest).not_negative() * share / rate
    return Draw(whole=above + rest / rate, above=above, idle=rest)


def _maybe(choice: Choice, name: str) -> Quantity | None:
    found = choice.figures.get(name)
    return None if found is None or found.value is None else Quantity.of(found)
