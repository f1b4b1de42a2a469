"""OpenVINO's performance counters (PERF_COUNT): every node of the execution graph with its kernel."""

from __future__ import annotations

import re

import numpy as np

from bench.record.profile import Profile
from bench.runtimes.base import Opening
from bench.runtimes.openvino import OpenVinoSession
from bench.runtimes.profile import WARM_UP, WHOLE_MICROSECONDS, Event, Feeds, Run, operator_times, repeat

# The end of an execution type such as `brgconv_avx512_bf16`, in the words of `OperatorTime.precision`.
_PRECISIONS = {
    "f32": "float32",
    "f16": "float16",
    "bf16": "bfloat16",
    "i8": "int8",
    "u8": "int8",
    "i4": "int4",
    "u4": "int4",
}


def profile(opening: Opening, feeds: Feeds, seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`."""
    session = OpenVinoSession(opening, {"PERF_COUNT": "YES"})
    for _ in range(WARM_UP):
        session.run(next(feeds))
    cold = dict(_means(session))
    whole: list[float] = []

    def once() -> None:
        session.run(next(feeds))
        whole.append(session.latency_ns())

    repeat(once, seconds)
    count = len(whole)
    # OpenVINO tells the mean since the first inference, and the first is many times as slow as the rest.
    since = [
        (event, (ns * (WARM_UP + count) - cold.get(event, 0.0) * WARM_UP) / count) for event, ns in _means(session)
    ]
    session.close()
    return Profile(
        target=f"openvino-{opening.provider}",
        operators=operator_times([[(event, max(0.0, ns)) for event, ns in since]]),
        # The counters know means only: beside a median, a disturbed inference would leave less than its own nodes take.
        inference_ns=float(np.mean(whole)),
        runs=count,
        evidence="OpenVINO performance counters (PERF_COUNT), the mean real time of each executed node and inference",
        limits=(WHOLE_MICROSECONDS,),
    )


def _means(session: OpenVinoSession) -> Run:
    return [
        (
            Event(node.node_name, node.node_type, session.device, _precision(node.exec_type)),
            node.real_time.total_seconds() * 1e9,
        )
        for node in session.counters()
        if node.status == node.status.EXECUTED
    ]


def _precision(kernel: str) -> str | None:
    found = re.search(r"_([a-z]+\d+)$", kernel.lower())
    return _PRECISIONS.get(found[1]) if found else None
