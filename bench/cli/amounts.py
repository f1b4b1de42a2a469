"""Ages, latencies, rates and sizes as people write them on a command line."""

from __future__ import annotations

import re

from bench.errors import UserError

# As many digits as no number beyond all bounds has.
_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"
_LATENCY = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
_MANY = {"": 1.0, "k": 1e3, "M": 1e6}
_PER = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, where: str) -> float:
    """The seconds in a length of time such as `30d`, `12h` or `5min`. Raises `UserError` for anything else."""
    found = _read("time", text, r"(min|[smhdw])", where, "write a number and s, min, h, d or w, such as 30d")
    return float(found[1]) * _SECONDS[found[2]]


def latency(text: str, where: str) -> float:
    """The seconds in a latency such as `10ms`, `250us` or `1.5s`. Raises `UserError` for anything else."""
    found = _read("latency", text, r"(us|µs|ms|s)", where, "write a number and us, ms or s, such as 10ms")
    return float(found[1]) * _LATENCY[found[2]]


def rate(text: str, where: str) -> float:
    """The number a second in a rate such as `10000/s`, `10k/s` or `2M/d`. Raises `UserError` for anything else."""
    unit = r"(k|M|)\s*(?:/\s*(s|min|h|d))?"
    found = _read("rate", text, unit, where, "write a number a s, min, h or d, such as 10000/s")
    return float(found[1]) * _MANY[found[2]] / _PER[found[3] or "s"]


def size(text: str, where: str) -> int:
    """The bytes in a size such as `5GB` or `500MiB`. Raises `UserError` for anything else."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    refused = UserError(
        f"cannot read the size {text!r}", where=where, remedy="write a number and a unit, such as 5GB or 500MiB"
    )
    # The type overlooks what comes after a size.
    if re.fullmatch(rf"{_NUMBER}\s*[A-Za-z]*", text.strip()) is None:
        raise refused
    try:
        return int(TypeAdapter(ByteSize).validate_python(text.strip()))
    except (ValidationError, OverflowError) as error:
        raise refused from error


def _read(what: str, text: str, unit: str, where: str, remedy: str) -> re.Match[str]:
    """The number (group 1) and the groups of the pattern `unit` behind it. Raises `UserError` where that is not it."""
    found = re.fullmatch(rf"({_NUMBER})\s*{unit}", text.strip())
    if found is None:
        raise UserError(f"cannot read the {what} {text!r}", where=where, remedy=remedy)
    return found
