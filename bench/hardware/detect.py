"""A profile of the machine that was looked at."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence

from bench.errors import UserError
from bench.hardware.schema import HardwareProfile, Match, Memory, Stated, StatedNames
from bench.hardware.stated import BANDWIDTH, COMMAND, MEASURED, OPERATIONS, stated_peaks
from bench.record.environment import Environment
from bench.record.measurement import Measurement
from bench.record.peaks import Peaks
from bench.suite.validate import validate

_DIGITS = 4


def detected(
    environment: Environment, whole: Peaks, core: Peaks | None, *, name: str | None, providers: Sequence[str]
) -> HardwareProfile:
    """The profile of this machine from peaks that were measured with all of its cores, and with one of them.

    `core` is None where it has but one. What could not be measured is left out; power and price are not measured.

    Raises:
        UserError: no peak could be measured, or the memory bandwidth could not.
    """
    today = datetime.datetime.now(datetime.UTC).date()

    def measured(figures: Mapping[str, Measurement]) -> dict[str, Stated]:
        return {key: _measured(figure, today) for key, figure in figures.items() if figure.value is not None}

    peak = measured(whole.compute)
    bandwidth = measured({"": whole.bandwidth}).get("")
    if not peak or bandwidth is None:
        reasons = [figure.reason for figure in (*whole.compute.values(), whole.bandwidth) if figure.reason]
        raise UserError(
            f"the peaks of this machine could not be measured: {'; '.join(dict.fromkeys(reasons))}",
            remedy="see `bench doctor`, or leave the measuring out with --no-measure",
        )
    return _profile(
        environment,
        name=name,
        cores=whole.threads,
        today=today,
        peak=peak,
        peak_core=measured(core.compute) if core else {},
        memory=Memory(
            size=_read(_memory(environment), today),
            bandwidth=bandwidth,
            bandwidth_core=measured({"": core.bandwidth}).get("") if core else None,
        ),
        providers=list(providers),
        call=measured(whole.call),
        node=measured(whole.node),
    )


def guessed(
    environment: Environment, cores: int, nearest: HardwareProfile, *, name: str | None, providers: Sequence[str]
) -> HardwareProfile:
    """The profile of this machine without a measurement: the peaks are those that the nearest profile states.

    With other cores they are in proportion to these, up and down; the bandwidth only down, as cores share a memory.

    Raises:
        UserError: that profile is of a GPU.
    """
    if nearest.kind == "gpu":
        raise UserError(
            f"the profile {nearest.name!r}, the nearest to this machine, is of a GPU",
            remedy="leave --no-measure out",
        )
    today = datetime.datetime.now(datetime.UTC).date()
    peaks = stated_peaks(nearest, [cores]).by_threads[0]
    theirs = nearest.cores.value

    def taken(figure: Measurement, stated: Stated, unit: str) -> Stated:
        value, how, note = figure.value or 0.0, figure.how.partition(":")[2], stated.note
        if cores > theirs and unit == OPERATIONS:
            value, how = (
                value * cores / theirs,
                f"in proportion to the cores, {cores} of {theirs:g}, from {stated.source}",
            )
        elif cores > theirs:
            how = f"of {theirs:g} cores, not scaled up, from {stated.source}"
        if cores != theirs:
            # The note works out the figure of the whole, which this one is not.
            note = f"from {stated.value:g} {unit} of {theirs:g} cores"
        source = f"profile {nearest.name}: {how}"
        return Stated(value=_rounded(value), source=source, date=stated.date, note=note)

    return _profile(
        environment,
        name=name,
        cores=cores,
        today=today,
        peak={
            precision: taken(peaks.compute[precision], stated, OPERATIONS) for precision, stated in nearest.peak.items()
        },
        memory=Memory(
            size=_read(_memory(environment), today),
            bandwidth=taken(peaks.bandwidth, nearest.memory.bandwidth, BANDWIDTH),
        ),
        providers=list(providers),
    )


def _profile(
    environment: Environment, *, name: str | None, cores: int, today: datetime.date, **more: object
) -> HardwareProfile:
    title = environment.cpu_model or environment.architecture
    return validate(
        {
            "name": name or _named(title, cores),
            "title": f"{title}, {cores} core{'' if cores == 1 else 's'}",
            "kind": "cpu",
            "about": f"Read off the machine itself by `{COMMAND}`.",
            "match": Match(
                system=environment.system,
                architecture=[environment.architecture],
                cpu_model=f"^{re.escape(environment.cpu_model)}$" if environment.cpu_model else None,
                features=list(environment.cpu_features),
            ),
            "cores": _read(cores, today),
            "instruction_sets": StatedNames(
                value=list(environment.cpu_features), source=f"read by {COMMAND}", date=today
            )
            if environment.cpu_features
            else None,
            **more,
        },
        HardwareProfile,
        where="the profile of this machine",
    )


def _named(title: str, cores: int) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", title.lower())).strip("-")
    return f"{slug or 'machine'}-{cores}c"


def _memory(environment: Environment) -> int:
    """What this machine lets its processes have, B."""
    return min(environment.memory_bytes, environment.memory_limit_bytes or environment.memory_bytes)


def _read(value: float, today: datetime.date) -> Stated:
    return Stated(value=value, source=f"read by {COMMAND}", date=today)


def _measured(figure: Measurement, today: datetime.date) -> Stated:
    source = f"{MEASURED} ({figure.how.partition(':')[2]})"
    return Stated(value=_rounded(figure.value or 0.0), source=source, date=today)


def _rounded(value: float) -> float:
    """Four digits: no measurement of a peak is closer."""
    return float(f"{value:.{_DIGITS}g}")
