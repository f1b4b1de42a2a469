"""Figures of a worker that counts as a machine of its own by name alone: others may have run beside it."""

from __future__ import annotations

from bench.store.manifest import Manifest

_BEGIN = "counted as the machine "


def counted_as(machine: str) -> str:
    """The note of a run whose machine was named, and not read off."""
    return f"{_BEGIN}{machine!r} because it was told to: other cases may have run on it at the same time"


def named_machine(manifest: Manifest) -> tuple[str, ...]:
    """That note, where the run has it: it goes wherever its figures are compared."""
    return tuple(note for note in manifest.notes if note.startswith(_BEGIN))
