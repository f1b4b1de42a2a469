"""What the sampler keeps: readings of each sensor at its own period, in bounded memory."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bench.record.observation import Reading, SensorState, Telemetry

if TYPE_CHECKING:
    from bench.sensors.base import Sensor

_NS = 1_000_000_000


class _Track:
    """One sensor's due time and what it has given since sampling began."""

    def __init__(self, sensor: Sensor, unavailable: str | None) -> None:
        self.sensor = sensor
        self.unavailable = unavailable
        self.broken: str | None = None
        self.begin(0)

    def begin(self, now_ns: int) -> None:
        self.period_ns = max(1, round(self.sensor.period_s * _NS))
        self.start_ns = self.due_ns = now_ns
        self.ticks: list[list[Reading]] = []
        self.kept = 0
        self.thinned = 0
        self.late = 0
        self.newest: dict[tuple[str, str], Reading] = {}
        self.gave = False
        self.broken = None

    @property
    def dead(self) -> bool:
        return self.unavailable is not None or self.broken is not None

    def take(self, read: Callable[[], list[Reading]]) -> list[Reading]:
        """Readings of one call. A sensor that fails in a way it did not foresee is not asked again."""
        try:
            readings = read()
        except Exception as error:
            self.broken = f"reading it failed: {type(error).__name__}: {error}"
            return []
        for reading in readings:
            self.newest[reading.device, reading.quantity] = reading
        self.gave = self.gave or bool(readings)
        return readings

    def keep(self, readings: list[Reading]) -> None:
        if readings:
            self.ticks.append(readings)
            self.kept += len(readings)

    def advance(self, now_ns: int) -> None:
        """The next due time on the grid of periods: no drift, and no burst to catch up after a stall."""
        behind = max(0, now_ns - self.due_ns) // self.period_ns
        self.late += behind
        self.due_ns += (behind + 1) * self.period_ns

    def thin(self) -> None:
        """Drop every second tick and read half as often from now on."""
        del self.ticks[1::2]
        self.kept = sum(map(len, self.ticks))
        self.period_ns *= 2
        # On the grid of what is kept: even steps from the start.
        self.due_ns = self.start_ns + -(-(self.due_ns - self.start_ns) // self.period_ns) * self.period_ns
        self.thinned += 1

    def state(self) -> SensorState:
        if self.unavailable is not None:
            return self.sensor.state(self.unavailable)
        if self.broken is not None and not self.gave:
            return self.sensor.state(self.broken)
        said: list[str] = [self.broken] if self.broken is not None else []
        if self.thinned:
            said.append(
                f"readings were thinned to one in {2**self.thinned} "
                f"(a period of {self.period_ns / _NS:g} s) to bound memory"
            )
        if self.late:
            said.append(f"{self.late} readings were skipped as their time had passed")
        state = self.sensor.state()
        if not self.gave:
            return self.sensor.state("; ".join(filter(None, [*said, state.reason])) or "it gave no reading")
        return SensorState(
            sensor=state.sensor,
            source=state.source,
            period_s=self.period_ns / _NS,
            available=True,
            reason="; ".join(filter(None, [*said, state.reason])),
            quantities=state.quantities,
        )


class Recorder:
    """Reads sensors when they are due and keeps at most `max_readings` of them, plus the snapshots.

    Args:
        sensors: unprobed sensors; those that cannot be read are named in the states and left alone.
        max_readings: the bound; over it the sensor with the most readings is thinned.
        clock: ns on a monotonic clock, that of the load generator.
    """

    def __init__(
        self, sensors: Iterable[Sensor], *, max_readings: int, clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._clock = clock
        self._max = max(1, max_readings)
        self._tracks = [_Track(sensor, _probe(sensor)) for sensor in sensors]
        self._snapshots: dict[str, tuple[Reading, ...]] = {}
        self._began: tuple[int, float] | None = None
        self.at: str | None = None
        """The sensor that is being asked just now, by name: of one that hangs another thread can tell."""

    def states(self) -> tuple[SensorState, ...]:
        """How each sensor stood when it was probed."""
        return tuple(track.sensor.state(track.unavailable) for track in self._tracks)

    def begin(self, pid: int) -> None:
        """Aim every sensor at `pid` and read each once."""
        self._snapshots = {}
        now = self._clock()
        self._began = now, time.process_time()
        for track in self._tracks:
            track.begin(now)
            if not track.dead:
                self._take(track, lambda sensor=track.sensor: sensor.watch(pid) or [])  # type: ignore[misc]
        self.step()

    def step(self) -> None:
        """Read every sensor that is due."""
        for track in self._live():
            if track.due_ns <= self._clock():
                track.keep(self._take(track, track.sensor.read))
                track.advance(self._clock())
        while sum(track.kept for track in self._tracks) > self._max:
            fullest = max(self._tracks, key=lambda track: track.kept)
            if len(fullest.ticks) < 2:
                break
            fullest.thin()

    def wait_s(self) -> float | None:
        """Seconds until the next reading is due; None where nothing is to be read."""
        if self._began is None:
            return None
        due = min((track.due_ns for track in self._live()), default=None)
        return None if due is None else max(0, due - self._clock()) / _NS

    def snapshot(self, edge: str) -> tuple[Reading, ...]:
        """Take and keep the snapshot of an edge."""
        taken = tuple(itertools.chain.from_iterable(self._take(t, t.sensor.snapshot) for t in self._live()))
        self._snapshots[edge] = taken
        return taken

    def latest(self) -> tuple[Reading, ...]:
        """The newest reading of each quantity."""
        return tuple(itertools.chain.from_iterable(track.newest.values() for track in self._tracks))

    def finish(self) -> Telemetry:
        """Stop and hand over; the recorder is then ready to begin anew."""
        if self._began is None:
            return Telemetry(sensors=self.states())
        wall_ns, cpu_s = self._began
        self._began = None
        kept = (reading for track in self._tracks for tick in track.ticks for reading in tick)
        telemetry = Telemetry(
            sensors=tuple(track.state() for track in self._tracks),
            readings=tuple(sorted(kept, key=lambda reading: reading.t_ns)),
            snapshots=self._snapshots,
            sampler_cpu_s=time.process_time() - cpu_s,
            sampler_wall_s=(self._clock() - wall_ns) / _NS,
        )
        for track in self._tracks:
            track.begin(0)
        self._snapshots = {}
        return telemetry

    def close(self) -> None:
        """Close every sensor."""
        for track in self._tracks:
            track.sensor.close()

    def _take(self, track: _Track, read: Callable[[], list[Reading]]) -> list[Reading]:
        self.at = track.sensor.name
        taken = track.take(read)
        self.at = None
        return taken

    def _live(self) -> list[_Track]:
        return [] if self._began is None else [track for track in self._tracks if not track.dead]


def _probe(sensor: Sensor) -> str | None:
    try:
        return sensor.probe()
    except Exception as error:
        return f"looking for it failed: {type(error).__name__}: {error}"
