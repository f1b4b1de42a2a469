"""`bench profile detect`: look at this machine, measure it, describe it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.errors import UserError
from bench.hardware.detect import detected, guessed
from bench.hardware.load import readable_profiles
from bench.hardware.match import best
from bench.hardware.schema import HardwareProfile
from bench.machine.cpu import usable_cores
from bench.machine.environment import read_environment
from bench.runner.peaks.machine import machine_peaks
from bench.runtimes.table import RUNTIMES, unavailable


def detect(name: str | None, progress: Callable[[str], None], *, measure: bool = True) -> HardwareProfile:
    """A profile of this machine, called `name` or after its CPU; measured anew, or with the nearest profile's peaks.

    Raises:
        UserError: it cannot be measured, or no profile is near enough to take the peaks from.
    """
    environment = read_environment()
    cores, providers = physical_cores(), providers_here()
    if measure:
        peaks = machine_peaks(environment, sorted({1, cores}), providers, progress, anew=True)
        whole, one = peaks.at(cores), peaks.at(1)
        assert whole is not None
        return detected(environment, whole, one if cores > 1 else None, name=name, providers=providers)
    nearest = best(environment, readable_profiles()[0])
    if nearest is None:
        raise UserError(
            "no profile fits this machine, so that there are no peaks to take over",
            where="--no-measure",
            remedy="leave it out; `bench list profiles` says why none fits",
        )
    return guessed(environment, cores, nearest, name=name, providers=providers)


def refuse_to_replace(path: Path) -> None:
    """Raise `UserError` where a file is there."""
    if path.exists():
        raise UserError("the file is there already", where=str(path), remedy="name another, or give --force")


def providers_here() -> list[str]:
    """The `runtime-provider`s that can run models here; not those that only test this tool."""
    return [
        target
        for spec in RUNTIMES.values()
        if spec.measures_model and "slowdown" not in spec.options
        for target in (f"{spec.name}-{provider}" for provider in spec.providers)
        if unavailable(target) is None
    ]


def physical_cores() -> int:
    """How many cores this process may use, threads of one core counted once (where the system tells)."""
    siblings = set()
    for core in usable_cores():
        path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        try:
            siblings.add(path.read_text(encoding="ascii").strip())
        except OSError:
            return min(psutil.cpu_count(logical=False) or os.cpu_count() or 1, len(usable_cores()))
    return len(siblings)
