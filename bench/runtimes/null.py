"""A runtime that does nothing, so that what is left to time is the harness itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.record.observation import Placement
from bench.runtimes.base import Array, Opening, Request


def unavailable(provider: str) -> str | None:
    """It always runs."""
    del provider
    return None


class NullSession:
    """Answers with zeros made when it was opened."""

    scope = "nothing: an empty call"

    def __init__(self, opening: Opening) -> None:
        batch = opening.shapes[0][0] if opening.shapes and opening.shapes[0] else 1
        self._outputs = [
            np.zeros((batch, *(axis or 1 for axis in spec.shape[1:])), dtype=spec.dtype)
            for spec in opening.artifact.outputs
        ]

    def call(self, request: Request) -> object:
        """Nothing."""

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`."""
        return feeds

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        del feeds
        return list(self._outputs)

    def placement(self) -> Placement:
        """See `Session.placement`."""
        return Placement(provider="none", nodes={}, evidence="by construction")

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`."""
        return {"runtime_version": "null"}

    def close(self) -> None:
        """See `Session.close`."""


def open_session(opening: Opening) -> NullSession:
    """See `bench.runtimes.table.open_session`."""
    return NullSession(opening)
