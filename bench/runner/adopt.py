"""A run of another machine becomes a run here: checked, its rows made anew from what was seen, never over another."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError
from bench.files import whole
from bench.optional import need
from bench.record.codec import json_bytes, unpack
from bench.record.observation import Observation
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.conduct import RunResult
from bench.runner.reopen import reopen
from bench.runner.rows import Key, row_of
from bench.runner.slower import explain_slower
from bench.store import journal, kept, profiles, transit
from bench.store.atomic import storage_error, write_bytes
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import Manifest, read_manifest
from bench.zoo import archive
from bench.zoo.hashing import file_sha256
from bench.zoo.inside import inside

NAME = "imported.json"
"""Beside the tables of a run whose rows were made here: what they were made from."""
_NAME_OF_A_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_AGAIN = "copy the run again from the machine that made it"

Summarise = Callable[[Path, Manifest, Sequence[Row]], None]


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `imported.json`: the checksums of every file that the target wrote, and of that list itself."""

    list_sha256: str
    transit: transit.Transit


class Adopted(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `new` is False where the same run was here already: then nothing was written."""

    run: RunResult
    new: bool
    made: Literal["rows made anew from the raw observations", "tables taken as they are"]
    checked: int
    """Files whose checksums were compared; 0 for a run of a full install, which lists none: its tables were read."""


def adopt(given: Path, results: Path, summarise: Summarise) -> Adopted:
    """The run in the folder or .zip `given`, as an ordinary run folder in `results`.

    A run of a slim install is checked by its checksums, and its rows are made anew from its raw observations. One of
    a full install has its tables read and is copied. `summarise` writes what lies beside the tables, before the
    folder appears under its name.

    Raises:
        UserError: it is not a run, not whole, damaged, too new, or another run of that name is here already.
    """
    need("polars", "scipy")
    try:
        results.mkdir(parents=True, exist_ok=True)
        # On the disk of the results, so that one step puts it in place; a level down, so that no list shows it.
        with tempfile.TemporaryDirectory(prefix=".import-", dir=results) as scratch:
            return _adopt(given, results, Path(scratch), summarise)
    except OSError as error:
        raise storage_error(error, results) from error


def _adopt(given: Path, results: Path, scratch: Path, summarise: Summarise) -> Adopted:
    source = _opened(given, scratch / "given")
    raw = transit.is_transit(source)
    listed = transit.check(source, given) if raw else None
    manifest = read_manifest(source)
    run_id = manifest.run_id
    if not _NAME_OF_A_RUN.fullmatch(run_id) or (listed is not None and listed.run_id != run_id):
        raise UserError(
            f"its manifest names the run {run_id!r}", where=str(given), remedy="do not use it: it was tampered with"
        )
    if manifest.status == "running":
        raise UserError(
            "the run has not ended", where=str(given), remedy="let it end there; `bench run --resume` goes on with it"
        )
    target, made = results / run_id, scratch / run_id
    new = not target.exists()
    if not new:
        _refuse_unless_same(source, target, raw)
    else:
        made.mkdir()
        if listed is not None:
            _make(source, made, manifest, listed, summarise)
        else:
            _copy(source, made, manifest, given)
        # It fails where a run of that name has appeared meanwhile: a folder with content is never replaced.
        made.rename(target)
    return Adopted(
        run=reopen(target),
        new=new,
        made="rows made anew from the raw observations" if raw else "tables taken as they are",
        checked=len(listed.files) if listed is not None else 0,
    )


def _opened(given: Path, scratch: Path) -> Path:
    """The folder of the run; an archive is unpacked, and holds the run itself or one folder with it."""
    if given.is_dir():
        folder = given
    elif given.is_file():
        folder = scratch
        with archive.opened(given, "the archive") as zipped:
            scratch.mkdir()
            for member in zipped.infolist():
                path = inside(scratch, member.filename)
                if path is None:
                    raise UserError(
                        f"the archive holds the member {member.filename!r}, outside its own folder",
                        where=str(given),
                        remedy="do not use it: it was tampered with",
                    )
                if not member.is_dir():
                    archive.extract(zipped, member, path)
        inner = [path for path in scratch.iterdir() if path.is_dir()]
        if not (folder / MANIFEST).exists() and len(inner) == 1:
            folder = inner[0]
    else:
        raise UserError("there is no such folder or archive", where=str(given), remedy="check the path")
    if not (folder / MANIFEST).is_file() and not transit.is_transit(folder):
        raise UserError(
            f"this is not a run: it has no {MANIFEST}", where=str(given), remedy=f"give a run's folder, or {_AGAIN}"
        )
    return folder


def _refuse_unless_same(source: Path, target: Path, raw: bool) -> None:
    """Raises `UserError` where the run of that name that is here is another one."""
    if target.samefile(source):
        raise UserError(
            "it lies under its own name in the folder of the runs already",
            where=str(target),
            remedy="move it to another folder, and import it from there",
        )
    if raw:
        mark = target / NAME
        here = _made_from(mark) if mark.is_file() else None
        same = here is not None and here.list_sha256 == file_sha256(source / transit.NAME)
    else:
        same = all(
            (target / name).is_file() and file_sha256(target / name) == file_sha256(source / name)
            for name in _ordinary(source)
        )
    if not same:
        raise UserError(
            "a run of that name is here already, and it is another one",
            where=str(target),
            remedy="import it into another folder with --out, or move the one that is here away",
        )


def _made_from(path: Path) -> Imported | None:
    """What a run was made from; None where that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Imported)
    except (OSError, msgspec.MsgspecError):
        return None


def _make(source: Path, to: Path, manifest: Manifest, listed: transit.Transit, summarise: Summarise) -> None:
    """Tables of the raw observations in `source`, whose checksums hold."""
    seen = _observations(source, manifest, listed)
    told = {row.case.id: row for row in transit.read_rows(source)}
    entries = {entry.name: entry for entry in manifest.models}
    strange = sorted({case.model for case in manifest.cases} - entries.keys())
    if strange:
        raise UserError(
            f"its manifest does not say what {', '.join(strange)} is",
            where=MANIFEST,
            remedy="do not use it: it is of no run",
        )
    for name in listed.files:
        if name.startswith(f"{profiles.FOLDER}/"):
            _copy_file(source / name, to / name)
    why: dict[str, str] = {}

    def rows() -> list[Row]:
        return [
            row_of(
                case,
                seen,
                manifest=manifest,
                entry=entries[case.model],
                artifact=told[case.id].artifact if case.id in told else None,
                why_not_faster=why.get(case.id),
            )
            for case in manifest.cases
            if (case.id, 0) in seen
        ]

    def known(row: Row) -> Profile:
        """Here nothing can be profiled: what its own machine said, be it a reason only."""
        nothing = Profile(target=row.case.target, reason="the machine that measured it kept no profile of it")
        return profiles.kept(to, row.case.id) or nothing

    explain_slower(to, rows(), manifest.environment, known, why)
    made = rows()
    kept.keep(to, manifest, made, seen.values())
    # The manifest is the target's own, to the byte.
    _copy_file(source / MANIFEST, to / MANIFEST)
    imported = Imported(list_sha256=file_sha256(source / transit.NAME), transit=listed)
    write_bytes(to / NAME, json_bytes(imported))
    summarise(to, manifest, made)


def _observations(source: Path, manifest: Manifest, listed: transit.Transit) -> dict[Key, Observation]:
    cases = {case.id for case in manifest.cases}
    seen: dict[Key, Observation] = {}
    for name in listed.files:
        if not name.startswith(f"{journal.FOLDER}/"):
            continue
        try:
            found = unpack((source / name).read_bytes(), Observation)
        except (msgspec.MsgspecError, TypeError, ValueError, KeyError) as error:
            raise UserError(
                f"the observation is not one that this version can read: {error}",
                where=name,
                remedy="update counterpoise here to the version of the machine that made it",
            ) from error
        if found.case.id not in cases:
            raise UserError(
                f"it is of a case that the run does not name: {found.case.name}",
                where=name,
                remedy="do not use it: it was put together from several runs",
            )
        seen[found.case.id, found.invocation] = found
    lost = sorted(case.name for case in manifest.cases if (case.id, 0) not in seen)
    if manifest.status == "complete" and lost:
        raise UserError(
            f"the run is said to be complete, and has no observation of {', '.join(lost)}",
            where=str(source / journal.FOLDER),
            remedy=_AGAIN,
        )
    return seen


def _copy(source: Path, to: Path, manifest: Manifest, given: Path) -> None:
    """A run of a full install: every table is read, then all that a run consists of is copied."""
    from bench.store import samples

    if not (source / kept.CASES).is_file():
        raise UserError(f"it has no {kept.CASES}: the copy is not whole", where=str(given), remedy=_AGAIN)
    cases = {case.id for case in manifest.cases}
    rows = kept.read_rows(source)
    strange = [row.case.name for row in rows if row.case.id not in cases]
    lost = sorted(cases - {row.case.id for row in rows}) if manifest.status == "complete" else []
    if strange or lost:
        raise UserError(
            f"its table and its manifest disagree on {', '.join((strange or lost)[:3])}",
            where=str(source / kept.CASES),
            remedy=_AGAIN,
        )
    # Whole, so that what is damaged shows now.
    for _ in samples.latencies(source):
        pass
    samples.telemetry(source)
    for name in _ordinary(source):
        _copy_file(source / name, to / name)


def _ordinary(folder: Path) -> list[str]:
    """The files of an ordinary run folder; no hidden ones, and none that a link brings in."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    names = (path.relative_to(folder) for path in found)
    return [name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)]


def _copy_file(source: Path, to: Path) -> None:
    with whole(to) as part:
        shutil.copyfile(source, part)
