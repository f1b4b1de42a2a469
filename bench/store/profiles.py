"""Profiles of the operators of a case, one file each: `profiles/<case id>.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.record.codec import from_json, json_bytes
from bench.record.profile import Profile
from bench.store.atomic import write_bytes

FOLDER = "profiles"


def keep(folder: Path, case_id: str, profile: Profile) -> None:
    """Write the profile of a case, at once. Raises `UserError` where the disk refuses."""
    write_bytes(_path(folder, case_id), json_bytes(profile))


def kept(folder: Path, case_id: str) -> Profile | None:
    """The profile that was kept of a case; None where there is none, or a failing disk has damaged it."""
    try:
        return from_json(_path(folder, case_id).read_bytes(), Profile)
    except (OSError, msgspec.DecodeError):
        return None


def files(folder: Path) -> list[Path]:
    """The profiles of a run, by name; not those with a dot, which a killed process left half written."""
    return sorted(path for path in (folder / FOLDER).glob("*.json") if not path.name.startswith("."))


def _path(folder: Path, case_id: str) -> Path:
    return folder / FOLDER / f"{case_id}.json"
