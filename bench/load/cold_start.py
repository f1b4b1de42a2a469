"""From nothing to the first answer: process start, import, load or compile, first inference, each apart."""

from __future__ import annotations

import numpy as np

from bench.load import rules
from bench.load.base import Measured, Settings, Watch
from bench.load.crew import Crew
from bench.record.observation import Plan, Samples


def measure(crew: Crew, plan: Plan, settings: Settings, watch: Watch) -> Measured:
    """One sample a process: `Settings.cold` is all there is to see, and several processes make a figure.

    The sample's latency is the sum of the four parts, without what the harness does between them. It is
    stamped where the first call would have begun had there been no harness. Files are in the page cache
    of the system or not, as the run finds them; from the second process on they are.

    Raises:
        ValueError: `settings` hold no `cold`.
    """
    del plan
    if settings.cold is None:
        raise ValueError("the worker measured no cold start")
    watch.begin()
    total = settings.cold.total_ns
    return Measured(
        samples=Samples(
            start_ns=np.array([crew.time.now() - settings.cold.first_ns], dtype=np.int64),
            latency_ns=np.array([total], dtype=np.int64),
            block=np.zeros(1, dtype=np.int64),
            stopped_by="one cold start a process",
            span_ns=total,
        ),
        validity=rules.cold_start(),
    )
