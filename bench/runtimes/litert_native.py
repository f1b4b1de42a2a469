"""LiteRT's C interface by ctypes, as far as its profiler needs it: the Python interface of the wheel has none.

The names and structures are those of `litert/c/*.h` of the LiteRT sources.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.runtimes.base import Array, SessionError

_LIBRARIES = {"linux": "libLiteRt.so", "darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}
_CPU = 1
_MAX_RANK = 8
# `LiteRtTensorBufferLockMode`.
_WRITE = 1
# Kinds of events are single bits, `tflite::Profiler::EventType`.
WHOLE, OPERATOR, INSIDE_DELEGATE, BY_DELEGATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_KINDS = {1 << bit for bit in range(9)}


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint32, 7),
        ("has_strides", ctypes.c_uint32, 1),
        ("dimensions", ctypes.c_int32 * _MAX_RANK),
        ("strides", ctypes.c_uint32 * _MAX_RANK),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element", ctypes.c_int), ("layout", _Layout))


class _Event(ctypes.Structure):
    """`ProfiledEventData`; the text is read only when the events are known to be laid out like this."""

    _fields_ = (
        ("tag", ctypes.c_void_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("index", ctypes.c_uint64),
        ("more", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class NativeModel:
    """A compiled model on the CPU with its profiler. `kernels` is `xnnpack` or `builtin`.

    It lives as long as its process: a profile is made in one of its own.

    Raises:
        SessionError: the library is missing, or refuses the file or a call.
    """

    def __init__(self, path: Path, *, kernels: str, threads: int) -> None:
        self._library = _library()
        self._environment = self._made("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        model = self._made("LiteRtCreateModelFromFile", self._environment, str(path).encode())
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._alive: list[Any] = []
        self._add(options, "runtime_options_string", "enable_profiling = true\n")
        self._add(options, "xnnpack", f'num_threads = {threads}\nkernel_mode = "{kernels}"\n')
        self._model = self._made("LiteRtCreateCompiledModel", self._environment, model, options)
        index = ctypes.c_size_t()
        self._call("LiteRtGetMainModelSubgraphIndex", model, ctypes.byref(index))
        self._graph = self._made("LiteRtGetModelSubgraph", model, index)
        self._profiler = self._made("LiteRtCompiledModelGetProfiler", self._model)

    def lay_out(self, shapes: Sequence[Sequence[int]]) -> None:
        """Make the buffers for inputs of these shapes, in the file's own order."""
        for at, shape in enumerate(shapes):
            sizes, rank = (ctypes.c_int * len(shape))(*shape), ctypes.c_size_t(len(shape))
            resized = (self._model, ctypes.c_size_t(0), ctypes.c_size_t(at), sizes, rank)
            self._call("LiteRtCompiledModelResizeInputTensorNonStrict", *resized)
        self._inputs = self._buffers("Input", shapes)
        self._outputs = self._buffers("Output", self._output_shapes())

    def feed(self, feeds: Sequence[Array]) -> None:
        """Fill the buffers with inputs in the file's own order and its data types."""
        for buffer, values in zip(self._inputs, feeds, strict=True):
            address = self._made("LiteRtLockTensorBuffer", ctypes.c_void_p(buffer), out_before=ctypes.c_int(_WRITE))
            ctypes.memmove(address, values.tobytes(), values.nbytes)
            self._call("LiteRtUnlockTensorBuffer", ctypes.c_void_p(buffer))

    def run(self) -> None:
        """One inference."""
        inputs, outputs = self._inputs, self._outputs
        counts = ctypes.c_size_t(len(inputs)), ctypes.c_size_t(len(outputs))
        self._call("LiteRtRunCompiledModel", self._model, ctypes.c_size_t(0), counts[0], inputs, counts[1], outputs)

    def start(self) -> None:
        """Record events from here on."""
        self._call("LiteRtStartProfiler", self._profiler)

    def events(self) -> list[tuple[str, int, int, int, float]]:
        """Tag, kind, index of the operator, of its subgraph and time (µs) of every event, in order; recording ends.

        Raises:
            SessionError: the events are not laid out as in the LiteRT that this was written for.
        """
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        if count.value <= 0:
            raise SessionError("LiteRT's profiler recorded nothing")
        found = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, found)
        if any(event.kind not in _KINDS or not event.tag for event in found):
            raise SessionError("this LiteRT lays out the events of its profiler in a way that is not known here")
        return [
            (
                ctypes.string_at(event.tag).decode("utf-8", "replace"),
                event.kind,
                event.index,
                event.more,
                event.elapsed_us,
            )
            for event in found
        ]

    def _add(self, options: ctypes.c_void_p, name: str, text: str) -> None:
        kept = ctypes.create_string_buffer(text.encode())
        free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)
        self._alive += [kept, free]
        self._call(
            "LiteRtAddOpaqueOptions", options, self._made("LiteRtCreateOpaqueOptions", name.encode(), kept, free)
        )

    def _buffers(self, kind: str, shapes: Sequence[Sequence[int]]) -> Any:
        buffers = (ctypes.c_void_p * len(shapes))()
        for at, shape in enumerate(shapes):
            tensor = self._made(f"LiteRtGetSubgraph{kind}", self._graph, ctypes.c_size_t(at))
            known = _TensorType()
            self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(known))
            known.layout.rank = len(shape)
            known.layout.dimensions[: len(shape)] = list(shape)
            place = (ctypes.c_size_t(0), ctypes.c_size_t(at))
            needs = self._made(f"LiteRtGetCompiledModel{kind}BufferRequirements", self._model, *place)
            asked = (self._environment, ctypes.byref(known), needs)
            buffers[at] = self._made("LiteRtCreateManagedTensorBufferFromRequirements", *asked).value
        return buffers

    def _output_shapes(self) -> list[list[int]]:
        count = ctypes.c_size_t()
        self._call("LiteRtGetNumSubgraphOutputs", self._graph, ctypes.byref(count))
        layouts = (_Layout * count.value)()
        asked = (self._model, ctypes.c_size_t(0), count, layouts, ctypes.c_bool(True))
        self._call("LiteRtGetCompiledModelOutputTensorLayouts", *asked)
        return [list(layout.dimensions[: layout.rank]) for layout in layouts]

    def _made(self, function: str, *arguments: Any, out_before: Any = None) -> ctypes.c_void_p:
        """Call a function whose last argument, or last but one, is where it puts what it made."""
        made = ctypes.c_void_p()
        after = () if out_before is None else (out_before,)
        self._call(function, *arguments, ctypes.byref(made), *after)
        return made

    def _call(self, function: str, *arguments: Any) -> None:
        try:
            called = getattr(self._library, function)
        except AttributeError:
            raise SessionError(f"this LiteRT has no {function}, which its profiler needs") from None
        called.restype = ctypes.c_int
        status = called(*arguments)
        if status:
            raise SessionError(f"LiteRT's {function} failed with status {status}")


def _library() -> Any:
    """LiteRT's shared library, from the wheel."""
    spec = find_spec("ai_edge_litert")
    name = _LIBRARIES.get(sys.platform)
    places = spec.submodule_search_locations if spec is not None else None
    found = [Path(place) / name for place in places or () if name is not None and (Path(place) / name).is_file()]
    if not found:
        raise SessionError("this wheel of LiteRT holds no library with a profiler")
    return ctypes.CDLL(str(found[0]))
