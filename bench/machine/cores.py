"""Which cores measure and which are left to the harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """`measuring` is None where the measured process is left free, `harness` None where it has to share."""

    measuring: list[int] | None
    harness: list[int] | None


def share_out(usable: Sequence[int], threads: int) -> Cores:
    """The last `threads` cores measure and the others are the harness's; all share where there are too few.

    Core 0 goes to the harness, since it takes most interrupts.
    """
    if len(usable) > threads:
        return Cores(measuring=list(usable[-threads:]), harness=list(usable[:-threads]))
    return Cores(measuring=None, harness=None)
