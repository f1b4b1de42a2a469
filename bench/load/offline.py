"""All samples are there from the start; how fast are they worked off? Options: the case's batch, and `in_flight`."""

from __future__ import annotations

from array import array

import numpy as np

from bench.load import rules, stop
from bench.load.base import Measured, Requests, Settings, Watch, as_int64
from bench.load.crew import Crew
from bench.record.observation import Plan, Samples


def measure(crew: Crew, plan: Plan, settings: Settings, watch: Watch) -> Measured:
    """Queries of `batch` examples from one queue, as many in flight as there are lanes, without a pause.

    No query is issued any more once the plan's least time and samples are reached, or its time is over;
    those in flight are waited for. The figure is the throughput. Nobody waits for a single query here:
    its latency is the time of its call at full load, not the time it stood in the queue.
    """
    time = crew.time
    logs = [(array("q"), array("q")) for _ in crew.lanes]
    issued: list[None] = []  # one entry a query: appending is atomic, adding to a number is not
    watch.begin()
    begin = time.now()

    def issue(elapsed_ns: int) -> bool:
        if stop.enough(len(issued), elapsed_ns / 1e9, plan):
            return False
        issued.append(None)
        return True

    def work(number: int, lane: Requests) -> None:
        now, call, take = time.now, lane.call, lane.take
        keep_start, keep_end = logs[number][0].append, logs[number][1].append
        after = now()
        while issue(after - begin):
            request = take()
            before = now()
            call(request)
            after = now()
            keep_start(before)
            keep_end(after)

    crew.together(work, lambda: watch.between(*_progress(logs)))
    starts = np.concatenate([as_int64(starts) for starts, _ in logs])
    ends = np.concatenate([as_int64(ends) for _, ends in logs])
    stream = np.repeat(np.arange(len(logs), dtype=np.int64), [len(starts) for starts, _ in logs])
    order = np.argsort(starts, kind="stable")
    starts, ends, stream = starts[order], ends[order], stream[order]
    span = int(ends.max() - starts[0])
    return Measured(
        samples=Samples(
            start_ns=starts,
            latency_ns=ends - starts,
            block=(starts - starts[0]) // int(plan.block_s * 1e9),
            stopped_by=stop.reached(len(starts), plan),
            stream=stream,
            span_ns=span,
        ),
        validity=rules.offline(len(starts) * settings.batch, span / 1e9, settings.batch),
        facts={"in_flight": len(crew.lanes), "issued": len(issued)},
    )


def _progress(logs: list[tuple[array[int], array[int]]]) -> tuple[int, float]:
    """Samples so far and the median of the last hundred of the first lane, s."""
    starts, ends = logs[0]
    there = len(ends)
    late = [ends[at] - starts[at] for at in range(max(0, there - 100), there)]
    return sum(len(ends) for _, ends in logs), float(np.median(late)) / 1e9 if late else 0.0
