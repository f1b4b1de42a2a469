"""The sensors there are. A new one is a file here and a line in `SENSORS`; importing this imports none."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from bench.errors import unknown

if TYPE_CHECKING:
    from bench.sensors.base import Sensor

SENSORS: dict[str, str] = {
    "process": "bench.sensors.process:ProcessSensor",
    "nvml": "bench.sensors.nvml:NvmlSensor",
    "amd": "bench.sensors.amd:AmdSensor",
    "jetson": "bench.sensors.jetson:JetsonSensor",
    "rapl": "bench.sensors.rapl:RaplSensor",
    "thermal": "bench.sensors.thermal:ThermalSensor",
    "cgroup": "bench.sensors.cgroup:CgroupSensor",
    "tdp": "bench.sensors.tdp:TdpSensor",
}
"""Where the class of each sensor lives, as `module:class`."""

DEFAULT: tuple[str, ...] = ("process", "nvml", "amd", "jetson", "rapl", "thermal", "cgroup")
"""What is read unless the user chooses; an estimate has to be asked for."""


def make(name: str, **options: Any) -> Sensor:
    """A sensor by name, unprobed.

    Args:
        name: a key of `SENSORS`.
        options: passed to the sensor's class; every sensor knows `period_s` (seconds).

    Raises:
        UserError: there is no such sensor. TypeError: the sensor knows no such option.
    """
    if name not in SENSORS:
        raise unknown("sensor", name, SENSORS)
    module, _, attribute = SENSORS[name].partition(":")
    return cast("Sensor", getattr(importlib.import_module(module), attribute)(**options))
