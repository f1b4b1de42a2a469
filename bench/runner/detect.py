"""`bench profile detect`: look at this machine, measure it, describe it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.errors import UserError
from bench.hardware.detect import detected, guessed
from bench.hardware.load import readable_profiles
from bench.hardware.match import best
from bench.hardware.schema import NAME, HardwareProfile
from bench.machine.cpu import usable_cores
from bench.machine.environment import read_environment
from bench.record.environment import Environment
from bench.runner.peaks.machine import machine_peaks
from bench.runtimes.table import RUNTIMES, unavailable


def detect(name: str | None, progress: Callable[[str], None], *, measure: bool = True) -> HardwareProfile:
    """A profile of this machine, called `name` or after its CPU; measured anew, or with the nearest profile's peaks.

    Raises:
        UserError: the name is none, it cannot be measured, or no profile is near enough to take the peaks from.
    """
    if name is not None and not re.match(NAME, name):
        # Before it is measured, not after.
        raise UserError(
            f"{name!r} is no name for a profile", where="--name", remedy="take letters, digits, dots, _ and - only"
        )
    environment = read_environment()
    cores, providers = usable_physical(environment), providers_here()
    if measure:
        peaks = machine_peaks(environment, sorted({1, cores}), providers, progress, anew=True)
        whole, one = peaks.at(cores), peaks.at(1)
        assert whole is not None
        return detected(environment, whole, one if cores > 1 else None, name=name, providers=providers)
    # A GPU's peaks are none of the CPU's, and this profile is of the CPU.
    known = {name: profile for name, profile in readable_profiles()[0].items() if profile.kind == "cpu"}
    nearest = best(environment, known)
    if nearest is None:
        raise UserError(
            "no profile fits this machine, so that there are no peaks to take over",
            where="--no-measure",
            remedy="leave it out; `bench list profiles` says why none fits",
        )
    return guessed(environment, cores, nearest, name=name, providers=providers)


def refuse_to_replace(path: Path, *, force: bool = False) -> None:
    """Raise `UserError` where a file is there, or with `force` where something is that is none."""
    if path.is_dir():
        raise UserError("it is a folder", where=str(path), remedy="name a file in it")
    if path.exists() and not force:
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


def usable_physical(environment: Environment) -> int:
    """The physical cores that this process may keep busy: no more than its control group has time for."""
    quota = environment.cpu_quota_cores
    return physical_cores() if quota is None else max(1, min(physical_cores(), math.ceil(quota)))


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
