"""What a machine is called: the hardware profile that it belongs to, and a short id of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from bench.hardware.match import GENERIC, best
from bench.hardware.schema import HardwareProfile
from bench.record.environment import Environment

_GIB = 2**30
_DIGITS = 4


def machine_id(environment: Environment) -> str:
    """Four hexadecimal digits that stay the same for a machine and differ for another one.

    As when runs are compared: two virtual machines of one make are two, told apart by their boot; two starts of a bare
    machine are the same one. Two bare machines that are alike in processor, memory and GPUs cannot be told apart.
    """
    told = {
        "cpu": environment.cpu_model,
        "features": sorted(environment.cpu_features),
        "architecture": environment.architecture,
        "cores": environment.cores_logical,
        "memory": round(environment.memory_bytes / _GIB),
        "system": environment.system,
        "gpus": list(environment.gpus),
        "boot": environment.boot if environment.virtualisation else None,
    }
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:_DIGITS]


def cpu_name(environment: Environment) -> str:
    """The model of the processor, or where it is not known its architecture."""
    return environment.cpu_model or environment.architecture


def target_name(profile: str | None, environment: Environment) -> str:
    """The name of the profile; of the one for any CPU with the processor's own model; without one that alone."""
    if profile is None:
        return cpu_name(environment)
    return f"{GENERIC} ({cpu_name(environment)})" if profile == GENERIC else profile


def matching(environment: Environment, profiles: Mapping[str, HardwareProfile]) -> str | None:
    """The name of the profile that fits the machine best; None where none does."""
    found = best(environment, profiles)
    return None if found is None else found.name
