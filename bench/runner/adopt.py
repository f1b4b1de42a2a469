"""A run of another machine becomes a run here: checked, its rows made anew from what was seen, never over another."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from bench.errors import UserError
from bench.files import whole
from bench.optional import need
from bench.record.codec import json_bytes
from bench.record.observation import Observation
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner import doubt
from bench.runner.conduct import RunResult
from bench.runner.reopen import reopen
from bench.runner.rows import Key, row_of
from bench.runner.slower import explain_slower
from bench.store import journal, kept, profiles, transit
from bench.store.atomic import storage_error, write_bytes
from bench.store.manifest import NAME as MANIFEST
from bench.store.manifest import Manifest, read_manifest
from bench.store.runs import named_time
from bench.zoo import archive
from bench.zoo.hashing import file_sha256
from bench.zoo.inside import inside

NAME = "imported.json"
"""Beside the tables of a run whose rows were made here: what they were made from."""
_NAME_OF_A_RUN = re.compile(r"[0-9][A-Za-z0-9._@+-]{0,199}")
"""It starts with its time: `latest`, `baselines` and what else has a meaning among the runs is none."""
_CLOCKS_DIFFER = timedelta(days=1)
_AGAIN = "copy the run again from the machine that made it"
_TAMPERED = "do not use it: it was tampered with"
_UPDATE = "update counterpoise here to the version of the machine that made it"

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
    # What was unpacked is named by its archive.
    shown = given if source.is_relative_to(scratch) else source
    with _shown(scratch, source, shown, results):
        return _take_in(source, shown, results, scratch, summarise)


def _take_in(source: Path, shown: Path, results: Path, scratch: Path, summarise: Summarise) -> Adopted:
    raw = transit.is_transit(source)
    listed = transit.check(source, shown) if raw else None
    manifest = read_manifest(source)
    run_id = manifest.run_id
    if not _NAME_OF_A_RUN.fullmatch(run_id) or (listed is not None and listed.run_id != run_id):
        raise UserError(f"its manifest names the run {run_id!r}", where=str(source / MANIFEST), remedy=_TAMPERED)
    _check_time(run_id, source / MANIFEST)
    if manifest.status == "running":
        raise UserError(
            "the run has not ended", where=str(shown), remedy="let it end there; `bench run --resume` goes on with it"
        )
    _believe(doubt.of_manifest(manifest), source / MANIFEST)
    target, made = results / run_id, scratch / run_id
    new = not target.exists()
    if not new:
        _refuse_unless_same(source, target, raw)
    else:
        made.mkdir()
        if listed is not None:
            with _going_together(source):
                _make(source, made, manifest, listed, summarise)
        else:
            _copy(source, made, manifest, shown)
        # It fails where a run of that name has appeared meanwhile: a folder with content is never replaced.
        made.rename(target)
    return Adopted(
        run=reopen(target),
        new=new,
        made="rows made anew from the raw observations" if raw else "tables taken as they are",
        checked=len(listed.files) if listed is not None else 0,
    )


def _check_time(run_id: str, where: Path) -> None:
    """Raises `UserError` where it would stay the latest run: its name is of the future, or of no time."""
    named, now = named_time(run_id), datetime.now(UTC)
    if named is None:
        raise UserError(f"the name of the run starts with no time: {run_id!r}", where=str(where), remedy=_TAMPERED)
    if named - now > _CLOCKS_DIFFER:
        raise UserError(
            f"the run is of the future: it is named {run_id!r}, and the clock here shows {now:%Y-%m-%d %H:%M:%S} UTC",
            where=str(where),
            remedy="set the clock that is wrong; if it was that of the other machine, measure again there",
        )


@contextmanager
def _shown(scratch: Path, source: Path, shown: Path, results: Path) -> Iterator[None]:
    """Messages name what the user knows: no place that is gone when they are read."""
    try:
        yield
    except UserError as error:
        where = error.where or ""
        if source != shown:
            where = where.replace(str(source), str(shown))
        where = where.replace(str(scratch), str(results))
        raise UserError(error.what, where=where or None, remedy=error.remedy) from error


@contextmanager
def _going_together(source: Path) -> Iterator[None]:
    """What rows cannot be made of although each part of it can be read is not of this version, or of no machine."""
    try:
        yield
    except (
        ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, msgspec.MsgspecError,
    ) as error:  # fmt: skip
        raise UserError(
            f"no rows can be made of what it saw ({type(error).__name__}: {error})",
            where=str(source),
            remedy=f"{_UPDATE}; if it is of that version, {_TAMPERED}",
        ) from error


def _believe(fault: str | None, where: Path) -> None:
    """Raises `UserError` where there is a fault."""
    if fault is not None:
        raise UserError(fault, where=str(where), remedy=f"{_UPDATE}; if it is of that version, {_TAMPERED}")


def _opened(given: Path, scratch: Path) -> Path:
    """The folder of the run; an archive is unpacked. Either holds the run itself or one folder with it."""
    if given.is_dir():
        folder = given
    elif given.is_file():
        folder = scratch
        with archive.opened(given, "the archive") as zipped:
            scratch.mkdir()
            for member in zipped.infolist():
                path = inside(scratch, member.filename)
                assert path is not None  # or the archive would have been refused
                if not member.is_dir():
                    archive.extract(zipped, member, path)
    else:
        raise UserError("there is no such folder or archive", where=str(given), remedy="check the path")
    if _is_run(folder):
        return folder
    # Some programs put folders of their own beside the one that was packed.
    inner = [path for path in folder.iterdir() if path.is_dir() and _is_run(path)]
    if len(inner) != 1:
        found = f"there are {len(inner)} in it" if inner else f"it has no {MANIFEST}"
        raise UserError(
            f"this is not a run: {found}", where=str(given), remedy=f"give the folder of one run, or {_AGAIN}"
        )
    return inner[0]


def _is_run(folder: Path) -> bool:
    return (folder / MANIFEST).is_file() or transit.is_transit(folder)


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
    rows_there = transit.read_rows(source)
    _believe(doubt.of_rows(rows_there), source / transit.ROWS)
    told = {row.case.id: row for row in rows_there}
    if told.keys() != {case for case, invocation in seen if invocation == 0}:
        raise UserError(
            "its rows are not of the cases that it has observations of",
            where=str(source / transit.ROWS),
            remedy=_TAMPERED,
        )
    entries = {entry.name: entry for entry in manifest.models}
    strange = sorted({case.model for case in manifest.cases} - entries.keys())
    if strange:
        raise UserError(
            f"its manifest does not say what {', '.join(strange)} is",
            where=str(source / MANIFEST),
            remedy=_TAMPERED,
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
                artifact=told[case.id].artifact,
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
    _believe(doubt.of_rows(made), source / journal.FOLDER)
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
            found = journal.decode((source / name).read_bytes())
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UserError(
                f"the observation is not one that this version can read: {error}",
                where=str(source / name),
                remedy=_UPDATE,
            ) from error
        if found.case.id not in cases:
            raise UserError(
                f"it is of a case that the run does not name: {found.case.name}",
                where=str(source / name),
                remedy="do not use it: it was put together from several runs",
            )
        _believe(doubt.of_observation(found, manifest.plan), source / name)
        if (found.case.id, found.invocation) in seen:
            raise UserError(
                f"it is the second one of invocation {found.invocation} of {found.case.name}",
                where=str(source / name),
                remedy=_TAMPERED,
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


def _copy(source: Path, to: Path, manifest: Manifest, shown: Path) -> None:
    """A run of a full install: every table is read, then all that a run consists of is copied."""
    from bench.store import samples

    if not (source / kept.CASES).is_file():
        raise UserError(f"it has no {kept.CASES}: the copy is not whole", where=str(shown), remedy=_AGAIN)
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
    _believe(doubt.of_rows(rows), source / kept.CASES)
    # Whole, so that what is damaged shows now.
    for _, latency_ns in samples.latencies(source):
        _believe(doubt.of_latencies(latency_ns), source / kept.LATENCIES)
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
