"""The table of scenarios: name, module and options, imported when a case needs it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import msgspec

from bench.load.base import OptionError, Settings
from bench.record.case import Option


class ScenarioSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario as pure data.

    `options` are those of the scenario with their defaults (None: none); `lanes` names the one that says how
    many queries are served at the same time. `warms_up` is False where the start itself is measured;
    `invocations` is the least number of processes that make a figure.
    """

    name: str
    module: str
    about: str
    options: dict[str, Option | None] = {}
    lanes: str | None = None
    warms_up: bool = True
    invocations: int = 1


SCENARIOS: dict[str, ScenarioSpec] = {
    spec.name: spec
    for spec in (
        ScenarioSpec(
            name="single-stream",
            module="bench.load.single_stream",
            about="one request at a time, the next when the last is back",
        ),
        ScenarioSpec(
            name="multi-stream",
            module="bench.load.multi_stream",
            about="several closed loops at once: how latency suffers from company",
            options={"streams": 4},
            lanes="streams",
        ),
        ScenarioSpec(
            name="offline",
            module="bench.load.offline",
            about="all samples are there from the start: throughput",
            options={"in_flight": 1},
            lanes="in_flight",
        ),
        ScenarioSpec(
            name="server",
            module="bench.load.server",
            about="random arrivals at a rate, or at the highest rate that holds a p99 bound",
            options={"rate": None, "p99_ms": None, "max_rate": None, "workers": 1},
            lanes="workers",
        ),
        ScenarioSpec(
            name="cold-start",
            module="bench.load.cold_start",
            about="process start, import, load and first inference of fresh processes",
            warms_up=False,
            invocations=5,
        ),
    )
}


def own_options(scenario: str, options: Mapping[str, Option]) -> dict[str, Option]:
    """Those of `options` that are the scenario's; the others are the runtime's."""
    names = SCENARIOS[scenario].options
    return {name: value for name, value in options.items() if name in names}


def lanes(scenario: str, options: Mapping[str, Option]) -> int:
    """How many queries the scenario has in flight at most. Raises `OptionError`."""
    spec = SCENARIOS[scenario]
    default = spec.options.get(spec.lanes) if spec.lanes else 1
    return Settings(options).count(spec.lanes, default if isinstance(default, int) else 1) if spec.lanes else 1


def check(scenario: str, options: Mapping[str, Option]) -> None:
    """Raise `OptionError` where an option of the scenario is missing or out of range."""
    lanes(scenario, options)
    read = getattr(importlib.import_module(SCENARIOS[scenario].module), "options", None)
    if read is not None:
        read(Settings(options))


def fault(scenario: str, options: Mapping[str, Option]) -> str | None:
    """What `check` has to say, as a sentence; None where nothing is wrong."""
    try:
        check(scenario, options)
    except OptionError as error:
        return str(error)
    return None
