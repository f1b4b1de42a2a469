"""Sensor readings of a case beside the phases of its process, thinned out for a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from bench.record.row import Row

Group = Literal["power", "memory", "clocks", "temperature"]
GROUPS: tuple[Group, ...] = get_args(Group)

QUANTITIES: dict[Group, tuple[str, ...]] = {
    "power": ("power_instant", "power", "power_average", "socket_power", "energy"),
    "memory": ("rss", "process_memory", "memory_used"),
    "clocks": ("cpu_frequency", "sm_clock", "clock"),
    "temperature": ("temperature",),
}
"""What is drawn of each group, by the names that the sensors give."""

_SOURCES: dict[Group, tuple[str, ...]] = {
    "power": ("rapl", "nvml", "amd", "jetson", "tdp"),
    "memory": ("process", "nvml", "amd"),
    "clocks": ("process", "thermal", "nvml", "amd"),
    "temperature": ("thermal", "nvml", "amd"),
}
"""Sensors that could have told, the likeliest first."""

SILENT = "silent_sensors"
"""The fact of a row that says by sensor why it gave nothing, or not all."""

_FEW = 300
_NANO = 1e-9
_LEAST_STEP_S = 1e-3
"""Readings of a counter that are closer than this say nothing of a rate."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A phase (`load`, `warm-up`, `measure`, …) from `start_s` to `end_s`."""

    name: str
    start_s: float
    end_s: float


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of one quantity of one device: `values` in `unit` at `t_s`.

    Power from an energy counter is the mean since the reading before. `estimated` where a model gave the values.
    """

    group: Group
    sensor: str
    device: str
    quantity: str
    unit: str
    t_s: tuple[float, ...]
    values: tuple[float, ...]
    estimated: bool = False


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One process invocation of a case; times in seconds since its first phase began.

    `missing` says by group (`power`, `memory`, `clocks`, `temperature`) why there are no readings of it.
    """

    invocation: int
    phases: tuple[Stretch, ...]
    series: tuple[Series, ...]
    missing: dict[str, str] = {}


def timeline(row: Row, readings: pl.DataFrame | None) -> Timeline | None:
    """The first invocation of `row` with its `readings` (columns of `telemetry.parquet`); None without either.

    A run that did not keep the phases has its readings from the first of them on.
    """
    kept = row.facts.get("phases") or [{}]
    phases: Mapping[str, Sequence[int]] = kept[0]
    known = readings is not None and readings.height > 0
    if not phases and not known:
        return None
    starts = [start for start, _ in phases.values()]
    begin = min(starts) if starts else int(readings["t_ns"].min())  # type: ignore[index, arg-type]
    series = _series(readings, begin) if readings is not None and known else ()
    there = {one.group for one in series}
    return Timeline(
        invocation=0,
        phases=tuple(
            Stretch(name=name, start_s=_since(start, begin), end_s=_since(end, begin))
            for name, (start, end) in sorted(phases.items(), key=lambda item: item[1][0])
        ),
        series=series,
        missing={group: _why(row, group) for group in GROUPS if group not in there},
    )


def _since(t_ns: int, begin: int) -> float:
    return round((t_ns - begin) * _NANO, 6)


def _series(readings: pl.DataFrame, begin: int) -> tuple[Series, ...]:
    groups = {name: group for group, names in QUANTITIES.items() for name in names}
    table = readings.filter(pl.col("quantity").is_in(list(groups))).sort("t_ns", maintain_order=True)
    found: list[Series] = []
    for (sensor, device, quantity), frame in table.partition_by(
        "sensor", "device", "quantity", as_dict=True, maintain_order=True
    ).items():
        t, values = frame["t_ns"].to_numpy(), frame["value"].to_numpy()
        unit = str(frame["unit"][0] or "")
        if unit == "J":
            t, values, unit = *_rate(t, values), "W"
        if not len(t):
            continue
        t, values = thinned(t, values)
        found.append(
            Series(
                group=groups[str(quantity)],
                sensor=str(sensor),
                device=str(device),
                quantity=str(quantity),
                unit=unit,
                t_s=tuple(_since(int(at), begin) for at in t),
                values=tuple(float(f"{value:.6g}") for value in values),
                estimated=sensor == "tdp",
            )
        )
    order = {name: place for place, name in enumerate(groups)}
    return _without_doubles(sorted(found, key=lambda one: (order[one.quantity], one.sensor, one.device)))


def _without_doubles(series: Sequence[Series]) -> tuple[Series, ...]:
    """Without power from a counter where the same device told its power itself."""
    told = {(one.sensor, one.device) for one in series if one.group == "power" and one.quantity != "energy"}
    return tuple(one for one in series if one.quantity != "energy" or (one.sensor, one.device) not in told)


def _rate(
    t: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """What a counter grew by a second from one of its updates to the next; one that began anew gives nothing there.

    A counter that is updated less often than it is read stands still between: what it shows then is old. A reading out
    of turn, at the edge of a phase, is too near to its neighbour to tell a rate.
    """
    new = np.diff(values) != 0
    t, values = (t, values) if new.all() else (t[1:][new], values[1:][new])
    if len(t) < 2:
        return t[:0], values[:0]
    least = max(_LEAST_STEP_S / _NANO, float(np.median(np.diff(t))) / 2)
    kept = np.flatnonzero(np.diff(t, prepend=t[0] - 10**12) >= least)
    t, values = t[kept], values[kept]
    grown = np.diff(values)
    fine = grown >= 0
    return t[1:][fine], grown[fine] / (np.diff(t)[fine] * _NANO)


def thinned(
    t: npt.NDArray[np.int64], values: npt.NDArray[np.float64], most: int = _FEW
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """`most` readings at most, in order of time: first, last, and of each stretch the lowest and the highest."""
    if len(t) <= most:
        return t, values
    edges = np.linspace(0, len(t), max(1, (most - 2) // 2) + 1).astype(int)
    chosen = {0, len(t) - 1}
    for start, end in pairwise(edges.tolist()):
        part = values[start:end]
        chosen |= {start + int(np.argmin(part)), start + int(np.argmax(part))}
    at = np.array(sorted(chosen))
    return t[at], values[at]


def _why(row: Row, group: Group) -> str:
    """Why there is no reading of the group, as the sensors said; else as far as the row tells."""
    silent: Mapping[str, str] = row.facts.get(SILENT, {})
    told = [silent[sensor] for sensor in _SOURCES[group] if sensor in silent]
    if not told and group == "power":
        energy = row.metrics.get("energy")
        told = [energy.reason] if energy is not None and energy.reason is not None else []
    return "; ".join(dict.fromkeys(told)) or "no sensor gave a reading of it, and the run keeps no reason"
