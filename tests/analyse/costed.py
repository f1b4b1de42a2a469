"""Choices and profiles made by hand, for their cost."""

from __future__ import annotations

from typing import Any

from bench.hardware.schema import HardwareProfile
from bench.record.choice import Choice
from bench.record.measurement import Measurement

RENT: dict[str, object] = {"per_hour": 0.5}
UNITS = {"throughput": "1/s", "capacity": "1/s", "energy": "J", "energy_net": "J", "idle_power": "W", "power": "W"}


def figure(value: float, unit: str, half: float = 0.0, how: str = "measured:clock") -> Measurement:
    """A measured figure known to ± `half` (a share)."""
    return Measurement(
        value=value, unit=unit, n=100, how=how, low=value * (1 - half), high=value * (1 + half), confidence=0.95
    )


def choice(name: str = "fp32", *, half: float = 0.0, bound_s: float | None = 0.01, **fields: Any) -> Choice:
    """A choice with the figures that are given by name, each known to ± `half`; the rest are its own fields."""
    values = {"throughput": 1000.0, "capacity": 800.0}
    values |= {key: fields.pop(key) for key in [*UNITS, "accuracy"] if key in fields}
    figures = {
        key: figure(value, UNITS.get(key, "1"), half) for key, value in values.items() if value is not None
    }  # fmt: skip
    fields = {"threads": 1, "batch": 1, "target": "onnxruntime-cpu", "dataset": "digits", **fields}
    return Choice(
        name=f"m/{name}/{fields['target']}/t{fields['threads']}/b{fields['batch']}",
        model="m",
        variant=name,
        base=name,
        figures=figures,
        capacity_bound_s=bound_s if "capacity" in figures else None,
        **fields,
    )


def stated(value: object) -> dict[str, object]:
    """A figure of a profile."""
    return {"value": value, "source": "by hand", "date": "2026-11-01"}


def profile(
    *,
    cores: float = 4,
    idle: float | None = 20.0,
    tdp: float | None = 100.0,
    tariff: float | None = 0.25,
    carbon: float | None = 400.0,
    price: dict[str, object] | None = RENT,
    **fields: Any,
) -> HardwareProfile:
    """A machine of four cores at half a dollar an hour."""
    told = None
    if price is not None:
        told = {
            key: value if key in ("currency", "example", "includes_energy") else stated(value)
            for key, value in price.items()
        }
    return HardwareProfile.model_validate(
        {
            "name": "box",
            "title": "a box",
            "kind": "cpu",
            "cores": stated(cores),
            "peak": {"fp32": stated(1e11)},
            "memory": {"size": stated(2**34), "bandwidth": stated(1e10)},
            "power": {key: stated(value) for key, value in (("idle", idle), ("tdp", tdp)) if value is not None},
            "providers": ["onnxruntime-cpu"],
            "price": told,
            "energy": {
                key: stated(value) for key, value in (("tariff", tariff), ("carbon", carbon)) if value is not None
            },
        }
        | fields
    )
