"""What an install may lack. The slim one, for small targets, measures and keeps, and judges nothing."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from bench.errors import UserError

NO_INTERVAL = "no SciPy in this install; bench import on a full one gives it"
"""Why a figure stands without the interval that it would have elsewhere."""


@lru_cache
def installed(module: str) -> bool:
    """Whether a package can be imported here, by the name of its module; it is not imported."""
    return importlib.util.find_spec(module) is not None


def judges() -> bool:
    """Whether this install makes tables and intervals; with only a part of it, it keeps runs as the slim one does."""
    return installed("polars") and installed("scipy")


def need(*modules: str) -> None:
    """Before work begins that would be lost without them. Raises `UserError` where one is not installed."""
    for module in modules:
        if not installed(module):
            raise _absent(module)


def lacking(error: ModuleNotFoundError) -> UserError | None:
    """What to tell a user whose install lacks a package; None where a module of this package is missing: a fault."""
    name = (error.name or "").partition(".")[0]
    if name in ("", "bench"):
        return None
    return _absent(name)


def _absent(name: str) -> UserError:
    return UserError(
        f"this needs {name}, which this install does not have",
        remedy="do it where counterpoise is installed in full; `bench import` brings a run of this machine there",
    )
