"""The table of scenarios is data; each line has a module that measures, and options that are checked."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest
from virtual_time import virtual_crew

from bench.load import cold_start, table
from bench.load.base import OptionError, Settings, Watch
from bench.record.codec import pack, unpack
from bench.record.observation import ColdStart, Plan, Samples


@pytest.mark.parametrize("spec", table.SCENARIOS.values(), ids=list(table.SCENARIOS))
def test_every_scenario_measures_in_the_same_way(spec: table.ScenarioSpec) -> None:
    measure = importlib.import_module(spec.module).measure
    assert list(inspect.signature(measure).parameters) == ["crew", "plan", "settings", "watch"]
    assert spec.lanes is None or spec.lanes in spec.options


def test_options_are_parted_by_who_knows_them() -> None:
    given = {"streams": 2, "rate": 5, "arena": False}
    assert table.own_options("multi-stream", given) == {"streams": 2}


def test_the_number_of_lanes_is_an_option_with_a_default() -> None:
    assert table.lanes("single-stream", {}) == 1
    assert table.lanes("multi-stream", {}) == 4
    assert table.lanes("multi-stream", {"streams": 3}) == 3
    assert table.lanes("server", {"workers": 2, "rate": 5}) == 2
    with pytest.raises(OptionError, match="in_flight"):
        table.lanes("offline", {"in_flight": 0.5})


def test_a_faulty_option_is_told_before_anything_runs() -> None:
    assert table.fault("server", {"rate": 100}) is None
    assert table.fault("offline", {}) is None
    assert "needs rate" in (table.fault("server", {}) or "")
    assert "streams" in (table.fault("multi-stream", {"streams": -1}) or "")


def test_a_cold_start_is_the_sum_of_its_parts_and_one_sample_a_process() -> None:
    cold = ColdStart(process_start_ns=40, import_ns=30, load_ns=20, first_ns=10)
    begun: list[None] = []
    found = cold_start.measure(
        virtual_crew([[1]]), Plan(), Settings(cold=cold), Watch(begin=lambda: begun.append(None))
    )
    assert found.samples.latency_ns.tolist() == [100]
    assert begun
    with pytest.raises(ValueError, match="no cold start"):
        cold_start.measure(virtual_crew([[1]]), Plan(), Settings(), Watch())


@pytest.mark.parametrize("more", [{}, {"scheduled_ns": np.arange(3), "stream": np.arange(3), "span_ns": 7}])
def test_samples_survive_the_wire_with_and_without_a_schedule(more: dict[str, object]) -> None:
    sent = Samples(start_ns=np.arange(3), latency_ns=np.arange(3), block=np.arange(3), stopped_by="x", **more)  # type: ignore[arg-type]
    back = unpack(pack(sent), Samples)
    for name in ("start_ns", "scheduled_ns", "stream", "span_ns"):
        np.testing.assert_array_equal(getattr(back, name), getattr(sent, name))
