"""Records to bytes and back: MessagePack on the wire and in the journal, JSON for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, get_args, get_origin

import msgspec
import numpy as np

T = TypeVar("T")
_NUMBERS = "iufb"


class _Array(msgspec.Struct):
    dtype: str
    shape: list[int]
    data: bytes


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": list(value.shape), "data": np.ascontiguousarray(value).tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no place in a record")


def _from_plain(kind: type, value: Any) -> Any:
    if kind is np.ndarray or get_origin(kind) is np.ndarray:
        try:
            plain = msgspec.convert(value, _Array)
        except msgspec.ValidationError as error:
            raise ValueError(f"no array: {error}") from error  # the decoder adds where
        try:
            found = np.dtype(plain.dtype)
        except SyntaxError as error:  # brackets in it are read as Python
            raise ValueError(f"no data type: {error}") from error
        # `npt.NDArray[np.int64]` is `np.ndarray[..., np.dtype[np.int64]]`.
        wanted = [np.dtype(each) for part in get_args(kind)[1:] for each in get_args(part) if isinstance(each, type)]
        if found.kind not in _NUMBERS or (wanted and found != wanted[0]):
            raise ValueError(f"an array of {found} where {wanted[0] if wanted else 'numbers'} belong")
        return np.frombuffer(plain.data, dtype=found).reshape(plain.shape)
    raise NotImplementedError(f"{kind!r} has no place in a record")


def pack(record: Any) -> bytes:
    """MessagePack bytes of a record; NumPy arrays keep dtype and shape."""
    return msgspec.msgpack.encode(record, enc_hook=_to_plain)


def unpack(data: bytes, kind: type[T]) -> T:
    """The record in `data`.

    Raises:
        msgspec.DecodeError: not MessagePack. msgspec.ValidationError: not such a record.
    """
    with _damaged():
        return msgspec.msgpack.decode(data, type=kind, dec_hook=_from_plain)


def plain(record: Any) -> Any:
    """The record as dictionaries, lists and scalars, ready for JSON; arrays become lists."""
    return msgspec.to_builtins(record, enc_hook=lambda v: v.tolist() if isinstance(v, np.ndarray) else _to_plain(v))


def json_bytes(record: Any) -> bytes:
    """Indented JSON of a record, for files that people read. A byte of a file's name that is not text becomes `?`."""
    found = plain(record)
    try:
        text = msgspec.json.encode(found)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_text_alone(found))
    return msgspec.json.format(text, indent=2)


def _text_alone(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_text_alone(key): _text_alone(each) for key, each in value.items()}
        case list() | tuple():
            return [_text_alone(each) for each in value]
        case _:
            return value


def from_json(data: bytes | str, kind: type[T]) -> T:
    """The record in JSON `data`; raises as `unpack`."""
    with _damaged():
        return msgspec.json.decode(data, type=kind)


@contextmanager
def _damaged() -> Iterator[None]:
    """What else can be wrong with bytes from elsewhere is one kind of error too."""
    try:
        yield
    except (UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise msgspec.DecodeError(str(error)) from error
