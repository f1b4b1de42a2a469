"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.errors import UserError


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file. Raises `UserError` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(
            f"cannot read the file: {error.strerror}", where=str(path), remedy="check its permissions"
        ) from error
