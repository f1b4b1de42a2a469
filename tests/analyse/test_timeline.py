"""Readings beside phases, thinned out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.timeline import SILENT, thinned, timeline
from bench.record.row import Row
from tests.analyse.rows import row

SECOND = 10**9
BEGIN = 5 * SECOND
PHASES = {"measure": (BEGIN + SECOND, BEGIN + 3 * SECOND), "load": (BEGIN, BEGIN + SECOND)}


def case(**facts: Any) -> Row:
    return msgspec.structs.replace(row("fp32", 80.0), facts={"phases": [PHASES], **facts})


def readings(
    *lines: tuple[float, str, str, str, float, str],
) -> pl.DataFrame:
    """Readings of seconds after the beginning, sensor, device, quantity, value and unit."""
    names = ("t_ns", "sensor", "device", "quantity", "value", "unit")
    return pl.DataFrame([(BEGIN + round(t * SECOND), *rest) for t, *rest in lines], schema=names, orient="row")


def rss(*values: float) -> Sequence[tuple[float, str, str, str, float, str]]:
    return [(float(at), "process", "tree", "rss", value, "B") for at, value in enumerate(values)]


def test_phases_are_in_their_order_and_begin_at_zero() -> None:
    found = timeline(case(), None)
    assert found is not None
    assert [(p.name, p.start_s, p.end_s) for p in found.phases] == [("load", 0, 1), ("measure", 1, 3)]


def test_readings_are_on_the_clock_of_the_phases() -> None:
    found = timeline(case(), readings(*rss(1e6, 2e6)))
    assert found is not None
    (one,) = found.series
    assert (one.group, one.t_s, one.values, one.unit) == ("memory", (0, 1), (1e6, 2e6), "B")


def test_power_is_what_a_counter_of_energy_grew_by_in_a_second() -> None:
    counter = [(t, "rapl", "package-0", "energy", joules, "J") for t, joules in [(0, 1.0), (1, 11.0), (3, 71.0)]]
    found = timeline(case(), readings(*counter))
    assert found is not None
    (one,) = found.series
    assert (one.group, one.unit, one.t_s, one.values) == ("power", "W", (1, 3), (10, 30))


def test_a_counter_that_is_updated_less_often_than_it_is_read_gives_an_even_power() -> None:
    watts, update, poll = 10.0, 0.1, 0.05
    ticks = [(t * poll, round(int(t * poll / update + 1e-9) * update * watts, 6)) for t in range(40)]
    counter = [(t, "nvml", "gpu0", "energy", joules, "J") for t, joules in ticks]
    found = timeline(case(), readings(*counter))
    assert found is not None
    assert found.series[0].values == pytest.approx([watts] * len(found.series[0].values))
    assert len(found.series[0].values) > 10


def test_a_counter_that_began_anew_gives_no_power_there() -> None:
    counter = [(t, "rapl", "package-0", "energy", joules, "J") for t, joules in [(0, 50.0), (1, 60.0), (2, 1.0)]]
    found = timeline(case(), readings(*counter))
    assert found is not None
    assert found.series[0].values == (10,)


def test_a_device_that_tells_its_power_is_not_drawn_by_its_counter_too() -> None:
    both = [
        line
        for t in (0, 1)
        for line in (
            (t, "nvml", "gpu0", "power_instant", 200.0, "W"),
            (t, "nvml", "gpu0", "energy", 190.0 * t, "J"),
            (t, "rapl", "package-0", "energy", 20.0 * t, "J"),
        )
    ]
    found = timeline(case(), readings(*both))
    assert found is not None
    assert [(one.sensor, one.quantity) for one in found.series] == [("nvml", "power_instant"), ("rapl", "energy")]


def test_what_a_model_gave_is_marked_as_an_estimate() -> None:
    found = timeline(case(), readings(*[(t, "tdp", "cpu", "energy", 10.0 * t, "J") for t in (0, 1)]))
    assert found is not None
    assert [one.estimated for one in found.series] == [True]


def test_a_group_without_readings_has_the_reason_of_its_sensors() -> None:
    silent = {"rapl": "no RAPL here", "nvml": "no NVML here", "thermal": "no thermometer here"}
    found = timeline(case(**{SILENT: silent}), readings(*rss(1e6)))
    assert found is not None
    assert found.missing == {
        "power": "no RAPL here; no NVML here",
        "clocks": "no thermometer here; no NVML here",
        "temperature": "no thermometer here; no NVML here",
    }


def test_an_older_run_that_kept_no_reasons_says_so() -> None:
    found = timeline(case(), readings(*rss(1e6)))
    assert found is not None
    assert "the run keeps no reason" in found.missing["temperature"]


def test_a_run_without_phases_has_its_readings_from_the_first_on() -> None:
    found = timeline(row("fp32", 80.0), readings(*rss(1e6, 2e6)))
    assert found is not None
    assert found.phases == ()
    assert found.series[0].t_s == (0, 1)


def test_without_phases_and_readings_there_is_no_timeline() -> None:
    assert timeline(row("fp32", 80.0), None) is None


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=2000), st.integers(4, 300))
def test_thinning_keeps_order_ends_and_extremes(values: list[float], most: int) -> None:
    t, known = np.arange(len(values)), np.array(values)
    at, kept = thinned(t, known, most)
    assert len(at) <= max(most, 4)
    assert (at[0], at[-1]) == (0, len(values) - 1)
    assert (kept.min(), kept.max()) == (known.min(), known.max())
    assert (np.diff(at) > 0).all()
    np.testing.assert_array_equal(kept, known[at])


@pytest.mark.parametrize("n", [300, 301, 100_000])
def test_a_series_has_three_hundred_readings_at_most(n: int) -> None:
    found = timeline(case(), readings(*[(at / n, "process", "tree", "rss", float(at), "B") for at in range(n)]))
    assert found is not None
    assert len(found.series[0].t_s) <= 300


@pytest.mark.parametrize("joules", [[5.0, 5.0, 5.0], [5.0, 9.0, 9.0], [5.0]])
def test_a_counter_that_was_updated_once_at_most_tells_no_power(joules: list[float]) -> None:
    counter = [(float(at), "rapl", "package-0", "energy", value, "J") for at, value in enumerate(joules)]
    found = timeline(case(), readings(*counter, *rss(1e6)))
    assert found is not None
    assert [one.group for one in found.series] == ["memory"]
    assert "power" in found.missing
