"""The table of scenarios: name and module, imported when a case needs it."""

from __future__ import annotations

import msgspec


class ScenarioSpec(msgspec.Struct, frozen=True):
    """A scenario as pure data."""

    name: str
    module: str
    about: str


SCENARIOS: dict[str, ScenarioSpec] = {
    spec.name: spec
    for spec in (
        ScenarioSpec("single-stream", "bench.load.single_stream", "one request at a time, the next when the last is back"),
    )
}
