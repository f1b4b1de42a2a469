"""Hardware profiles for people: every figure with its source and date."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.hardware.schema import HardwareProfile, Stated, StatedNames
from bench.hardware.stated import BANDWIDTH, OPERATIONS
from bench.report.units import digits, text

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_YEAR = "years"


def heading(profile: HardwareProfile) -> list[str]:
    """What it is, in lines."""
    told = [f"{profile.name}: {profile.title}", profile.about]
    told.append(f"runs {', '.join(profile.providers)}")
    if profile.price is not None and profile.price.example:
        told.append("its price is an example: put your own in its place")
    return [line for line in told if line]


def lines(profile: HardwareProfile) -> list[dict[str, str]]:
    """A line a figure."""
    return [
        {
            "figure": name,
            "value": value,
            "source": stated.source,
            "date": stated.date.isoformat(),
            "note": stated.note,
        }
        for name, value, stated in _figures(profile)
    ]


def document(profile: HardwareProfile) -> dict[str, Any]:
    """The same for machines: the profile as it is written."""
    return profile.model_dump(mode="json", exclude_none=True)


def _figures(profile: HardwareProfile) -> Iterator[tuple[str, str, Stated | StatedNames]]:
    yield "cores", f"{profile.cores.value:g}", profile.cores
    if profile.instruction_sets is not None:
        yield "instruction sets", ", ".join(profile.instruction_sets.value), profile.instruction_sets
    for precision, stated in profile.peak.items():
        yield f"peak {precision}", _large(stated.value, OPERATIONS), stated
    for precision, stated in profile.peak_core.items():
        yield f"peak {precision}, one core", _large(stated.value, OPERATIONS), stated
    memory = profile.memory
    yield "memory", text(memory.size.value, "B"), memory.size
    yield "bandwidth", _large(memory.bandwidth.value, BANDWIDTH), memory.bandwidth
    if memory.bandwidth_core is not None:
        yield "bandwidth, one core", _large(memory.bandwidth_core.value, BANDWIDTH), memory.bandwidth_core
    for name, watts in (("power at rest", profile.power.idle), ("rated power", profile.power.tdp)):
        if watts is not None:
            yield name, text(watts.value, "W"), watts
    for name, times in (("call", profile.call), ("node", profile.node)):
        for target, stated in times.items():
            yield f"{name} {target}", text(stated.value, "s"), stated
    yield from _money(profile)


def _money(profile: HardwareProfile) -> Iterator[tuple[str, str, Stated]]:
    price, energy = profile.price, profile.energy
    currency = price.currency if price is not None else "USD"
    if price is not None:
        energy_too = ", power included" if price.includes_energy else ""
        units = {"per_hour": f"{currency}/h{energy_too}", "purchase": currency, "life_years": _YEAR, "utilisation": ""}
        for name, unit in units.items():
            stated = getattr(price, name)
            if stated is not None:
                yield name.replace("_", " "), f"{stated.value:,g} {unit}".strip(), stated
    if energy.tariff is not None:
        yield "tariff", f"{energy.tariff.value:g} {currency}/kWh", energy.tariff
    if energy.carbon is not None:
        yield "carbon", f"{energy.carbon.value:g} g/kWh", energy.carbon


def _large(value: float, unit: str) -> str:
    """In the decimal prefix in which it is 1 at least."""
    factor, prefix = next((each for each in _PREFIXES if value >= each[0]), (1.0, ""))
    return f"{digits(value / factor)} {prefix}{unit}"
