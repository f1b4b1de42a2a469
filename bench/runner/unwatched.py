"""For measurements that no sensor watches."""

from __future__ import annotations

from bench.record.observation import Telemetry


class Unwatched:
    """A sampler that is not there; see `bench.worker.measure.Watcher`."""

    def watch(self, pid: int) -> None:
        """Nothing."""

    def snapshot(self, edge: str) -> None:
        """Nothing."""

    def finish(self) -> Telemetry:
        """Nothing was seen."""
        return Telemetry()
