"""SI figures in the unit that people read."""

from __future__ import annotations

from collections.abc import Iterable

_SCALES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "B": ((1.0, "B"), (2.0**10, "KiB"), (2.0**20, "MiB"), (2.0**30, "GiB")),
    "J": ((1e-6, "µJ"), (1e-3, "mJ"), (1.0, "J")),
    "W": ((1e-3, "mW"), (1.0, "W")),
    "1/s": ((1.0, "1/s"),),
    "1": ((1.0, ""),),
}

_LEAST_SHOWN = 0.001


def scale_for(unit: str, values: Iterable[float]) -> tuple[float, str]:
    """One scale for a whole column: the largest unit in which its smallest positive value is at least 1."""
    scales = _SCALES.get(unit, ((1.0, unit),))
    positive = [abs(value) for value in values if value]
    if not positive:
        return scales[0]
    smallest = min(positive)
    return next(((factor, name) for factor, name in reversed(scales) if smallest >= factor), scales[0])


def digits(value: float, significant: int = 3) -> str:
    """A number with about `significant` digits, with thousands apart and without an exponent."""
    magnitude = abs(value)
    if magnitude >= 10 ** (significant - 1) or magnitude == 0:
        return f"{value:,.0f}"
    places = significant - 1
    while magnitude < 1 and places < 15:
        magnitude *= 10
        places += 1
    if magnitude >= 10:
        places -= 1
    return f"{value:.{max(places, 0)}f}"


def text(value: float, unit: str) -> str:
    """A single figure with its unit: `81.2 µs`."""
    factor, name = scale_for(unit, [value])
    return f"{digits(value / factor)} {name}".strip()


def spread(half: float) -> str:
    """Half an interval relative to its value. Beyond the value itself its size says nothing more."""
    if half > 1:
        return "±>100%"
    return f"±{half:.1%}" if half >= _LEAST_SHOWN else f"±<{_LEAST_SHOWN:.1%}"
