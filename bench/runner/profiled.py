"""A run under a hardware profile: only its runtimes, and an estimate of energy from its rated power."""

from __future__ import annotations

import os

import psutil

from bench.errors import UserError
from bench.hardware.load import load_profile
from bench.hardware.match import fits
from bench.hardware.schema import HardwareProfile
from bench.machine.environment import read_environment
from bench.runtimes.table import unavailable
from bench.suite.schema import Matrix, Measure, Suite


def fitting(word: str) -> HardwareProfile:
    """The profile of that name or in that file.

    Raises:
        UserError: there is none, or it is not of this machine.
    """
    profile = load_profile(word)
    (fit,) = fits(read_environment(), {profile.name: profile})
    if not fit.fits:
        raise UserError(
            f"the profile {profile.name!r} is not of this machine: {fit.why}",
            where="--profile",
            remedy="see `bench list profiles`, or describe this machine with `bench profile detect`",
        )
    return profile


def under(profile: HardwareProfile, suite: Suite) -> tuple[Suite, tuple[str, ...]]:
    """The suite with only the runtimes of the profile, and with its powers where it has none; and notes on both.

    Raises:
        UserError: no runtime of the suite is one of the profile's.
    """
    asked = [target for matrix in suite.matrix for target in (*matrix.runtimes, *matrix.if_available)]
    left_out = [target for target in dict.fromkeys(asked) if target not in profile.providers]
    matrix = [kept for kept in (_kept(each, profile) for each in suite.matrix) if kept is not None]
    if not matrix:
        raise UserError(
            f"the profile {profile.name!r} has none of the runtimes of suite {suite.name!r}",
            where="--profile",
            remedy=f"add some of {', '.join(left_out)} to its providers, or run without it",
        )
    notes = [f"profile {profile.name}: without {', '.join(left_out)}"] if left_out else []
    measure, note = _with_powers(profile, suite.measure)
    return suite.model_copy(update={"matrix": matrix, "measure": measure}), tuple(filter(None, [*notes, note]))


def _kept(matrix: Matrix, profile: HardwareProfile) -> Matrix | None:
    runtimes = [target for target in matrix.runtimes if target in profile.providers]
    maybe = [target for target in matrix.if_available if target in profile.providers]
    if not runtimes:
        # A matrix has one at least: then those that are here are no longer a matter of chance.
        runtimes = [target for target in maybe if unavailable(target) is None]
    return matrix.model_copy(update={"runtimes": runtimes, "if_available": maybe}) if runtimes else None


def _with_powers(profile: HardwareProfile, measure: Measure) -> tuple[Measure, str]:
    """The powers of a CPU, for the estimate that stands where no counter gives its energy; a suite's own come first."""
    tdp = profile.power.tdp
    if profile.kind != "cpu" or tdp is None or tdp.value == 0 or measure.tdp_w is not None:
        return measure, ""
    # The load that the estimate goes by is that of all cores of the machine, so the power has to be of all of them.
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    share = cores / profile.cores.value
    watts = tdp.value * share
    idle = min(profile.power.idle.value * share if profile.power.idle else 0.0, watts)
    part = "" if share == 1 else f" of {profile.cores.value:g} cores, in proportion to the {cores} here: {watts:.3g} W"
    return (
        measure.model_copy(update={"tdp_w": watts, "idle_w": idle}),
        f"profile {profile.name}: where no counter gives the CPU's energy, it is estimated from {tdp.value:g} W{part}",
    )
