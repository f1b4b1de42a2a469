"""Power and memory as they stand now, from the sampler's newest readings, or why they are not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.record.observation import Reading, SensorState
from bench.report.units import text
from bench.runner.events import Sight
from bench.sensors.idle import ENERGY_SENSORS

_POWERS = ("power_instant", "power", "power_average", "socket_power")
"""Readings of power (W), the one that is most of this moment first."""
_ENERGY = "energy"
_ESTIMATES = frozenset({"tdp"})
_OF_CPU = frozenset({"rapl", "tdp"})
_NOT_YET = "no reading yet"

Device = tuple[str, str]


class Gauges:
    """Keeps the newest readings of a case."""

    def __init__(self) -> None:
        self._now: Mapping[tuple[str, str, str], Reading] = {}
        self._watts: dict[Device, float] = {}
        self._of: str | None = None

    def read(self, sight: Sight, of: str | None) -> None:
        """Ask the sampler. `of` is the case whose process it watches; None where that is the harness itself."""
        found = {(r.sensor, r.device, r.quantity): r for r in sight.latest()}
        if not found:
            # It is busy, or between two cases.
            return
        self._watts = self._power(found)
        self._now, self._of = found, of

    def power(self, sight: Sight, *, on_gpu: bool = False) -> list[str]:
        """A part for each device, such as `35.1 W (nvml 0)`; else why not, first of what the case runs on."""
        told = [
            f"{'≈' if sensor in _ESTIMATES else ''}{text(watts, 'W')} ({_named(sensor, device)})"
            for (sensor, device), watts in self._watts.items()
        ]
        states = [state for state in sight.sensors() if state.sensor in ENERGY_SENSORS]
        return told or _absent(sorted(states, key=lambda state: (state.sensor in _OF_CPU) == on_gpu))

    def memory(self, sight: Sight, of: str) -> list[str]:
        """The resident set of the process of the case `of`, and what it holds on devices."""
        told = []
        if of == self._of:
            told = [f"{text(r.value, 'B')} resident" for (_, _, what), r in self._now.items() if what == "rss"]
            told += [
                f"{text(r.value, 'B')} on {_named(sensor, device)}"
                for (sensor, device, what), r in self._now.items()
                if what == "process_memory"
            ]
        return told or _absent([state for state in sight.sensors() if state.sensor == "process"])

    def _power(self, found: Mapping[tuple[str, str, str], Reading]) -> dict[Device, float]:
        """Watts by device: as read, else by how far a counter of energy went since it was read last."""
        watts: dict[Device, float] = {}
        for sensor, device in dict.fromkeys((sensor, device) for sensor, device, _ in found):
            gauge = next((found[sensor, device, n] for n in _POWERS if (sensor, device, n) in found), None)
            counter, before = (readings.get((sensor, device, _ENERGY)) for readings in (found, self._now))
            if gauge is not None:
                watts[sensor, device] = gauge.value
            elif counter is not None and before is not None:
                passed = (counter.t_ns - before.t_ns) / 1e9
                # A counter that was set back, or not updated since, says nothing.
                if passed > 0 and counter.value >= before.value:
                    watts[sensor, device] = (counter.value - before.value) / passed
                elif not passed and (sensor, device) in self._watts:
                    watts[sensor, device] = self._watts[sensor, device]
        return watts


def _named(sensor: str, device: str) -> str:
    name = f"{sensor} {device}".strip()
    return f"{name}, estimated" if sensor in _ESTIMATES else name


def _absent(states: Sequence[SensorState]) -> list[str]:
    """Why there is nothing to show, a part for each reason."""
    if any(state.available for state in states):
        return [_NOT_YET]
    # What stands in brackets is told in the row: a line has no room for it.
    reasons = (state.reason.partition(" (")[0] for state in states if state.reason)
    first, *rest = dict.fromkeys(reasons) or ["no sensor for it"]
    return [f"unavailable: {first}", *rest]
