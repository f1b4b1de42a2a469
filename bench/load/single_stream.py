"""One query at a time: the next is sent when the last has come back (MLPerf SingleStream)."""

from __future__ import annotations

from array import array

import numpy as np

from bench.load import rules, stop
from bench.load.base import Measured, Settings, Watch, as_int64
from bench.load.crew import Crew
from bench.record.observation import Plan, Samples


def measure(crew: Crew, plan: Plan, settings: Settings, watch: Watch) -> Measured:
    """Blocks of calls on the first lane until the plan's precision is reached or its time is over.

    Every sample is kept. The latency of a query is the time of its call.
    """
    lane, now = crew.lanes[0], crew.time.now
    starts, ends = array("q"), array("q")
    sizes: list[int] = []
    span = 0
    rule = stop.ClosedLoop(plan)
    watch.begin()
    begin = now()
    while True:
        block_starts, block_ends = lane.block(plan.block_s)
        watch.check()
        starts += block_starts
        ends += block_ends
        sizes.append(len(block_starts))
        span += block_ends[-1] - block_starts[0]
        elapsed = (now() - begin) / 1e9
        if rule.due(len(starts), elapsed):
            latency = as_int64(ends) - as_int64(starts)
            block = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
            why = rule.verdict(latency, block, elapsed)
            if why:
                break
        watch.between(len(starts), float(np.median(as_int64(block_ends) - as_int64(block_starts))) / 1e9)
    return Measured(
        samples=Samples(
            start_ns=as_int64(starts),
            latency_ns=latency,
            block=block,
            stopped_by=why,
            span_ns=span,
        ),
        validity=rules.single_stream(len(starts), (starts[-1] - begin) / 1e9, settings.batch),
    )
