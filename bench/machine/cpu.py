"""Facts of the processor that the measuring process needs: cache size, cores it may use."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SUFFIX = {"K": 2**10, "M": 2**20, "G": 2**30}
FALLBACK_CACHE = 32 * 2**20


def last_level_cache() -> tuple[int, str]:
    """Bytes of the largest cache of core 0, and where that was read.

    Where the system does not tell, 32 MiB is taken, and the second value says that it is assumed.
    """
    sizes: list[int] = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        match = re.fullmatch(r"(\d+)([KMG])", path.read_text(encoding="ascii").strip())
        if match:
            sizes.append(int(match[1]) * _SUFFIX[match[2]])
    if sizes:
        return max(sizes), "sysfs"
    return FALLBACK_CACHE, "assumed: the system does not tell"


def usable_cores() -> list[int]:
    """The cores this process may run on, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
