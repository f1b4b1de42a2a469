"""A measuring process whose runtime does what it should not: a stand-in for the library, and what it could do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.record.artifact import Artifact, TensorSpec
from bench.record.case import Case
from bench.record.observation import Confinement, Observation, Plan, Telemetry
from bench.worker.measure import measure
from bench.worker.messages import Job

_RUNTIME = """
import json, os, resource, socket

told = {"folder": os.getcwd(), "there": os.listdir(), "user": os.getuid(), "temporary": os.environ["TMPDIR"]}
open("left.txt", "w").write("left")
os.mkdir("left")
os.chmod("left", 0)
told["limits"] = {
    name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in ("CORE", "FSIZE", "NOFILE")
}
try:
    with open("large", "wb") as file:
        file.seek(int(os.environ["CAPTIVE_LARGE"]))
        file.write(b"x")
    told["large"] = "written"
except OSError as error:
    told["large"] = error.strerror
try:
    socket.create_connection(("127.0.0.1", int(os.environ["CAPTIVE_PORT"])), timeout=5).close()
    told["network"] = "reached"
except OSError as error:
    told["network"] = error.strerror or str(error)
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    told["raised"] = True
except (OSError, ValueError):
    told["raised"] = False
told["interfaces"] = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
told["capabilities"] = [int(status[name], 16) for name in ("CapPrm", "CapEff")]
import ctypes
libc, number = ctypes.CDLL(None, use_errno=True), ctypes.c_int()
libc.prctl(2, ctypes.byref(number))
told["ends_with_parent"] = number.value
try:
    # The way back: the namespace of the process that started this one.
    told["back"] = libc.setns(os.open(f"/proc/{os.getppid()}/ns/net", os.O_RDONLY), 0)
except OSError:
    told["back"] = -1
with open(os.environ["CAPTIVE_LOG"], "w") as file:
    json.dump(told, file)
os._exit(3)
"""
LARGE = 3 << 20


def plan(timeout_s: float = 60, **confinement: Any) -> Plan:
    """A plan that measures for a moment."""
    return Plan(
        warmup_min_s=0,
        warmup_max_s=0.01,
        min_s=0.01,
        max_s=0.02,
        min_samples=1,
        block_s=0.005,
        timeout_s=timeout_s,
        confinement=Confinement(**confinement),
    )


def job(folder: Path, of: Plan, runtime: str = "null", provider: str = "none") -> Job:
    """A job for a model of one number, which lies nowhere."""
    x, y = (TensorSpec(name=name, dtype="float32", shape=(None, 1)) for name in "xy")
    np.savez(folder / "inputs.npz", **{"0": np.zeros((4, 1), np.float32)})  # type: ignore[arg-type]
    return Job(
        case=Case(model="m", variant="fp32", runtime=runtime, provider=provider),
        artifact=Artifact(
            model="m", variant="fp32", format="onnx", path="m.onnx", sha256="", bytes=1, inputs=(x,), outputs=(y,)
        ),
        artifact_path=str(folder / "m.onnx"),
        inputs=str(folder / "inputs.npz"),
        outputs=None,
        plan=of,
        cores=None,
    )


class Nobody:
    """Stands where the sampler stands."""

    def watch(self, pid: int) -> None:
        """Nothing is sampled."""

    def snapshot(self, edge: str) -> None:
        """Nothing is read."""

    def finish(self) -> Telemetry:
        """Nothing was seen."""
        return Telemetry()


def captive(folder: Path, port: int, patch: pytest.MonkeyPatch, of: Plan) -> tuple[dict[str, Any], Observation]:
    """What the stand-in for ONNX Runtime could do in a measuring process, and what came of the case."""
    library, log = folder / "library", folder / "log.json"
    library.mkdir()
    (library / "onnxruntime.py").write_text(_RUNTIME)
    patch.setenv("PYTHONPATH", str(library))
    for name, value in (("PORT", str(port)), ("LOG", str(log)), ("LARGE", str(LARGE))):
        patch.setenv(f"CAPTIVE_{name}", value)
    seen = measure(job(folder, of, "onnxruntime", "cpu"), 0, Nobody())
    return (json.loads(log.read_bytes()) if log.exists() else {}), seen
