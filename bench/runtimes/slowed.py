"""ONNX Runtime, made slower on purpose: the self-test's known truth. Never a case of a real suite."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from bench.runtimes.base import Opening, Request, SessionError
from bench.runtimes.onnxruntime import OrtSession, unavailable

__all__ = ["SlowedSession", "open_session", "unavailable"]


class SlowedSession(OrtSession):
    """Every call takes `slowdown` (a share) longer than the session's own call took."""

    def __init__(self, opening: Opening) -> None:
        options = dict(opening.options)
        slowdown = options.pop("slowdown", None)
        if not isinstance(slowdown, int | float) or slowdown < 0:
            raise SessionError(f"slowdown is a share of the call's time, 0 or more: {slowdown!r}")
        super().__init__(replace(opening, options=options))
        self.scope = f"{self.scope}, then waiting {slowdown:.0%} of that time"
        self.call = _slowed(self.call, float(slowdown))


def _slowed(call: Callable[[Request], object], slowdown: float) -> Callable[[Request], object]:
    clock = time.perf_counter_ns

    def slower(request: Request) -> object:
        before = clock()
        result = call(request)
        wait = (clock() - before) * slowdown
        # From here on, so that what was computed in between is not taken off the wait.
        until = clock() + wait
        while clock() < until:
            pass
        return result

    return slower


def open_session(opening: Opening) -> SlowedSession:
    """See `bench.runtimes.table.open_session`."""
    return SlowedSession(opening)
