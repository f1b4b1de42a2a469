"""What can go wrong in an export that is nobody's input."""

from __future__ import annotations

PASSING = "this time only: "
"""Begins the reason of a failure that is not the model's fault: it is tried again on the next call."""


class ExportError(RuntimeError):
    """The export process crashed, hung or broke its promise. `tail` is the end of what it printed."""

    def __init__(self, reason: str, *, tail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.tail = tail

    def __str__(self) -> str:
        return f"{self.reason}\n{self.tail}".rstrip()


class CannotMake(Exception):
    """A variant that cannot be made for this model; the sentence becomes the reason of an `Unavailable`."""
