"""Records to bytes and back: MessagePack on the wire and in the journal, JSON for people."""

from __future__ import annotations

from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np

T = TypeVar("T")


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "shape": list(value.shape), "data": np.ascontiguousarray(value).tobytes()}
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} has no place in a record")


def _from_plain(kind: type, value: Any) -> Any:
    if kind is np.ndarray or get_origin(kind) is np.ndarray:
        return np.frombuffer(value["data"], dtype=np.dtype(value["dtype"])).reshape(value["shape"])
    raise NotImplementedError(f"{kind!r} has no place in a record")


def pack(record: Any) -> bytes:
    """MessagePack bytes of a record; NumPy arrays keep dtype and shape."""
    return msgspec.msgpack.encode(record, enc_hook=_to_plain)


def unpack(data: bytes, kind: type[T]) -> T:
    """The record in `data`.

    Raises:
        msgspec.DecodeError: not MessagePack. msgspec.ValidationError: not such a record.
    """
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_from_plain)


def plain(record: Any) -> Any:
    """The record as dictionaries, lists and scalars, ready for JSON; arrays become lists."""
    return msgspec.to_builtins(record, enc_hook=lambda v: v.tolist() if isinstance(v, np.ndarray) else _to_plain(v))


def json_bytes(record: Any) -> bytes:
    """Indented JSON of a record, for files that people read."""
    return msgspec.json.format(msgspec.json.encode(plain(record)), indent=2)


def from_json(data: bytes, kind: type[T]) -> T:
    """The record in JSON `data`; raises as `unpack`."""
    return msgspec.json.decode(data, type=kind)
