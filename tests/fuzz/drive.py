"""A model file on the whole road: looked at, exported, measured, judged."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError
from bench.export.bundle import read_index
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.metrics import quality
from bench.metrics.robustness import Outputs
from bench.record.artifact import Bundle, Format
from bench.record.case import Case
from bench.record.observation import Observation, Plan, Telemetry
from bench.worker.measure import measure
from bench.worker.messages import Job
from bench.zoo.find import find

TIMEOUT_S = 30.0
"""Silence of a child that is taken for a hang; a whole file takes a second."""
TARGETS: dict[Format, tuple[str, str]] = {"onnx": ("onnxruntime", "cpu"), "tflite": ("litert", "xnnpack")}
_PLAN = Plan(
    warmup_min_s=0.0, warmup_max_s=0.01, min_s=0.01, max_s=0.02, min_samples=1, block_s=0.005, timeout_s=TIMEOUT_S
)


@dataclass(frozen=True)
class Outcome:
    """Where the road ended and the sentence that the user gets."""

    kind: str
    said: str


class _Nobody:
    """Stands where the sampler stands."""

    def watch(self, pid: int) -> None:
        """Nothing is sampled."""

    def snapshot(self, edge: str) -> None:
        """Nothing is read."""

    def finish(self) -> Telemetry:
        """Nothing was seen."""
        return Telemetry()


def drive(path: Path, data: Path | None = None) -> Outcome:
    """What becomes of the model file at `path` with this evaluation data, or with generated inputs.

    Whatever it raises is a fault of the harness.
    """
    fmt: Format = "onnx" if path.suffix == ".onnx" else "tflite"
    cache = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        source = find(str(path))
        asked = [("fp32", fmt)]
        folder = prepare(source, asked, data=data, cache=cache, progress=_silent, timeout_s=TIMEOUT_S)
        bundle = read_index(folder)
        if not bundle.artifacts:
            return Outcome("unavailable", bundle.unavailable[0].reason)
        seen = _measured(folder, bundle, fmt, cache / "outputs.npz")
    except UserError as error:
        return Outcome("refused", f"{error.what} ({error.remedy})" if error.where and error.remedy else "")
    except ExportError as error:
        return Outcome("export failed", error.reason)
    finally:
        shutil.rmtree(cache)
    return Outcome("measured", "finished") if seen.failure is None else Outcome("case failed", seen.failure.reason)


def _silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    pass


def _measured(folder: Path, bundle: Bundle, fmt: Format, outputs: Path) -> Observation:
    artifact = bundle.artifacts[0]
    runtime, provider = TARGETS[fmt]
    job = Job(
        case=Case(model=artifact.model, variant=artifact.variant, runtime=runtime, provider=provider),
        artifact=artifact,
        artifact_path=str(folder / artifact.path),
        inputs=str(folder / bundle.data.inputs),
        outputs=str(outputs),
        plan=_PLAN,
        cores=None,
    )
    seen = measure(job, 0, _Nobody())
    if seen.status == "ok":
        quality.evaluate(outputs, Outputs(), folder, bundle, artifact)
    return seen
