"""May these be compared? What differs between two runs, and which figures that touches."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from bench.errors import UserError, unknown
from bench.runtimes.table import RUNTIMES

MACHINE = (
    "cpu_model",
    "cpu_features",
    "architecture",
    "cores",
    "governor",
    "memory_limit",
    "cpu_quota",
    "kernel",
    "system",
    "virtualisation",
    "boot",
    "gpus",
    "gpu_driver",
    "python",
    "package:counterpoise",
    "package:numpy",
)
"""Keys of the fingerprint that touch every figure that a machine feels."""
RUNTIME_PACKAGES = {
    "onnxruntime": ("package:onnxruntime", "package:onnxruntime-gpu"),
    "litert": ("package:ai-edge-litert",),
    "openvino": ("package:openvino",),
    "keras": ("package:tensorflow", "package:keras"),
}
"""Those that touch the cases of one runtime only."""
CASE = ("data", "judged_by", "scope", "schema")
"""What a case itself has to agree in: evaluation data (for quality), timing scope (for times), schema (for all)."""
ALL_KEYS = frozenset(MACHINE) | {key for keys in RUNTIME_PACKAGES.values() for key in keys} | frozenset(CASE)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One key in which two runs differ. `runtime` is None where it touches the cases of all."""

    key: str
    before: str | None
    after: str | None
    runtime: str | None = None

    def __str__(self) -> str:
        return f"{self.key}: {self.before or 'not known'} against {self.after or 'not known'}"


def machine_differences(before: Mapping[str, str | None], after: Mapping[str, str | None]) -> list[Difference]:
    """Where two fingerprints differ in what touches times, memory and energy.

    A key that is unknown on both sides tells nothing against; one that is known on one side only does. Two starts of
    the same bare machine are the same machine, two virtual machines of one make are not: there the boot decides.
    """
    virtual = bool(before.get("virtualisation") or after.get("virtualisation"))
    found = [
        Difference(key=key, before=before.get(key), after=after.get(key))
        for key in MACHINE
        if before.get(key) != after.get(key) and (key != "boot" or virtual)
    ]
    return found + [
        Difference(key=key, before=before.get(key), after=after.get(key), runtime=runtime)
        for runtime, keys in RUNTIME_PACKAGES.items()
        for key in keys
        if before.get(key) != after.get(key)
    ]


def check_allowed(keys: Collection[str]) -> None:
    """Raises `UserError` for a key that nothing is compared by."""
    for key in keys:
        if key not in ALL_KEYS:
            raise unknown("key", key, ALL_KEYS, where="--allow-mismatch")


def runtime_of(case: str) -> str | None:
    """The runtime in a case's name; None where the name is not one of ours."""
    parts = case.split("/")
    target = parts[2] if len(parts) > 2 else ""
    fits = (name for name in RUNTIMES if target == name or target.startswith(f"{name}-"))
    return next(fits, None)


def refuse_nothing_in_common(cases: int, before: str, after: str) -> None:
    """Raises `UserError` where two runs share no case."""
    if not cases:
        raise UserError(
            f"{before} and {after} have no case in common",
            where="BASELINE, CANDIDATE",
            remedy="compare runs of the same suite; `bench show RUN` lists the cases of one",
        )
