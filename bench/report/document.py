"""A run as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.record.codec import plain
from bench.record.row import Row
from bench.store.manifest import Manifest


def document(folder: Path, manifest: Manifest, rows: Sequence[Row]) -> dict[str, Any]:
    """The manifest, and under `cases` every row with its name and id."""
    told: dict[str, Any] = plain(manifest)
    told["folder"] = str(folder)
    told["cases"] = [{"name": row.case.name, "id": row.case.id, **plain(row)} for row in rows]
    return told
