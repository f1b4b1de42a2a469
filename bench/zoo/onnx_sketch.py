"""What an ONNX file says of itself, read from its bytes without the library: safe in the process of the user.

The file is walked, not loaded: memory stays the same for gigabytes, tensors are skipped, and nesting is bounded.
Field numbers are those of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), the encoding is
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

DEEPEST = 100
"""Messages within messages; Protocol Buffers' own readers refuse more."""
MOST_FIELDS = 20_000_000
"""A graph of half a million nodes has fewer."""
_LONGEST_NAME = 4096
_WINDOW = 1 << 16

_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 12: "output", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""The messages that lead to a tensor, by the number of the field that holds them."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Malformed(Exception):
    """The bytes are no ONNX model; the words say why."""


@dataclass
class Sketch:
    """What was seen: how many `nodes` and `outputs` the main graph has, and `locations`, all files that tensors name.

    Also those of tensors that say to hold their values: a message that is given twice is merged by other readers.
    """

    nodes: int = 0
    outputs: int = 0
    locations: set[str] = field(default_factory=set)


def sketch(path: Path) -> Sketch:
    """Walk the file at `path`.

    Raises:
        Malformed: it is cut short or not a Protocol Buffers message. OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _Walk(_Source(file, path.stat().st_size)).sketch


class _Source:
    """Bytes by position through a window, so that a file that shrinks meanwhile is an error and not a signal."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self.size = file, size
        self._start, self._window = 0, b""

    def byte(self, at: int) -> int:
        index = at - self._start
        if not 0 <= index < len(self._window):
            self._file.seek(at)
            self._start, self._window, index = at, self._file.read(_WINDOW), 0
            if not self._window:
                raise Malformed("it is cut short")
        return self._window[index]

    def read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)


class _Walk:
    def __init__(self, source: _Source) -> None:
        self._source = source
        self._seen = 0
        self.sketch = Sketch()
        # Begin and end of a message, its kind, and how deep it lies.
        self._todo = [(0, source.size, "model", 0)]
        while self._todo:
            self._message(*self._todo.pop())

    def _message(self, at: int, end: int, kind: str, depth: int) -> None:
        for number, wire, value, begin in self._fields(at, end):
            inner = _MESSAGES[kind].get(number) if wire == _BYTES else None
            if inner is None:
                continue
            if inner == "entry":
                self.sketch.locations.update(self._location(begin, begin + value))
                continue
            if depth == 1 and kind == "graph":
                self.sketch.nodes += inner == "node"
                self.sketch.outputs += inner == "output"
            if depth == DEEPEST:
                raise Malformed(f"its messages lie more than {DEEPEST} deep")
            if inner in _MESSAGES:
                self._todo.append((begin, begin + value, inner, depth + 1))

    def _location(self, at: int, end: int) -> list[str]:
        """What one entry of a tensor's external data names, where it names a file."""
        parts: dict[int, bytes] = {}
        for number, wire, length, begin in self._fields(at, end):
            if wire == _BYTES and number in (1, 2):
                if length > _LONGEST_NAME:
                    raise Malformed(f"it names a file in {length} bytes")
                parts[number] = self._source.read(begin, length)
        if parts.get(1) != b"location":
            return []
        try:
            return [parts.get(2, b"").decode()]
        except UnicodeDecodeError as error:
            raise Malformed("it names a file in bytes that are no text") from error

    def _fields(self, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Number, wire type, value (the length of bytes) and where bytes begin, of each field in a range."""
        while at < end:
            self._seen += 1
            if self._seen > MOST_FIELDS:
                raise Malformed(f"it has more than {MOST_FIELDS:,} fields")
            key, at = self._varint(at, end)
            number, wire = key >> 3, key & 7
            value, begin = 0, at
            if wire == _VARINT:
                value, at = self._varint(at, end)
            elif wire == _BYTES:
                value, begin = self._varint(at, end)
                at = begin + value
            elif wire in (_FIXED64, _FIXED32):
                at += 8 if wire == _FIXED64 else 4
            else:
                raise Malformed("it is no Protocol Buffers message")
            if not number:
                raise Malformed("it is no Protocol Buffers message")
            if at > end:
                raise Malformed("it is cut short")
            yield number, wire, value, begin

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise Malformed("it is cut short")
            byte = self._source.byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & (1 << 64) - 1, at
        raise Malformed("it is no Protocol Buffers message")
