"""What parent and child say to each other. `VERSION` goes up with every change of shape."""

from __future__ import annotations

from typing import Any

import msgspec

from bench.record.artifact import Artifact
from bench.record.case import Case
from bench.record.observation import (
    Capacity,
    ColdStart,
    Confinement,
    Phase,
    Placement,
    Plan,
    Samples,
    Validity,
    Warmup,
)
from bench.record.profile import Profile

VERSION = 7


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs to run (npz, keys "0", "1", …, axis 0 the examples), and where the outputs go (npz alike)."""

    inputs: str
    outputs: str


class Job(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Parent to child: what to measure. Paths are absolute.

    `outputs` is where the child writes the model's outputs (npz, keys "0", "1", …) on all of `inputs`, or
    None where no evaluation is asked for. `errands` are evaluations by name to make, in this order, when all else
    is done and told of. `cores` pins the process; None leaves it free. `spawned_ns` is when the parent started the
    process, on the load generator's clock.
    """

    case: Case
    artifact: Artifact
    artifact_path: str
    inputs: str
    outputs: str | None
    errands: dict[str, Errand] = {}
    plan: Plan
    cores: list[int] | None
    spawned_ns: int | None = None
    invocation: int = 0
    version: int = VERSION


class ProfileJob(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Parent to child: which case to profile, for about `seconds` of inferences. Paths are absolute.

    Nothing is measured in such a process: a profiler changes what it looks at. `timeout_s` bounds it, start and
    loading included.
    """

    case: Case
    artifact: Artifact
    artifact_path: str
    inputs: str
    seconds: float
    timeout_s: float
    cores: list[int] | None
    memory_limit_bytes: int | None = None
    confinement: Confinement = Confinement()
    version: int = VERSION


class Go(msgspec.Struct, frozen=True, tag=True):
    """Parent to child: carry on after an edge. `stood_still` says how the process did so since it was started."""

    stood_still: str | None = None


class Entered(msgspec.Struct, frozen=True, tag=True):
    """Child to parent: a phase begins that no edge tells of."""

    phase: str


class Edge(msgspec.Struct, frozen=True, tag=True):
    """Child to parent: a phase ends here; the child waits for `Go` while the sampler takes a snapshot."""

    name: str
    t_ns: int


class Progress(msgspec.Struct, frozen=True, tag=True):
    """Child to parent, between two blocks: samples so far and the last block's median (s)."""

    phase: str
    samples: int
    median_s: float


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Child to parent: the case is measured. What follows are the errands of the job, and `Closed`."""

    placement: Placement
    phases: tuple[Phase, ...]
    warmup: Warmup
    samples: Samples
    load_ns: int
    first_ns: int
    validity: Validity | None = None
    capacity: Capacity | None = None
    cold_start: ColdStart | None = None
    facts: dict[str, Any]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Child to parent, after `Finished`: the outputs of an errand are written. It took `seconds`."""

    seconds: float


class Closed(msgspec.Struct, frozen=True, tag=True):
    """Child to parent: the session is closed. It is the last word."""


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Child to parent, in a sentence: the case cannot be measured, or after `Finished` not an errand."""

    reason: str
    phase: str


class Profiled(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Child to parent: the case is profiled. It is the last word."""

    profile: Profile


FromChild = Entered | Edge | Progress | Finished | Done | Closed | Profiled | Refused
