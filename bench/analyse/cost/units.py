"""Units that are carried through arithmetic: s, J, g and currencies, with the hours and kWh that bills are written in.

A unit is written as in the tables: `USD/h`, `g/kWh`, `1/s`, `W`, `1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HOURS_A_MONTH = 730.5
"""A twelfth of 365.25 days."""
HOURS_A_YEAR = 12 * HOURS_A_MONTH

Powers = tuple[tuple[str, int], ...]
"""The exponents of what a unit is made of, by name and without zeros: W is J 1, s -1."""

_NAMED: dict[str, tuple[float, Powers]] = {
    "1": (1.0, ()),
    "s": (1.0, (("s", 1),)),
    "h": (3600.0, (("s", 1),)),
    "month": (HOURS_A_MONTH * 3600.0, (("s", 1),)),
    "J": (1.0, (("J", 1),)),
    "kWh": (3.6e6, (("J", 1),)),
    "W": (1.0, (("J", 1), ("s", -1))),
    "g": (1.0, (("g", 1),)),
    "kg": (1e3, (("g", 1),)),
}
_CURRENCY = re.compile("[A-Z]{3}")


class UnitError(TypeError):
    """Figures of different units were to be added, or a unit does not fit."""


def parse(unit: str) -> tuple[float, Powers]:
    """What one of `unit` is in s, J, g and its currency, and what it is made of. Raises `UnitError`."""
    first, *rest = unit.split("/")
    scale, powers = _named(first, unit)
    for word in rest:
        below, divided = _named(word, unit)
        scale, powers = scale / below, combined(powers, divided, -1)
    return scale, powers


def combined(a: Powers, b: Powers, sign: int = 1) -> Powers:
    """The powers of a product, or of a quotient with `sign` -1."""
    added = dict(a)
    for name, power in b:
        added[name] = added.get(name, 0) + sign * power
    return tuple(sorted((name, power) for name, power in added.items() if power))


def written(powers: Powers) -> str:
    """The base unit of such powers, for messages."""
    over = _joined((name, power) for name, power in powers if power > 0)
    under = _joined((name, -power) for name, power in powers if power < 0)
    return f"{over or '1'}/{under}" if under else over or "1"


def _named(word: str, unit: str) -> tuple[float, Powers]:
    if word in _NAMED:
        return _NAMED[word]
    if _CURRENCY.fullmatch(word):
        return 1.0, ((word, 1),)
    raise UnitError(f"no unit is written {unit!r}")


def _joined(parts: Iterable[tuple[str, int]]) -> str:
    return "·".join(name if power == 1 else f"{name}^{power}" for name, power in parts)
