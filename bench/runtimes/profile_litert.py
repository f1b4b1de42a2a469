"""LiteRT's profiler, of the compiled model on the CPU: operators, and those inside the XNNPACK delegate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from bench.record.profile import Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.litert import file_order
from bench.runtimes.litert_native import BY_DELEGATE, INSIDE_DELEGATE, OPERATOR, WHOLE, NativeModel
from bench.runtimes.profile import WARM_UP, WHOLE_MICROSECONDS, Event, Run, middle, operator_times, repeat

_INVOKE = "Invoke"
_KERNELS = {"xnnpack": "xnnpack", "compiled-cpu": "xnnpack", "builtin": "builtin"}
# The data types in an XNNPACK operator's name, `Convolution (NHWC, QC8) IGEMM`, in the words of
# `OperatorTime.precision`; of several the narrowest says how the products are made.
_PRECISIONS = (
    ("C4W", "int4"),
    ("B4W", "int4"),
    ("S8", "int8"),
    ("C8", "int8"),
    ("U8", "int8"),
    ("D8", "int8"),
    ("BF16", "bfloat16"),
    ("F16", "float16"),
    ("F32", "float32"),
)


def profile(opening: Opening, feeds: Sequence[Array], seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`."""
    target = f"litert-{opening.provider}"
    kernels = _KERNELS.get(opening.provider)
    if kernels is None:
        return Profile(target=target, reason="LiteRT's profiler does not see into a GPU delegate")
    model = NativeModel(opening.path, kernels=kernels, threads=opening.threads)
    order = file_order(opening)
    model.feed([np.ascontiguousarray(feeds[order.index(at)]) for at in range(len(order))])
    repeat(model.run, 0.0)
    for _ in range(WARM_UP):
        model.run()
    model.start()
    repeat(model.run, seconds)
    runs, whole = [], []
    for run, us in _runs(model.events()):
        runs.append(run)
        whole.append(us * 1e3)
    limits = ["profiled in a CompiledModel on the CPU, the only session of LiteRT that has a profiler"]
    if kernels == "xnnpack":
        limits.append("inside the XNNPACK delegate the operators are XNNPACK's own, fused, without the model's names")
    limits.append(WHOLE_MICROSECONDS)
    return Profile(
        target=target,
        operators=operator_times(runs),
        inference_ns=middle(whole),
        runs=len(runs),
        evidence="LiteRT profiler (enable_profiling), the time of each operator",
        limits=tuple(limits),
    )


def _runs(events: Sequence[tuple[str, int, int, float]]) -> Iterator[tuple[Run, float]]:
    """Operators and the whole time (µs) of each inference; the event of the whole stands before its operators."""
    found: list[tuple[Event, float]] | None = None
    whole = 0.0
    for tag, kind, index, us in events:
        if kind == WHOLE and tag == _INVOKE:
            if found is not None:
                yield found, whole
            found, whole = [], us
        elif found is not None and kind in (OPERATOR, INSIDE_DELEGATE, BY_DELEGATE):
            found.append((_event(tag, kind, index), us * 1e3))
    if found is not None:
        yield found, whole


def _event(tag: str, kind: int, index: int) -> Event:
    if kind == OPERATOR:
        return Event(f"{tag} {index}", tag, "builtin")
    kinds, _, rest = tag.partition(" (")
    inside = rest.partition(")")[0]
    precision = next((name for mark, name in _PRECISIONS if re.search(rf"\b[A-Z]*{mark}", inside)), None)
    return Event(f"{tag} {index}", kinds, "XNNPACK", precision)
