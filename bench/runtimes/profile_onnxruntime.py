"""ONNX Runtime's session profiling: its trace holds the nodes as executed, fused and inserted ones included."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.record.profile import Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.onnxruntime import OrtSession
from bench.runtimes.profile import WARM_UP, Event, Run, middle, operator_times, repeat
from bench.runtimes.table import RUNTIMES

_SUFFIX = "_kernel_time"
_WHOLE = "model_run"
_WITH_A_BODY = ("If", "Loop", "Scan")
# The names of ONNX Runtime's trace for element types, in the words of `OperatorTime.precision`.
_PRECISIONS = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "int8": "int8",
    "uint8": "int8",
    "int16": "int16",
    "uint16": "int16",
}


class _ProfiledSession(OrtSession):
    """The session of the case, with profiling on; `finish` ends it and reads the trace."""

    def __init__(self, opening: Opening, folder: str) -> None:
        self._folder = folder
        super().__init__(opening)

    def settings(self, opening: Opening) -> Any:
        """The case's options, and a trace in the folder."""
        options = super().settings(opening)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._folder) / "trace")
        return options

    def finish(self) -> bytes:
        """The trace, JSON."""
        return Path(self._session.end_profiling()).read_bytes()


def profile(opening: Opening, feeds: Sequence[Array], seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        session = _ProfiledSession(opening, folder)
        for _ in range(WARM_UP):
            session.run(feeds)
        repeat(lambda: session.run(feeds), seconds)
        events = msgspec.json.decode(session.finish())
        session.close()
    runs = list(_runs(events))[WARM_UP:]
    whole = [float(event["dur"]) * 1e3 for event in events if event["name"] == _WHOLE][WARM_UP:]
    limits = ["each node pays for the profiler's own clock, in whole microseconds"]
    if opening.provider in RUNTIMES["onnxruntime"].on_gpu:
        limits.append("on a GPU a node's time is that of starting its kernels, not of their work")
    if opening.options.get("io_binding"):
        limits.append("profiled without io_binding")
    return Profile(
        target=f"onnxruntime-{opening.provider}",
        operators=operator_times(runs),
        inference_ns=middle(whole),
        runs=len(runs),
        evidence="ONNX Runtime session profiling (enable_profiling), the kernel time of each node",
        limits=tuple(limits),
    )


def _runs(events: Sequence[dict[str, Any]]) -> Iterator[Run]:
    """The trace, inference by inference: the nodes of one precede the event of the whole."""
    starts: list[int] = []
    found: list[tuple[Event, float]] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            told, ns = _event(event), float(event["dur"]) * 1e3
            if told.type in _WITH_A_BODY:
                # It is timed with its body, whose nodes stand before it in the trace.
                inside = (ns for start, (_, ns) in zip(starts, found, strict=True) if start >= event["ts"])
                ns = max(0.0, ns - sum(inside))
            starts.append(event["ts"])
            found.append((told, ns))
        elif event["name"] == _WHOLE:
            yield found
            starts, found = [], []


def _event(event: dict[str, Any]) -> Event:
    told = event["args"]
    dtypes = [dtype for tensor in told.get("input_type_shape", ()) for dtype in tensor]
    return Event(
        event["name"].removesuffix(_SUFFIX),
        told["op_name"],
        told["provider"].removesuffix("ExecutionProvider"),
        next((_PRECISIONS[dtype] for dtype in dtypes if dtype in _PRECISIONS), None),
    )
