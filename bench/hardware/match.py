"""Which profiles are of the machine that an environment describes, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from bench.hardware.schema import HardwareProfile, Match
from bench.record.environment import Environment

GENERIC = "generic-cpu"
"""The profile of any CPU: the best one only where no other fits."""
_WEIGHT = {"gpu": 100, "cpu_model": 10}
"""A device that is named tells more than any list of instruction sets; every other condition counts 1."""


class Fit(msgspec.Struct, frozen=True):
    """Whether a profile is of a machine. `why` is all that holds, or the first thing that does not."""

    name: str
    fits: bool
    why: str


class _Condition(msgspec.Struct, frozen=True):
    field: str
    holds: bool
    text: str


def fits(environment: Environment, profiles: Mapping[str, HardwareProfile]) -> tuple[Fit, ...]:
    """A verdict on every profile, in their order."""
    return tuple(_fit(environment, name, profile) for name, profile in profiles.items())


def other_cores(environment: Environment, profile: HardwareProfile) -> str | None:
    """That the figures of a CPU's profile are of a part of this machine, or of more than it; None where they fit.

    Only logical CPUs are known of a machine: as many as cores, or two for each.
    """
    cores = profile.cores.value
    counts = {len(environment.cores_usable), environment.cores_logical or len(environment.cores_usable)}
    if profile.kind != "cpu" or any(cores <= count <= 2 * cores for count in counts):
        return None
    shown = " or ".join(str(count) for count in sorted(counts))
    return f"its figures are of {cores:g} core{'' if cores == 1 else 's'}, and {shown} logical CPUs are here"


def best(environment: Environment, profiles: Mapping[str, HardwareProfile]) -> HardwareProfile | None:
    """Of those that fit the one that asks for most; the first of equals. None where none fits."""
    fitting = [
        (name, profiles[name]) for name, fit in zip(profiles, fits(environment, profiles), strict=True) if fit.fits
    ]
    if not fitting:
        return None
    return max(fitting, key=lambda each: (each[0] != GENERIC, _specificity(environment, each[1].match)))[1]


def _fit(environment: Environment, name: str, profile: HardwareProfile) -> Fit:
    met: list[str] = []
    for condition in _conditions(environment, profile.match):
        if not condition.holds:
            return Fit(name, False, condition.text)
        met.append(condition.text)
    other = other_cores(environment, profile)
    return Fit(name, True, "; ".join([*(met or ["it asks for nothing"]), *([other] if other else [])]))


def _specificity(environment: Environment, match: Match) -> int:
    return sum(_WEIGHT.get(condition.field, 1) for condition in _conditions(environment, match))


def _conditions(environment: Environment, match: Match) -> Iterator[_Condition]:
    """Everything that the profile asks for, with what is found here."""
    if match.system is not None:
        holds = match.system.lower() == environment.system.lower()
        yield _Condition("system", holds, _told("the system", environment.system, holds, match.system))
    if match.architecture:
        here = environment.architecture
        holds = here.lower() in {name.lower() for name in match.architecture}
        yield _Condition("architecture", holds, _told("the architecture", here, holds, " or ".join(match.architecture)))
    if match.gpu is not None:
        found = next((gpu for gpu in environment.gpus if re.search(match.gpu, gpu, re.IGNORECASE)), None)
        here = found or ", ".join(environment.gpus)
        told = _told("the GPU", here, found is not None, f"one like /{match.gpu}/") if here else "no GPU was found"
        yield _Condition("gpu", found is not None, told)
    if match.cpu_model is not None:
        here = environment.cpu_model or "not known"
        holds = re.search(match.cpu_model, environment.cpu_model or "", re.IGNORECASE) is not None
        yield _Condition("cpu_model", holds, _told("the CPU", here, holds, f"one like /{match.cpu_model}/"))
    for name in match.features:
        holds = name in environment.cpu_features
        yield _Condition("features", holds, f"{name} is here" if holds else f"the CPU has no {name}")
    for name in match.without:
        holds = name not in environment.cpu_features
        yield _Condition("without", holds, f"{name} is not here" if holds else f"the CPU has {name}")


def _told(what: str, here: str, holds: bool, wanted: str) -> str:
    return f"{what} is {here}" if holds else f"{what} is {here}, not {wanted}"
