"""Lanes for the load generator, made of sessions: shared where the runtime allows it, else one a lane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.load.base import Requests
from bench.load.crew import Crew
from bench.runtimes.base import Opening, Session
from bench.runtimes.table import RUNTIMES, open_session
from bench.worker.inputs import Pool


@contextmanager
def open_crew(session: Session, opening: Opening, runtime: str, pool: Pool, lanes: int) -> Iterator[Crew]:
    """A crew of `lanes` lanes on `session`, and on further sessions where calls must not overlap in one.

    Each lane starts at a place of its own in the pool. The further sessions are closed in the end, `session` is
    not. Raises `SessionError` where one cannot be opened.
    """
    with ExitStack() as stack:
        sessions = [session]
        for _ in range(0 if RUNTIMES[runtime].thread_safe else lanes - 1):
            sessions.append(open_session(runtime, opening))
            stack.callback(sessions[-1].close)
        requests = [
            _requests(sessions[lane % len(sessions)], pool, first=lane * pool.count // lanes) for lane in range(lanes)
        ]
        yield stack.enter_context(Crew(requests))


def _requests(session: Session, pool: Pool, first: int) -> Requests:
    return Requests(session.call, lambda at: session.prepare(pool[at]), pool.count, first=first)
