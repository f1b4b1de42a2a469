"""Sides for trials of the gate: the trial model slowed by a known share, and noise that was recorded from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.record.case import Case
from bench.record.observation import Plan
from bench.runner.paired import Side
from bench.runner.sides import ModelSide, Ready
from bench.runner.trial import Trial
from bench.sensors.sampler import Sampler
from bench.worker.messages import Job

CASE = "trial"
PLAN = Plan(warmup_min_s=0.05, warmup_max_s=0.3, min_s=0.1, max_s=0.15, evaluate=False, timeout_s=60)


def trial_side(name: str, folder: Path, slowdown: float, sampler: Sampler) -> ModelSide:
    """ONNX Runtime on the trial model, every call made longer by `slowdown` (a share)."""
    trial = Trial(folder)
    job = Job(
        case=Case(model="trial", variant="fp32", runtime="slowed", provider="cpu", options={"slowdown": slowdown}),
        artifact=trial.artifact,
        artifact_path=str(trial.path),
        inputs=str(trial.inputs),
        outputs=None,
        plan=PLAN,
        cores=None,
    )
    return ModelSide(name, {CASE: Ready(job)}, sampler)


class Recorded(Side):
    """Takes the next of a row of recorded medians, which both sides share as they would share a machine."""

    def __init__(self, name: str, medians: Iterator[float], slowdown: float = 0.0) -> None:
        self._name, self._medians, self._factor = name, medians, 1 + slowdown

    @property
    def name(self) -> str:
        return self._name

    def measure(self, case: str, at: int, on_progress: object) -> dict[str, float]:
        del case, at, on_progress
        return {"p50_latency": next(self._medians) * self._factor}


class Quiet:
    """Follows nothing."""

    def pairs(self, cases: int, rounds: int) -> None: ...

    def pair(self, case: str, at: int) -> None: ...

    def progress(self, phase: str, samples: int, median_s: float) -> None: ...

    def paired(self, case: str, at: int, told: str) -> None: ...

    def settled(self, case: str, rounds: int) -> None: ...
