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


class Confinement(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that runs a model may do beside its memory; see `bench.confine`. None: as the system has it."""

    file_limit_bytes: int | None = None
    open_files: int | None = None
    network: bool = True


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how closely to measure. Times in seconds, on a monotonic clock.

    Warm-up lasts from `warmup_min_s` until a steady state is found, `warmup_max_s` at most. Measuring
    lasts at least `min_s` and `min_samples`, and until the half-width of the `confidence` interval of
    the median is within `precision` (a share of the median) or `max_s` is over. `block_s` is the
    length of a block. `timeout_s` bounds the whole invocation. Where energy can be measured, the machine rests
    for `idle_s` before and after. `tdp_w` and `idle_w` (W) ask for an estimate of CPU energy from its load.
    `memory_limit_bytes` and `confinement` hold for the measuring process.
    """

    warmup_min_s: float = 0.2
    warmup_max_s: float = 3.0
    min_s: float = 2.0
    max_s: float = 6.0
    min_samples: int = 662
    precision: float = 0.01
    confidence: float = 0.95
    block_s: float = 0.05
    timeout_s: float = 120.0
    memory_limit_bytes: int | None = None
    confinement: Confinement = Confinement()
    invocations: int = 1
    evaluate: bool = True
    idle_s: float = 1.0
    tdp_w: float | None = None
    idle_w: float = 0.0
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
    """Raw samples of the measured phase, ns, in order of time within each block.

    `start_ns` is when the service of a query began, `latency_ns` what its user waited: from
    `scheduled_ns`, its arrival, where a schedule was kept (server), else from `start_ns`. `stream` is the
    lane that served it, where there were several. `span_ns` is the time in which all of them were
    served, pauses of the harness left out: queries a second are their number over it.
    """

    start_ns: Int64s
    latency_ns: Int64s
    block: Int64s
    stopped_by: str
    scheduled_ns: Int64s | None = None
    stream: Int64s | None = None
    span_ns: int | None = None

    def __post_init__(self) -> None:
        given = (self.start_ns, self.latency_ns, self.block, self.scheduled_ns, self.stream)
        shapes = {array.shape for array in given if array is not None}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f"samples are arrays of one axis and one length, not {sorted(shapes)}")


class Validity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an invocation met the rules that `rules` names; each reason is a sentence to act on."""

    rules: str
    valid: bool
    reasons: tuple[str, ...] = ()


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One trial of a rate (queries/s): how many queries arrived and how many of them came late.

    `within` says whether their p99 was in bound. `verdict` is `held` or `failed` where that is shown at 99 %
    confidence, else `open`. `p99_s` is None where the trial was given up, as it had failed already.
    """

    rate: float
    queries: int
    late: int
    within: bool
    verdict: Literal["held", "failed", "open"]
    p99_s: float | None = None


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """The highest rate (queries/s) whose p99 was within `bound_s`; None where no rate's was.

    It surely held at `low` and surely failed at `high`: the true one lies between. Either is None where no
    trial was sure. `measured_rate` is that of the run whose samples are on record.
    """

    bound_s: float
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    measured_rate: float | None = None
    probes: tuple[Probe, ...] = ()


class ColdStart(msgspec.Struct, frozen=True, kw_only=True):
    """From nothing to the first answer, ns: process start, import of the runtime, load or compile, first call.

    What the harness itself does in between is in none of them.
    """

    process_start_ns: int
    import_ns: int
    load_ns: int
    first_ns: int

    @property
    def total_ns(self) -> int:
        """What a user waits for the first answer of a fresh process."""
        return self.process_start_ns + self.import_ns + self.load_ns + self.first_ns


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The task metric under one corruption at one severity.

    `ratio` is the share of the clean value that is left, 1 where nothing is lost; `low` and `high` bound it at
    95 %, over examples and paired with the clean ones.
    """

    corruption: str
    severity: int
    value: float
    ratio: float
    low: float
    high: float


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """The task metric on corrupted inputs, and its value `clean` on the same `examples` without corruption.

    `metric` is a name of `bench.quality.METRICS`, `seed` that of the corruptions.
    """

    metric: str
    clean: float
    cells: tuple[Cell, ...]
    examples: int
    seed: int

    @property
    def curves(self) -> dict[str, tuple[Cell, ...]]:
        """The cells of each corruption, by rising severity."""
        names = dict.fromkeys(cell.corruption for cell in self.cells)
        ordered = sorted(self.cells, key=lambda cell: cell.severity)
        return {name: tuple(cell for cell in ordered if cell.corruption == name) for name in names}


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One process invocation of a case.

    `facts` hold what the worker read about itself (versions, threads, affinity, timing scope, input
    pool). `idle` is what was read at rest before and after,
    or nothing. `quality` holds the figures of the evaluation by metric name, `under_corruption` the
    curves behind some of them.
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
    idle: tuple[Telemetry, ...] = ()
    load_ns: int | None = None
    first_ns: int | None = None
    validity: Validity | None = None
    capacity: Capacity | None = None
    cold_start: ColdStart | None = None
    quality: dict[str, Measurement] = {}
    under_corruption: Robustness | None = None
    facts: dict[str, Any] = {}
