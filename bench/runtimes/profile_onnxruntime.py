"""ONNX Runtime's session profiling: its trace holds the nodes as executed, fused and inserted ones included."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.record.profile import OperatorTime, Profile
from bench.runtimes.base import Opening
from bench.runtimes.onnxruntime import OrtSession
from bench.runtimes.profile import WARM_UP, Event, Feeds, Run, less, operator_times, walls
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
_FLOATS = ("float", "double", "float16", "bfloat16")
# What the data types of their inputs do not tell; the trace has no word on what 4-bit weights are multiplied in.
_COMPUTES_IN = {"DynamicQuantizeMatMul": "int8", "DynamicQuantizeLSTM": "int8", "MatMulNBits": None}


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


def profile(opening: Opening, feeds: Feeds, seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`. Half the time the session runs with the profiler, half without."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        session = _ProfiledSession(opening, folder)
        for _ in range(WARM_UP):
            session.run(next(feeds))
        slowed = walls(session.prepare, session.call, feeds, seconds / 2)
        events = msgspec.json.decode(session.finish())
        plain = walls(session.prepare, session.call, feeds, seconds / 2)
        session.close()
    runs = list(_runs(events))[WARM_UP:]
    timed = operator_times(runs)
    inference = float(np.median(plain))
    each = _cost_ns(timed, float(np.median(slowed)) - inference)
    limits = ["the profiler's own share of each node is estimated and taken out: a node that takes less shows nothing"]
    if opening.provider in RUNTIMES["onnxruntime"].on_gpu:
        limits.append("on a GPU a node's time is that of starting its kernels, not of their work")
    if opening.options.get("io_binding"):
        limits.append("profiled without io_binding")
    return Profile(
        target=f"onnxruntime-{opening.provider}",
        operators=less(timed, each),
        inference_ns=inference,
        profiler_ns=each * sum(operator.calls for operator in timed),
        runs=len(runs),
        evidence="ONNX Runtime session profiling (enable_profiling), the kernel time of each node",
        limits=tuple(limits),
    )


def _cost_ns(timed: Sequence[OperatorTime], excess_ns: float) -> float:
    """What the profiler adds to the time of a node, ns, where it adds `excess_ns` to an inference.

    Part of that falls between the nodes, so a node bears no more than the shortest one takes.
    """
    calls = sum(operator.calls for operator in timed)
    nodes = [operator.ns / operator.calls for operator in timed if operator.type not in _WITH_A_BODY]
    return max(0.0, min([excess_ns / calls, *nodes])) if calls else 0.0


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
    kind = told["op_name"]
    dtypes, results = (
        [dtype for tensor in told.get(side, ()) for dtype in tensor]
        for side in ("input_type_shape", "output_type_shape")
    )
    precision = next((_PRECISIONS[dtype] for dtype in dtypes if dtype in _PRECISIONS), None)
    if kind == "Cast" and not {*dtypes, *results} <= {*_FLOATS}:
        # From or to integers: it has nothing to do with what the products compute in.
        precision = None
    return Event(
        event["name"].removesuffix(_SUFFIX),
        kind,
        told["provider"].removesuffix("ExecutionProvider"),
        _COMPUTES_IN.get(kind, precision),
    )
