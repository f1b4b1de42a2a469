"""One case of a kept run: its operators beside those of fp32, and why it is not faster."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.analyse.faster import BASELINE, Gain, pairs
from bench.errors import UserError, unknown
from bench.export.bundle import open_bundle, read_index
from bench.export.cache import cache_dir
from bench.export.prepare import BUNDLE_FILE
from bench.machine.environment import read_environment
from bench.record.artifact import Bundle
from bench.record.environment import Environment
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runner.reopen import reopen
from bench.runner.slower import job_for, profiled
from bench.runner.slower import why as why_slower
from bench.runtimes.table import RUNTIMES
from bench.store import profiles
from bench.store.manifest import Manifest
from bench.worker.profile import profile_case
from bench.zoo.hashing import file_sha256
from bench.zoo.inside import inside


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One case with its operators, and fp32's beside them.

    `reference` is the fp32 sibling, None for fp32 itself or where the run has none. `gain` and `why` are None where
    the case need not be faster than fp32, and `why` where it is. `elsewhere` says how this machine differs from that
    of the run where a profile was made here all the same: it then says nothing of why.
    """

    run_id: str
    row: Row
    profile: Profile
    reference: Row | None = None
    reference_profile: Profile | None = None
    gain: Gain | None = None
    why: str | None = None
    elsewhere: str | None = None


def explain_case(folder: Path, text: str) -> Explanation:
    """The operators of the case that `text` names in the run `folder`, and why it is not faster.

    Raises:
        UserError: there is no such case, it was not measured, or there is neither a profile of it nor its artifact.
    """
    run = reopen(folder)
    row = _chosen(run.rows, text)
    if not row.measured:
        reason = row.failure.reason if row.failure is not None else row.status
        raise UserError(f"there is nothing to explain: {reason}", where=row.case.name, remedy="choose another case")
    if not RUNTIMES[row.case.runtime].measures_model:
        raise UserError(f"{row.case.runtime} runs no operator", where=row.case.name, remedy="choose another case")
    here = _difference(run.manifest.environment, read_environment())

    def keep(folder: Path, case_id: str, profile: Profile) -> None:
        # It is to be shown, whether the run's folder takes it or not; what is not of the run does not belong in it.
        if here is None:
            with contextlib.suppress(UserError):
                profiles.keep(folder, case_id, profile)

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        maker = _FromArtifacts(run.manifest, Path(scratch))
        mine = profiled(folder, row, maker, keep)
        pair = next((pair for pair in pairs(run.rows) if pair.row is row), None)
        reference = pair.reference if pair is not None else _sibling(run.rows, row)
        theirs = profiled(folder, reference, maker, keep) if reference is not None else None
    why, elsewhere = None, here if maker.made else None
    if pair is not None and theirs is not None and not pair.gain.sure:
        # What the run said holds, but for where its profile failed and there is one now.
        why = None if maker.made and elsewhere is None else row.why_not_faster
        if why is None and elsewhere is None:
            why = why_slower(pair, mine, theirs, run.manifest.environment, run.rows)
    return Explanation(
        run_id=run.manifest.run_id,
        row=row,
        profile=mine,
        reference=reference,
        reference_profile=theirs,
        gain=pair.gain if pair is not None else None,
        why=why,
        elsewhere=elsewhere,
    )


class _FromArtifacts:
    """Makes profiles from the artifacts of a finished run, as far as they are still there."""

    def __init__(self, manifest: Manifest, scratch: Path) -> None:
        self._manifest, self._scratch = manifest, scratch
        self._opened: dict[str, tuple[Path, Bundle]] = {}
        self.made = False

    def __call__(self, row: Row) -> Profile:
        """Raises `UserError` where the artifact is gone or is not what was measured."""
        folder, bundle = self._bundle(row)
        artifact = row.artifact
        file = None if artifact is None else inside(folder, artifact.path)
        if artifact is None or file is None or not file.is_file():
            raise _gone(row)
        if file_sha256(file) != artifact.sha256:
            raise _gone(row, "is not the one that was measured any more")
        self.made = True
        return profile_case(job_for(row, folder, bundle, self._manifest.plan))

    def _bundle(self, row: Row) -> tuple[Path, Bundle]:
        model = row.case.model
        if model not in self._opened:
            self._opened[model] = self._find(row)
        return self._opened[model]

    def _find(self, row: Row) -> tuple[Path, Bundle]:
        contents = (entry.content for entry in self._manifest.models if entry.name == row.case.model)
        # A run that came from elsewhere may name anything.
        folder = inside(cache_dir() / "bundles", next(contents, ""))
        if folder is not None and folder.is_dir():
            return folder, read_index(folder)
        given = Path(str(self._manifest.request.get("suite", "")))
        if (given.suffix == ".zip" and given.is_file()) or (given / BUNDLE_FILE).is_file():
            return open_bundle(given, self._scratch)
        raise _gone(row)


def _difference(then: Environment, now: Environment) -> str | None:
    """In what this machine is not that of the run, as far as operators show it; None where it is the same."""
    fields = ("cpu_model", "cpu_features", "packages")
    return ", ".join(name for name in fields if getattr(then, name) != getattr(now, name)) or None


def _gone(row: Row, what: str = "is gone") -> UserError:
    return UserError(
        f"no profile was kept of this case, and the artifact to make one from {what}",
        where=row.case.name,
        remedy="measure it again with `bench run`, which exports it anew",
    )


def _sibling(rows: Sequence[Row], row: Row) -> Row | None:
    """The fp32 row to look at beside one that promises no speed."""
    wanted = msgspec.structs.replace(row.case, variant=BASELINE)
    return next((r for r in rows if r.case == wanted and r.measured and r.case != row.case), None)


def _chosen(rows: Sequence[Row], text: str) -> Row:
    """The row of the case with this id or name; else the only one with these parts in its name, or this text."""
    by_name = {row.case.name: row for row in rows}
    tries: tuple[Callable[[Row], bool], ...] = (
        lambda row: text in (row.case.id, row.case.name),
        lambda row: f"/{text}/" in f"/{row.case.name}/",
        lambda row: text in row.case.name or row.case.id.startswith(text),
    )
    hits = next(filter(None, ([row for row in rows if fits(row)] for fits in tries)), [])
    if len(hits) == 1:
        return hits[0]
    if not hits:
        raise unknown("case", text, by_name, where="CASE")
    names = ", ".join(row.case.name for row in hits)
    raise UserError(f"{text!r} is part of {len(hits)} cases", where="CASE", remedy=f"give more of one of: {names}")
