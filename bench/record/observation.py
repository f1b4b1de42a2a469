"""What one process invocation of a case saw: raw, before any judgement."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from bench.record.case import Case
from bench.record.measurement import Measurement

Status = Literal["ok", "failed", "unavailable"]
Int64s = npt.NDArray[np.int64]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how closely to measure. Times in seconds, on a monotonic clock.

    Warm-up lasts from `warmup_min_s` until a steady state is found, `warmup_max_s` at most. Measuring
    lasts at least `min_s` and `min_samples`, and until the half-width of the `confidence` interval of
    the median is within `precision` (a share of the median) or `max_s` is over. `block_s` is the
    length of a block. `timeout_s` bounds the whole invocation.
    """

    warmup_min_s: float = 0.2
    warmup_max_s: float = 3.0
    min_s: float = 2.0
    max_s: float = 6.0
    min_samples: int = 662
    precision: float = 0.01
    confidence: float = 0.95
    block_s: float = 0.1
    timeout_s: float = 120.0
    memory_limit_bytes: int | None = None
    invocations: int = 1
    evaluate: bool = True
    seed: int = 0


class Phase(msgspec.Struct, frozen=True):
    """A named stretch of the worker's life, on the load generator's clock (ns)."""

    name: str
    start_ns: int
    end_ns: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """What really held the graph, read back after loading.

    `nodes` counts graph nodes by who ran them; `evidence` names the interface that said so.
    """

    provider: str
    nodes: dict[str, int]
    evidence: str
    device: str | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an invocation gave no figures. `tail` is the end of what the process printed."""

    reason: str
    phase: str
    exit_code: int | None = None
    signal: str | None = None
    tail: str = ""


class Reading(msgspec.Struct, frozen=True):
    """One sensor value at one moment (`t_ns` on the load generator's clock)."""

    t_ns: int
    sensor: str
    device: str
    quantity: str
    value: float


class SensorState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a sensor gave values in this invocation and, if not, why."""

    sensor: str
    source: str
    period_s: float
    available: bool
    reason: str = ""
    quantities: dict[str, str] = {}
    """Unit by quantity."""


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """All readings of one invocation, and the sampler's own cost.

    `snapshots` hold the readings taken at the edge of a phase, by edge name
    (`before-load`, `after-load`, `measure-start`, `measure-end`).
    """

    sensors: tuple[SensorState, ...] = ()
    readings: tuple[Reading, ...] = ()
    snapshots: dict[str, tuple[Reading, ...]] = {}
    sampler_cpu_s: float = 0.0
    sampler_wall_s: float = 0.0


class Warmup(msgspec.Struct, frozen=True, kw_only=True):
    """What the warm-up did. `steady` says whether a steady state was found before the time was over."""

    calls: int
    seconds: float
    steady: bool
    how: str


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """Raw samples of the measured phase, ns: when each call started, how long it took, in which block."""

    start_ns: Int64s
    latency_ns: Int64s
    block: Int64s
    stopped_by: str


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One process invocation of a case.

    `facts` hold what the worker read about itself (versions, threads, affinity, timing scope, input
    pool). `quality` holds the figures of the evaluation by metric name.
    """

    case: Case
    invocation: int
    status: Status
    failure: Failure | None = None
    placement: Placement | None = None
    phases: tuple[Phase, ...] = ()
    warmup: Warmup | None = None
    samples: Samples | None = None
    telemetry: Telemetry | None = None
    load_ns: int | None = None
    first_ns: int | None = None
    quality: dict[str, Measurement] = {}
    facts: dict[str, Any] = {}
