"""Valid documents made wrong: one value, key or byte at a time, and the only two things that a reader may do then."""

from __future__ import annotations

import copy
import datetime
import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from bench.errors import UserError

T = TypeVar("T")

ODD: tuple[Any, ...] = (
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 0.5),
    *(0, -1, 2, 2**31, 2**63 - 1, -(2**63), True, False, None),
    *("", " ", "\0", "a\0b", "\x1b[31m", "é" * 20, "x" * 5_000, "\N{RIGHT-TO-LEFT OVERRIDE}x", "%s{0}", "0", "nan"),
    *("../../../etc/passwd", "/etc/passwd", "C:\\x", "a/b", ".", "*", "[", "(", "\n", "-1pt", "<= 8parsecs", "9" * 400),
    *([], {}, [[]], [None], {"": ""}, {"x": {"y": []}}, [1, "a", {}]),
)
"""Values that nobody asked for, of every kind that JSON has; MessagePack carries all of them too."""
HUGE: tuple[Any, ...] = (2**64, 10**30, -(10**30), 10**400)
"""Whole numbers beyond 64 bits: TOML and JSON can be written with them."""


TIMES = float(os.environ.get("BENCH_FUZZ_TIMES", "0.3"))
"""How much of each search is made: a part of it in every test run, all of it, or many times as much, when asked."""


def few(examples: int) -> Callable[[T], T]:
    """Settings of a search that finds the same in every run, in a moment."""
    return settings(
        max_examples=max(8, round(examples * TIMES)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def value_or_refusal(read: Callable[[], T], file: str | None = None) -> T | None:
    """What `read` gives, or None where it refused as it has to: with a sentence, and a place that names `file`."""
    try:
        return read()
    except UserError as error:
        refused = error
    assert refused.what, "a refusal says what is wrong"
    assert file is None or file in (refused.where or ""), f"{refused!r} does not say where: {refused.where!r}"
    return None


@st.composite
def spoiled(draw: st.DrawFn, whole: Any, *, most: int = 3, odd: tuple[Any, ...] = ODD + HUGE) -> Any:
    """The document with one to `most` changes: a key dropped, renamed or added, or a value of another kind."""
    tree = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["value", "value", "value", "drop", "rename", "add", "wrap", "swap"]))
        if change == "value":
            holder[key] = copy.deepcopy(draw(st.sampled_from(odd)))
        elif change == "drop":
            del holder[key]
        elif change == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["", "x", f"{key}s", f"{key}.x", "\0", "é"]))] = holder.pop(key)
        elif change == "add" and isinstance(holder, dict):
            holder["extra"] = copy.deepcopy(draw(st.sampled_from(odd)))
        elif change == "wrap":
            holder[key] = draw(st.sampled_from([[holder[key]], {"x": holder[key]}, [holder[key]] * 3]))
        else:
            other, at = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other.get(at) if isinstance(other, dict) else other[min(at, len(other) - 1)])
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes cut short, with some flipped, dropped or repeated, in another encoding, or others altogether."""
    at = draw(st.integers(0, max(len(content) - 1, 0)))
    flipped = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        flipped[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    ways: list[Callable[[], bytes]] = [
        lambda: bytes(flipped),
        lambda: content[:at],
        lambda: content[:at] + content[at + draw(st.integers(1, 40)) :],
        lambda: content[:at] + draw(st.binary(min_size=1, max_size=8)) + content[at:],
        lambda: content + content,
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.decode("latin-1").encode("utf-16"),
        lambda: draw(st.binary(max_size=64)),
    ]
    return draw(st.sampled_from(ways))()


def as_json(tree: Any) -> bytes:
    """JSON as careless tools write it, with NaN and numbers of any length."""
    return json.dumps(tree).encode()


def as_toml(tree: dict[str, Any]) -> bytes:
    """TOML in one line a key; what TOML does not have is left out."""
    lines = (f"{json.dumps(key)} = {_toml(value)}" for key, value in tree.items() if value is not None)
    return "\n".join(lines).encode()


def _toml(value: Any) -> str:
    match value:
        case dict():
            inside = (f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items() if each is not None)
            return "{" + ", ".join(inside) + "}"
        case list():
            return "[" + ", ".join(_toml(each) for each in value if each is not None) + "]"
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case datetime.date():
            return value.isoformat()
        case _:
            return repr(value)
