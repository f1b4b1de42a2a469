"""The fingerprint of a machine and its software: what decides whether two rows may be compared."""

from __future__ import annotations

import msgspec


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run was made. What could not be read is None, and `unread` says why, by field.

    `boot` tells one start of one machine from every other: virtual machines of the same make are not the same machine.
    """

    cpu_model: str | None
    cpu_features: tuple[str, ...]
    architecture: str
    cores_usable: tuple[int, ...]
    cores_logical: int | None
    governor: str | None
    frequency_max_hz: float | None
    cache_bytes: int | None
    memory_bytes: int
    memory_limit_bytes: int | None
    cpu_quota_cores: float | None
    kernel: str
    system: str
    virtualisation: str | None
    boot: str | None = None
    gpus: tuple[str, ...]
    gpu_driver: str | None
    python: str
    packages: dict[str, str]
    unread: dict[str, str] = {}
