"""A hardware profile for people: a line a figure that it states, with unit, source and date."""

from __future__ import annotations

from typing import Any

from bench.hardware.schema import HardwareProfile
from bench.report.profiles import heading, lines
from tests.analyse.costed import profile, stated

BOUGHT = {"purchase": 9600.0, "life_years": 4.0, "utilisation": 0.5, "currency": "EUR", "example": False}


def values(found: HardwareProfile) -> dict[str, str]:
    return {line["figure"]: line["value"] for line in lines(found)}


def test_everything_that_is_stated_has_a_line_in_a_unit_that_people_read() -> None:
    more: dict[str, Any] = {
        "instruction_sets": stated(["avx2", "avx512_vnni"]),
        "peak_core": {"fp32": stated(2.5e10)},
        "memory": {"size": stated(2**34), "bandwidth": stated(1e10), "bandwidth_core": stated(6e9)},
        "call": {"onnxruntime-cpu": stated(4e-6)},
        "node": {"onnxruntime-cpu": stated(2e-7)},
    }
    assert values(profile(price=BOUGHT, **more)) == {
        "cores": "4",
        "instruction sets": "avx2, avx512_vnni",
        "peak fp32": "100 Gop/s",
        "peak fp32, one core": "25.0 Gop/s",
        "memory": "16.0 GiB",
        "bandwidth": "10.0 GB/s",
        "bandwidth, one core": "6.00 GB/s",
        "power at rest": "20.0 W",
        "rated power": "100 W",
        "call onnxruntime-cpu": "4.00 µs",
        "node onnxruntime-cpu": "200 ns",
        "purchase": "9,600 EUR",
        "life years": "4 years",
        "utilisation": "0.5",
        "tariff": "0.25 EUR/kWh",
        "carbon": "400 g/kWh",
    }


def test_what_is_not_stated_has_no_line_and_a_tariff_without_a_price_is_in_dollars() -> None:
    least = values(profile(price=None, idle=None, tdp=None, tariff=None, carbon=None))
    assert list(least) == ["cores", "peak fp32", "memory", "bandwidth"]
    assert values(profile(price=None))["tariff"] == "0.25 USD/kWh"


def test_a_price_that_is_an_example_says_so_above_and_each_line_has_its_source() -> None:
    rented = profile(price={"per_hour": 0.5, "includes_energy": True})
    assert heading(rented)[-1] == "its price is an example: put your own in its place"
    (hour,) = (line for line in lines(rented) if line["figure"] == "per hour")
    assert (hour["value"], hour["source"], hour["date"]) == ("0.5 USD/h, power included", "by hand", "2026-11-01")
    assert heading(profile(price=BOUGHT)) == ["box: a box", "runs onnxruntime-cpu"]
