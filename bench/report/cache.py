"""What the cache holds and what was removed from it, in lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from bench.export.clean import Cleaned
from bench.export.contents import Entry
from bench.record.codec import plain
from bench.report.units import text

_SHOWN_KEY = 12
_AGES = ((604_800, "w"), (86_400, "d"), (3600, "h"), (60, "min"))


def lines(entries: Sequence[Entry]) -> list[dict[str, str]]:
    """A line an entry."""
    return [
        {
            "kind": entry.kind,
            "model": entry.model or entry.key,
            "variants": _variants(entry),
            "size": text(entry.bytes, "B"),
            "last used": _age(entry.used),
            "key": entry.key[:_SHOWN_KEY],
            "state": _state(entry),
        }
        for entry in entries
    ]


def total(entries: Sequence[Entry]) -> str:
    """How much it is in all."""
    count = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    return f"{count}, {text(sum(entry.bytes for entry in entries), 'B')}"


def sentences(cleaned: Cleaned) -> list[str]:
    """What was removed, what stays and why, and how much was freed."""
    would = "would be " if cleaned.dry_run else ""
    told = [f"{would}removed: {_named(entry)}, {text(entry.bytes, 'B')}" for entry in cleaned.removed]
    told += [f"kept: {_named(kept.entry)}: {kept.reason}" for kept in cleaned.kept]
    if cleaned.locks:
        files = "1 lock file" if cleaned.locks == 1 else f"{cleaned.locks} lock files"
        told.append(f"{would}removed: {files} of what is gone")
    return [*told, f"{would}freed: {text(cleaned.freed, 'B')}; left: {text(cleaned.left, 'B')}"]


def document(cache: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """The same for machines."""
    return {"cache": cache, "bytes": sum(entry.bytes for entry in entries), "entries": plain(list(entries))}


def _named(entry: Entry) -> str:
    name = " ".join(filter(None, (entry.kind, entry.model, entry.key[:_SHOWN_KEY])))
    variants = _variants(entry)
    return f"{name} ({variants})" if variants else name


def _variants(entry: Entry) -> str:
    formats: dict[str, list[str]] = {}
    for made in entry.variants:
        formats.setdefault(made.variant, []).append(made.format)
    return ", ".join(f"{variant} {'+'.join(given)}" for variant, given in formats.items())


def _state(entry: Entry) -> str:
    states = {"in use": entry.in_use, "unfinished": entry.unfinished}
    return ", ".join(name for name, holds in states.items() if holds)


def _age(used: float) -> str:
    since = max(0.0, time.time() - used)
    for seconds, unit in _AGES:
        if since >= seconds:
            return f"{since / seconds:.0f} {unit} ago"
    return "just now"
