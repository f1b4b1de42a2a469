"""A TOML file checked against a pydantic model; what is wrong becomes a `UserError` with file and key."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bench.errors import UserError, unknown

M = TypeVar("M", bound=BaseModel)
LARGEST_BYTES = 8 << 20
_MOST_PARTS = 64
_SHOWN = 200
"""So much of a wrong value is repeated."""
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
# The parser's time grows with the square of a key's parts: 200 kB of one key take it minutes.
_ENDLESS_KEY = re.compile(rf"(?<![\w-])(?:{_PART}\.[ \t]*+){{{_MOST_PARTS}}}")


def load_toml(path: Path, model: type[M], *, kind: str) -> M:
    """The validated content of `path`. Raises `UserError`."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        # As some editors save it, text begins with a mark of its byte order.
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(
            f"cannot read the {kind}: {error.strerror}", where=str(path), remedy="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"the {kind} is not UTF-8 text", where=str(path), remedy="save it as UTF-8 TOML") from error
    if len(content) > LARGEST_BYTES:
        raise UserError(f"the {kind} has over {LARGEST_BYTES >> 20} MiB", where=str(path), remedy="check the path")
    if _ENDLESS_KEY.search(text):
        raise UserError(f"the {kind} has a key of over {_MOST_PARTS} parts", where=str(path), remedy="nest less deeply")
    try:
        found = tomllib.loads(text)
    # The parser leaves numbers with thousands of digits to Python, and goes as deep as the nesting does.
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"the {kind} is not valid TOML: {error}", where=str(path), remedy="correct that line"
        ) from error
    return validate(found, model, where=str(path))


def validate(content: dict[str, Any], model: type[M], *, where: str) -> M:
    """`content` as `model`. Raises `UserError` for the first thing that is wrong."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _first_fault(error, model, where) from error


def _first_fault(error: ValidationError, model: type[BaseModel], where: str) -> UserError:
    faults = error.errors(include_url=False)
    # A misspelt key is both unknown and missing: the unknown one is what the user wrote.
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    place: tuple[int | str, ...] = tuple(fault["loc"])
    key = _dotted(place)
    if fault["type"] == "extra_forbidden":
        return unknown("key", str(place[-1]), _keys_at(model, place[:-1]), where=f"{where}: {key}")
    if fault["type"] == "missing":
        return UserError(f"the key {key!r} is missing", where=where, remedy=f"add {key}")
    message = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    shown = "" if isinstance(given, dict) else f" (given: {_short(given)})"
    return UserError(f"{message}{shown}", where=f"{where}: {key}" if key else where, remedy="correct the value")


def _short(given: object) -> str:
    try:
        text = repr(given)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _dotted(place: Sequence[int | str]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _keys_at(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    here = model
    named = False  # the next part is a key that the user chose, not a field
    for part in place:
        if isinstance(part, int):
            continue
        if named:
            named = False
            continue
        annotation = here.model_fields[part].annotation
        named = get_origin(annotation) is dict
        found = _nested(annotation)
        assert found is not None  # only a model has keys that it does not know
        here = found
    return list(here.model_fields)


def _nested(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model inside an annotation such as `list[Matrix]` or `Cost | None`."""
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, BaseModel)
    ):
        return annotation
    for inner in get_args(annotation):
        found = _nested(inner)
        if found is not None:
            return found
    return None
