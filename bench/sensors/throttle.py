"""Names for the bits of the `throttle_reasons` of the `nvml` sensor (NVML: nvmlClocksEventReasons)."""

from __future__ import annotations

REASONS: dict[int, str] = {
    0x001: "idle",
    0x002: "clocks set by an application",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "clocks set for the display",
}
HARMLESS = 0x001 | 0x002 | 0x100
"""Reasons that are no fault of heat or power: nothing to do, and clocks as somebody chose them."""


def names(mask: float) -> tuple[str, ...]:
    """What the bits of a mask mean; a bit without a name is given as a number."""
    bits = [1 << n for n in range(int(mask).bit_length()) if int(mask) >> n & 1]
    return tuple(REASONS.get(bit, f"reason {bit:#x}") for bit in bits)


def is_throttled(mask: float) -> bool:
    """Whether heat or power held the clock back."""
    return bool(int(mask) & ~HARMLESS)
