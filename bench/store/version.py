"""Files that a newer version wrote."""

from __future__ import annotations

from pathlib import Path

from bench.errors import UserError


def check_version(what: str, schema: int, reads: int, where: Path, remedy: str = "update counterpoise") -> None:
    """Raise `UserError` where `what` is of a newer schema than the one up to which it is read here."""
    if schema > reads:
        raise UserError(
            f"{what} was written by a newer version (schema {schema}, this one reads up to {reads})",
            where=str(where),
            remedy=remedy,
        )
