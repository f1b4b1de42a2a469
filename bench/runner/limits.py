"""The peaks that the rows of a run are held against: measured on this machine, or stated by a profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.analyse.device import device
from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.hardware.match import fits, other_cores
from bench.hardware.schema import HardwareProfile
from bench.hardware.stated import stated_peaks
from bench.record.environment import Environment
from bench.record.peaks import MachinePeaks
from bench.record.roofline import Device
from bench.record.row import Row
from bench.runner.peaks.machine import doubts, machine_peaks


@dataclass(frozen=True)
class Against:
    """Peaks, of what they are, and why they may not be those of the machine of the run."""

    peaks: MachinePeaks
    device: Device
    warnings: tuple[str, ...] = ()


def peaks_for(
    environment: Environment, rows: Sequence[Row], profile: str | None, progress: Callable[[str], None]
) -> Against:
    """The peaks with the threads of the rows and for their targets.

    Those of `profile` where one is named. Else they are measured here (and kept), which is of the CPU.

    Raises:
        UserError: the run is not of this machine and no profile is named, or there is no such profile.
    """
    threads = sorted({row.case.threads for row in rows})
    if profile is not None:
        stated = load_profile(profile)
        peaks = stated_peaks(stated, threads)
        return Against(peaks, stated.kind, (*_of_another(environment, threads, stated), *doubts(peaks, threads)))
    targets = sorted({row.case.target for row in rows if device(row.case.target) == "cpu"})
    if not targets:
        raise UserError(
            "only the peaks of a CPU are measured, and no case ran on one",
            where=rows[0].case.name,
            remedy="name a hardware profile of the device with --profile (see `bench list profiles`)",
        )
    measured = machine_peaks(environment, threads, targets, progress)
    return Against(measured, "cpu", doubts(measured, threads))


def _of_another(environment: Environment, threads: Sequence[int], profile: HardwareProfile) -> tuple[str, ...]:
    """Why the profile's peaks may not be those of the machine of the run."""
    (fit,) = fits(environment, {profile.name: profile})
    if not fit.fits:
        return (f"{profile.name} is not the machine of the run: {fit.why}",)
    if profile.kind == "cpu" and max(threads) > profile.cores.value:
        return (
            f"{profile.name} states the peaks of {profile.cores.value:g} cores, and the run used {max(threads)} "
            "threads: where these had more cores, the shares are too high",
        )
    other = other_cores(environment, profile)
    return () if other is None else (f"{profile.name} may not be the machine of the run: {other}",)
