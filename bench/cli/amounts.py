"""Ages and sizes as people write them on a command line."""

from __future__ import annotations

import re

from bench.errors import UserError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, where: str) -> float:
    """The seconds in an age such as `30d`, `12h` or `1.5w`. Raises `UserError` for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])", text.strip())
    if found is None:
        raise UserError(
            f"cannot read the age {text!r}", where=where, remedy="write a number and s, m, h, d or w, such as 30d"
        )
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str, where: str) -> int:
    """The bytes in a size such as `5GB` or `500MiB`. Raises `UserError` for anything else."""
    from pydantic import ByteSize, TypeAdapter, ValidationError

    refused = UserError(
        f"cannot read the size {text!r}", where=where, remedy="write a number and a unit, such as 5GB or 500MiB"
    )
    # The type overlooks what comes after a size.
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?\s*[A-Za-z]*", text.strip()) is None:
        raise refused
    try:
        return int(TypeAdapter(ByteSize).validate_python(text.strip()))
    except (ValidationError, OverflowError) as error:
        raise refused from error
