"""Profiles of the rows of a run that should be faster than fp32 and are not, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.analyse.explain import evidence_for, explain, line
from bench.analyse.faster import Pair, pairs
from bench.errors import UserError
from bench.machine.cores import share_out
from bench.machine.cpu import usable_cores
from bench.optional import installed
from bench.record.artifact import Bundle
from bench.record.environment import Environment
from bench.record.observation import Plan
from bench.record.profile import Profile
from bench.record.row import Row
from bench.runtimes.table import RUNTIMES
from bench.store import profiles
from bench.worker.messages import ProfileJob

SECONDS = 0.3
"""How long the inferences of a profile last, about."""

MakeProfile = Callable[[Row], Profile]
Keep = Callable[[Path, str, Profile], None]


def job_for(row: Row, folder: Path, bundle: Bundle, plan: Plan) -> ProfileJob:
    """What to profile of a row whose artifact lies in the bundle in `folder`."""
    case, artifact = row.case, row.artifact
    if artifact is None:
        raise ValueError(f"{case.name} has no artifact")
    return ProfileJob(
        case=case,
        artifact=artifact,
        artifact_path=str((folder / artifact.path).resolve()),
        inputs=str((folder / bundle.data.inputs).resolve()),
        seconds=SECONDS,
        timeout_s=plan.timeout_s,
        cores=share_out(usable_cores(), case.threads).measuring,
        memory_limit_bytes=plan.memory_limit_bytes,
        confinement=plan.confinement,
    )


def profiled(folder: Path, row: Row, make: MakeProfile, keep: Keep = profiles.keep) -> Profile:
    """The profile kept of the row in the run `folder`; else it is made now and kept.

    One that failed is made again, as its reason may have passed: a time-out, a crash. Raises `UserError`.
    """
    known = profiles.kept(folder, row.case.id)
    if known is not None and _stands(known, row):
        return known
    try:
        made = make(row)
    except UserError:
        if known is None:
            raise
        return known
    keep(folder, row.case.id, made)
    return made


def to_profile(folder: Path, rows: Sequence[Row]) -> list[str]:
    """Ids of the cases whose profile `explain_slower` would have made: those in the run `folder` do not stand."""
    wanted = [row for pair in pairs(rows) if not pair.gain.sure for row in (pair.row, pair.reference)]
    there = {row.case.id: row for row in wanted}
    known = {case_id: profiles.kept(folder, case_id) for case_id in there}
    return [case_id for case_id, row in there.items() if (has := known[case_id]) is None or not _stands(has, row)]


def _stands(profile: Profile, row: Row) -> bool:
    return profile.reason is None or RUNTIMES[row.case.runtime].profiler is None


def explain_slower(
    folder: Path, rows: Sequence[Row], environment: Environment, make: MakeProfile, into: dict[str, str]
) -> None:
    """Put into `into`, by case id, why each row that should be faster than fp32 and is not is not.

    What is found is there at once, so that an interruption leaves the rest as it is. Without intervals nothing can be
    said: the profiles are kept, for where it can. Raises `UserError` where the disk refuses.
    """
    for pair in pairs(rows):
        if not pair.gain.sure:
            mine, theirs = profiled(folder, pair.row, make), profiled(folder, pair.reference, make)
            if installed("scipy"):
                into[pair.row.case.id] = why(pair, mine, theirs, environment, rows)


def why(pair: Pair, mine: Profile, theirs: Profile, environment: Environment, rows: Sequence[Row]) -> str:
    """The line for one pair, from the profiles of both; `rows` are all of the run."""
    return line(pair.gain, explain(evidence_for(pair, mine, theirs, environment, rows)))
