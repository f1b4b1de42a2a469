"""One profile of a case, inside a process of its own."""

from __future__ import annotations

import itertools
import traceback
from pathlib import Path

from bench.load import table
from bench.runtimes.base import Opening, SessionError
from bench.runtimes.profile import profile
from bench.runtimes.table import make_ready
from bench.worker import inputs
from bench.worker.measurement import Talk, limit_memory
from bench.worker.messages import Profiled, ProfileJob, Refused


def answer(job: ProfileJob, talk: Talk) -> None:
    """Profile the case and say what came of it."""
    try:
        talk.say(_profiled(job))
    except SessionError as error:
        talk.say(Refused(reason=str(error), phase="profile"))
    except Exception as error:
        traceback.print_exc()
        talk.say(Refused(reason=f"{type(error).__name__}: {error}", phase="profile"))


def _profiled(job: ProfileJob) -> Profiled:
    limit_memory(job.memory_limit_bytes)
    case = job.case
    make_ready(case.runtime, case.provider)
    examples = inputs.read_inputs(Path(job.inputs))
    wanted = inputs.shapes(job.artifact, examples, case.batch)
    own = table.own_options(case.scenario, case.options)
    opening = Opening(
        path=Path(job.artifact_path),
        artifact=job.artifact,
        provider=case.provider,
        threads=case.threads,
        shapes=wanted,
        options={name: value for name, value in case.options.items() if name not in own},
    )
    # As in measuring: the inputs lie outside the cache.
    pool = inputs.Pool(job.artifact, examples, wanted)
    feeds = (pool[at % pool.count] for at in itertools.count())
    return Profiled(profile=profile(case.runtime, opening, feeds, job.seconds))
