"""The one exception that means "the user can mend this": it becomes a clear message and exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input or usage.

    Args:
        what: what is wrong, one sentence without a full stop.
        where: file, key or option at fault.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.remedy:
            parts.append(f"  to do: {self.remedy}")
        return "\n".join(parts)


class Absent(UserError):
    """A thing that was named is not there, as against one that cannot be used."""


def unknown(kind: str, given: str, valid: Iterable[str], *, where: str | None = None) -> UserError:
    """A `UserError` for a name that is not in a table, with the nearest valid name."""
    names = sorted(valid)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return UserError(
        f"unknown {kind} {given!r}",
        where=where,
        remedy=f"{guess}valid: {', '.join(names) or 'none'}",
    )
