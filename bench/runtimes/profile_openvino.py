"""OpenVINO's performance counters (PERF_COUNT): every node of the execution graph with its kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.record.profile import Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.openvino import OpenVinoSession
from bench.runtimes.profile import WARM_UP, WHOLE_MICROSECONDS, Event, Run, middle, operator_times, repeat

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


def profile(opening: Opening, feeds: Sequence[Array], seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`."""
    session = OpenVinoSession(opening, {"PERF_COUNT": "YES"})
    for _ in range(WARM_UP):
        session.run(feeds)
    runs: list[Run] = []
    whole: list[float] = []

    def once() -> None:
        session.run(feeds)
        runs.append(_executed(session))
        whole.append(session.latency_ns())

    repeat(once, seconds)
    session.close()
    return Profile(
        target=f"openvino-{opening.provider}",
        operators=operator_times(runs),
        inference_ns=middle(whole),
        runs=len(runs),
        evidence="OpenVINO performance counters (PERF_COUNT), the real time of each executed node",
        limits=(WHOLE_MICROSECONDS,),
    )


def _executed(session: OpenVinoSession) -> Run:
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
