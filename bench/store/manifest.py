"""What a run is: enough to read it years later, and to go on with it after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from bench.errors import UserError
from bench.record.artifact import Training
from bench.record.case import Case
from bench.record.codec import from_json, json_bytes
from bench.record.environment import Environment
from bench.record.observation import Plan
from bench.store.atomic import write_bytes
from bench.store.version import check_version

SCHEMA = 1
NAME = "manifest.json"


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the run: how it was given, what it is evaluated on, and `content`: a key of
    everything that its artifacts were made from (model, data, seed, tools), or of the bundle.

    The floors and `training` are those of `bench.record.artifact.ModelInfo`.
    """

    given: str
    name: str
    source_sha256: str
    content: str
    dataset: str
    metric: str | None = None
    quality_floor: float | None = None
    floor_about: str | None = None
    agreement_floor: float | None = None
    training: Training | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `manifest.json`. `request` repeats what the command was asked for, so that a run resumes.

    `profile` is the whole hardware profile that the run was made under; `fleet` names the fleet that it is a part of.
    """

    run_id: str
    created: str
    command: tuple[str, ...]
    status: Literal["running", "interrupted", "complete"]
    suite: dict[str, Any]
    request: dict[str, Any]
    plan: Plan
    cases: tuple[Case, ...]
    models: tuple[ModelEntry, ...]
    environment: Environment
    notes: tuple[str, ...] = ()
    profile: dict[str, Any] | None = None
    fleet: str | None = None
    schema: int = SCHEMA


class _Schema(msgspec.Struct):
    schema: int = SCHEMA


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in its place, whole."""
    write_bytes(folder / NAME, json_bytes(manifest))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a run folder. Raises `UserError` where it is missing, damaged or too new."""
    path = folder / NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"not a run folder: {error.strerror}", where=str(path), remedy="see `bench list runs`"
        ) from error
    try:
        schema = msgspec.json.decode(content, type=_Schema).schema
        check_version("the run", schema, SCHEMA, path)
        return from_json(content, Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"the manifest is damaged: {error}", where=str(path), remedy="restore it, or run again"
        ) from error
