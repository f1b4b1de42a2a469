"""What a page carries inside: compressed texts, and the hashes by which its policy knows its own scripts."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_DIGITS = 6
"""Significant digits of what is only drawn: finer than any screen."""


def packed(text: str) -> str:
    """The text in UTF-8, gzip (RFC 1952) and base64 (RFC 4648), of which nothing can end an element of a page.

    Halves of surrogate pairs, which UTF-8 has no bytes for, become `?`.
    """
    return base64.b64encode(gzip.compress(text.encode(errors="replace"), compresslevel=9, mtime=0)).decode()


def as_json(value: Any) -> str:
    """Compact JSON. What JSON has no number for (NaN, infinities) is null."""
    return json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(text: str) -> str:
    """The source expression of Content Security Policy Level 3 that allows exactly this script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def drawn(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """A data set with its numbers cut to six significant digits; for pictures only, never for a figure that is read."""
    return {name: [_cut(value) for value in values] for name, values in columns.items()}


def _cut(value: Any) -> Any:
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    cut = float(f"{value:.{_DIGITS}g}")
    return int(cut) if cut.is_integer() and abs(cut) < 10**_DIGITS else cut


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
