"""The highest rate of arrivals that holds the latency bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.record.measurement import Measurement
from bench.record.observation import Observation

HOW = "measured:rate-search"


def figures(observations: Sequence[Observation]) -> dict[str, Measurement]:
    """Queries a second; the interval lies between a rate that surely held and one that surely failed (99 %)."""
    found = [seen.capacity for seen in observations if seen.capacity is not None]
    if not found:
        return {
            "capacity": Measurement.unavailable("1/s", "no rate was searched for (scenario server, rate = 'search')")
        }
    rates = [capacity.rate for capacity in found if capacity.rate is not None]
    trials = sum(len(capacity.probes) for capacity in found)
    if len(rates) < len(found):
        bound = found[0].bound_s * 1e3
        return {"capacity": Measurement.unavailable("1/s", f"no rate held the bound of {bound:g} ms", trials)}
    lows = [capacity.low for capacity in found if capacity.low is not None]
    highs = [capacity.high for capacity in found if capacity.high is not None]
    sure = len(lows) == len(highs) == len(found)
    return {
        "capacity": Measurement(
            value=float(np.median(rates)),
            unit="1/s",
            n=trials,
            how=HOW if sure else f"{HOW}; not confirmed: no rate surely held and another surely failed at 99 %",
            low=min(lows) if sure else None,
            high=max(highs) if sure else None,
            confidence=0.99 if sure else None,
        )
    }
