"""N closed loops at once, each with a session and inputs of its own: option `streams`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bench.load import rules, stop
from bench.load.base import Measured, Settings, Watch, as_int64
from bench.load.crew import Block, Crew
from bench.record.observation import Plan, Samples

Int64s = npt.NDArray[np.int64]

EDGE_CALLS = 20
"""A block lasts at least this many calls: at its end the lanes stop one by one, the last ones in less company."""


def measure(crew: Crew, plan: Plan, settings: Settings, watch: Watch) -> Measured:
    """Blocks of calls on all lanes until the median over all streams is as precise as asked, or time is over.

    The latency of a query is the time of its call among the other streams' calls. Never more than one
    query of a stream is in flight.
    """
    now = crew.time.now
    parts: list[tuple[Int64s, Int64s, Int64s]] = []
    span = count = 0
    seconds = plan.block_s
    rule = stop.ClosedLoop(plan)
    watch.begin()
    begin = now()
    while True:
        part = _merged(crew.block(seconds))
        watch.check()
        starts, ends, _ = part
        parts.append(part)
        count += len(starts)
        span += int(ends.max() - starts[0])
        median = float(np.median(ends - starts)) / 1e9
        seconds = max(plan.block_s, EDGE_CALLS * median)
        elapsed = (now() - begin) / 1e9
        if rule.due(count, elapsed):
            latency = np.concatenate([ends - starts for starts, ends, _ in parts])
            block = np.repeat(np.arange(len(parts), dtype=np.int64), [len(starts) for starts, _, _ in parts])
            why = rule.verdict(latency, block, elapsed)
            if why:
                break
        watch.between(count, median)
    return Measured(
        samples=Samples(
            start_ns=np.concatenate([starts for starts, _, _ in parts]),
            latency_ns=latency,
            block=block,
            stopped_by=why,
            stream=np.concatenate([stream for _, _, stream in parts]),
            span_ns=span,
        ),
        validity=rules.multi_stream(count, (int(parts[-1][0][-1]) - begin) / 1e9, len(crew.lanes)),
        facts={"streams": len(crew.lanes)},
    )


def _merged(block: list[Block]) -> tuple[Int64s, Int64s, Int64s]:
    """Starts, ends and lanes of a block, in the order in which the calls started."""
    starts = np.concatenate([as_int64(starts) for starts, _ in block])
    ends = np.concatenate([as_int64(ends) for _, ends in block])
    stream = np.repeat(np.arange(len(block), dtype=np.int64), [len(starts) for starts, _ in block])
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order], stream[order]
