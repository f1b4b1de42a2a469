"""A TOML file checked against a pydantic model; what is wrong becomes a `UserError` with file and key."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from bench.errors import UserError, unknown

M = TypeVar("M", bound=BaseModel)


def load_toml(path: Path, model: type[M], *, kind: str) -> M:
    """The validated content of `path`. Raises `UserError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot read the {kind}: {error.strerror}", where=str(path), remedy="check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"the {kind} is not UTF-8 text", where=str(path), remedy="save it as UTF-8 TOML") from error
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"the {kind} is not valid TOML: {error}", where=str(path), remedy="correct that line"
        ) from error
    return validate(content, model, where=str(path))


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
    shown = "" if isinstance(given, dict) else f" (given: {given!r})"
    return UserError(f"{message}{shown}", where=f"{where}: {key}" if key else where, remedy="correct the value")


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
        if found is None:
            return []
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
