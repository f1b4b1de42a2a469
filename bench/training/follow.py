"""Who follows a training learns of its beginning, its epochs and its end."""

from __future__ import annotations

import sys
from typing import Protocol

import msgspec

from bench.record.artifact import Epoch


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a training went. `resumed` counts the epochs of an earlier, killed training among `epochs`."""

    examples: int
    epochs: tuple[Epoch, ...]
    seconds: float
    resumed: int


class Follower(Protocol):
    """Told of what happens; every method returns at once."""

    def began(self) -> None:
        """The first step comes next."""

    def epoch(self, seen: Epoch) -> None:
        """An epoch is over and kept."""

    def ended(self, how: Ended) -> None:
        """The weights are kept."""


def peak_rss() -> int | None:
    """The high-water mark of this process's resident set, in bytes; None where the system tells none."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS (getrusage(2) of each).
    return peak if sys.platform == "darwin" else peak * 1024
