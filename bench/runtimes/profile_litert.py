"""LiteRT's profiler, of the compiled model on the CPU: operators, and those inside the XNNPACK delegate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from bench.record.profile import Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.litert import file_order
from bench.runtimes.litert_native import BY_DELEGATE, INSIDE_DELEGATE, OPERATOR, WHOLE, NativeModel
from bench.runtimes.profile import WARM_UP, WHOLE_MICROSECONDS, Event, Feeds, Run, middle, operator_times, walls

_INVOKE = "Invoke"
# Measured: a loop of 20 turns took 21 µs, and 1,440 µs under the profiler.
_SUBGRAPHS = "the model has loops or branches, which LiteRT's profiler slows too much to tell where the time goes"
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


def profile(opening: Opening, feeds: Feeds, seconds: float) -> Profile:
    """See `bench.runtimes.profile.profile`. Half the time the model runs with the profiler, half without."""
    target = f"litert-{opening.provider}"
    kernels = _KERNELS.get(opening.provider)
    if kernels is None:
        return Profile(target=target, reason="LiteRT's profiler does not see into a GPU delegate")
    model = NativeModel(opening.path, kernels=kernels, threads=opening.threads)
    order = file_order(opening)
    in_file = [order.index(at) for at in range(len(order))]
    model.lay_out([opening.shapes[at] for at in in_file])

    def fill(values: Sequence[Array]) -> None:
        model.feed([np.ascontiguousarray(values[at]) for at in in_file])

    for _ in range(WARM_UP):
        fill(next(feeds))
        model.run()
    model.start()
    walls(fill, lambda _: model.run(), feeds, seconds / 2)
    events = model.events()
    plain = walls(fill, lambda _: model.run(), feeds, seconds / 2)
    if len({subgraph for tag, kind, _, subgraph, _ in events if _begins(tag, kind)}) > 1:
        return Profile(target=target, reason=_SUBGRAPHS)
    runs = list(_runs(events))
    limits = ["profiled in a CompiledModel on the CPU, the only session of LiteRT that has a profiler"]
    if kernels == "xnnpack":
        limits.append("inside the XNNPACK delegate the operators are XNNPACK's own, fused, without the model's names")
    else:
        limits.append("built-in kernels do not tell the data type that they compute in")
    limits.append(WHOLE_MICROSECONDS)
    return Profile(
        target=target,
        operators=operator_times(runs),
        inference_ns=middle(plain),
        runs=len(runs),
        evidence="LiteRT profiler (enable_profiling), the time of each operator",
        limits=tuple(limits),
    )


def _begins(tag: str, kind: int) -> bool:
    """Whether an event is of a whole subgraph; it stands before those of its operators."""
    return kind == WHOLE and tag == _INVOKE


def _runs(events: Sequence[tuple[str, int, int, int, float]]) -> Iterator[Run]:
    """The operators of each inference."""
    found: list[tuple[Event, float]] | None = None
    for tag, kind, index, _, us in events:
        if _begins(tag, kind):
            if found is not None:
                yield found
            found = []
        elif found is not None and kind in (OPERATOR, INSIDE_DELEGATE, BY_DELEGATE):
            found.append((_event(tag, kind, index), us * 1e3))
    if found is not None:
        yield found


def _event(tag: str, kind: int, index: int) -> Event:
    if kind == OPERATOR:
        return Event(f"{tag} {index}", tag, "builtin")
    kinds, _, rest = tag.partition(" (")
    inside = rest.partition(")")[0]
    precision = next((name for mark, name in _PRECISIONS if re.search(rf"\b[A-Z]*{mark}", inside)), None)
    return Event(f"{tag} {index}", kinds, "XNNPACK", precision)
