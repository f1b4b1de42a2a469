"""The parent's side of a profile: a fresh process, its time bounded, whatever it does."""

from __future__ import annotations

import tempfile
import time

from bench.record.codec import pack
from bench.record.observation import Failure
from bench.record.profile import Profile
from bench.worker.measure import listen, worker
from bench.worker.messages import Profiled, ProfileJob


def profile_case(job: ProfileJob) -> Profile:
    """Profile a case in a fresh process. Never raises for what the child does: then the profile has a `reason`."""
    # The child may be killed at any time: what it leaves lies in a folder of this process.
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch,
        worker(job.case, scratch) as child,
    ):
        deadline = time.monotonic() + job.timeout_s
        child.send(pack(job))
        answer = listen(child, job.timeout_s, deadline, "start", Profiled)
        child.end()
    if isinstance(answer, Failure):
        return Profile(target=job.case.target, reason=answer.reason)
    return answer.profile
