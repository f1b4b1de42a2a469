"""What an export made: a line a variant, with the facts of its file."""

from __future__ import annotations

from bench.record.artifact import Artifact, Bundle
from bench.report.units import text

_UNKNOWN = "?"
_NONE = "–"


def lines(bundle: Bundle) -> list[dict[str, str]]:
    """Artifacts with their facts, then what could not be made with its reason."""
    made = [_made(artifact) for artifact in bundle.artifacts]
    blank = dict.fromkeys(("size", "zstd", "parameters", "MACs", "integer MACs", "zeros"), _NONE)
    missed = [
        {"variant": u.variant, "format": u.format, **blank, "notes": f"unavailable: {u.reason}"}
        for u in bundle.unavailable
    ]
    return made + missed


def _made(artifact: Artifact) -> dict[str, str]:
    return {
        "variant": artifact.variant,
        "format": artifact.format,
        "size": text(artifact.bytes, "B"),
        "zstd": _UNKNOWN if artifact.bytes_zstd is None else text(artifact.bytes_zstd, "B"),
        "parameters": _count(artifact.parameters),
        "MACs": _count(artifact.macs),
        "integer MACs": _share(artifact.quantised_macs),
        "zeros": _share(artifact.sparsity),
        "notes": "; ".join(artifact.notes),
    }


def _count(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0%}"
