"""Files damaged in the ways that disks, networks and ill will damage them; the same seed, the same damage."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bench.record.artifact import Format

_CHUNK = 256


def mutated(content: bytes, fmt: Format, seed: int) -> bytes:
    """`content` damaged: every third seed says something else in a whole file, the others break its bytes."""
    rng = random.Random(f"{fmt} {seed}")
    if seed % 3:
        return _beaten(content, fmt, rng)
    return _other_graph(content, rng) if fmt == "onnx" else _other_tables(content, rng)


def _beaten(content: bytes, fmt: Format, rng: random.Random) -> bytes:
    """One to four blows. Half of them go where the file's structure is, not its weights."""
    damaged = bytearray(content)
    structure = _structure(content, _weights(content, fmt))
    for _ in range(rng.choice((1, 1, 2, 4))):
        blow = rng.choice(_BLOWS)
        spans = structure if rng.random() < 0.5 else [(0, len(content))]
        begin, end = rng.choices(spans, weights=[end - begin for begin, end in spans])[0]
        blow(damaged, min(rng.randrange(begin, end), len(damaged)), rng)
    return bytes(damaged)


def _other_graph(content: bytes, rng: random.Random) -> bytes:
    """An ONNX file whose structure was hit and that still parses."""
    import onnx

    spans = _structure(content, _weights(content, "onnx"))
    while True:
        damaged = bytearray(content)
        begin, end = rng.choices(spans, weights=[end - begin for begin, end in spans])[0]
        for _ in range(rng.choice((1, 2, 3))):
            damaged[rng.randrange(begin, end)] = rng.choice((0, 1, 127, rng.randrange(256)))
        try:
            onnx.load_from_string(bytes(damaged))
        except Exception:  # protobuf has no common base class
            continue
        return bytes(damaged)


def _other_tables(content: bytes, rng: random.Random) -> bytes:
    """A TFLite file with other numbers in one to three of its tables, laid out anew."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    while True:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        tables = list(_tables((model.subgraphs, model.operatorCodes, model.signatureDefs)))
        for _ in range(rng.choice((1, 2, 3))):
            table = rng.choice(tables)
            name = rng.choice([key for key, value in vars(table).items() if _is_number(value) or _numbers(value)])
            value = getattr(table, name)
            if _is_number(value):
                setattr(table, name, _odd_number(rng))
            else:
                values = [int(number) for number in value]
                values[rng.randrange(len(values))] = _odd_number(rng)
                setattr(table, name, values)
        builder = flatbuffers.Builder(len(content))
        try:
            builder.Finish(model.Pack(builder), b"TFL3")
        except Exception:  # a number that does not fit its field fails in several ways
            continue
        return bytes(builder.Output())


def _tables(value: Any) -> Iterator[Any]:
    """Every table with a number in it, from the top down."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tables(item)
    elif type(value).__module__.endswith("schema_py_generated"):
        held = vars(value).values()
        if any(_is_number(item) or _numbers(item) for item in held):
            yield value
        yield from _tables(list(held))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _numbers(value: Any) -> bool:
    """Whether it is a short array of whole numbers: of indices or of axes, not of weights."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    whole = kind in ("i", "u") if kind else isinstance(value, list) and all(_is_number(item) for item in value)
    return whole and 0 < len(value) <= _CHUNK


def _odd_number(rng: random.Random) -> int:
    return rng.choice((0, 1, -1, 2, 255, 2**31 - 1, -(2**31), rng.randrange(-8, 64)))


def _flip(content: bytearray, at: int, rng: random.Random) -> None:
    for place in range(at, min(at + rng.choice((1, 1, 8)), len(content))):
        content[place] ^= 1 << rng.randrange(8)


def _overwrite(content: bytearray, at: int, rng: random.Random) -> None:
    # Sizes, offsets and counts are 4 bytes: their ends are what a reader trips over.
    value = rng.choice((rng.randbytes(1), rng.randbytes(4), b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
    content[at : at + len(value)] = value[: max(0, len(content) - at)]


def _truncate(content: bytearray, at: int, rng: random.Random) -> None:
    del content[at:]


def _insert(content: bytearray, at: int, rng: random.Random) -> None:
    content[at:at] = rng.randbytes(rng.choice((1, 4, _CHUNK)))


def _remove(content: bytearray, at: int, rng: random.Random) -> None:
    del content[at : at + rng.choice((1, 4, _CHUNK))]


def _zero(content: bytearray, at: int, rng: random.Random) -> None:
    length = min(rng.choice((4, 16, _CHUNK)), len(content) - at)
    content[at : at + length] = bytes(length)


def _duplicate(content: bytearray, at: int, rng: random.Random) -> None:
    content[at:at] = content[at : at + rng.choice((4, 64, _CHUNK))]


_BLOWS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    _flip, _flip, _overwrite, _overwrite, _truncate, _insert, _remove, _zero, _duplicate,
)  # fmt: skip


def _weights(content: bytes, fmt: Format) -> list[bytes]:
    """The longer arrays of the file, as its library tells them."""
    if fmt == "onnx":
        import onnx

        tensors = onnx.load_from_string(content).graph.initializer
        return [tensor.raw_data for tensor in tensors if len(tensor.raw_data) > _CHUNK]
    from ai_edge_litert import schema_py_generated as schema

    buffers = schema.ModelT.InitFromPackedBuf(content, 0).buffers
    return [bytes(buffer.data) for buffer in buffers if buffer.data is not None and len(buffer.data) > _CHUNK]


def _structure(content: bytes, weights: Sequence[bytes]) -> list[tuple[int, int]]:
    """The stretches of the file that are not `weights`."""
    spans, begin = [], 0
    for at, length in sorted((content.find(values), len(values)) for values in weights):
        if at > begin:
            spans.append((begin, at))
        begin = max(begin, at + length)
    return [*spans, (begin, len(content))] if begin < len(content) else spans
