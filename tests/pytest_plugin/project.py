"""A user's project with a suite beside its tests, and pytest run in it as the user runs it.

The modules that measuring needs are imported here, since a pytest inside this one forgets what it was the first to
import, and NumPy's kind cannot be imported twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import polars  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
from onnx import TensorProto, helper, numpy_helper

import bench.report.files
import bench.runner.conduct
import bench.runner.plan  # noqa: F401

BRIEF = {"warmup_min_s": 0.02, "warmup_max_s": 0.1, "min_s": 0.05, "max_s": 0.1}


def dense(path: Path, width: int) -> None:
    """A network of two dense layers in ONNX."""
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    for layer in range(2):
        matrix = rng.normal(0, width**-0.5, (width, width)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", [f"x{layer}", f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Relu", [f"m{layer}"], [f"x{layer + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name in ("x0", "x2")]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def suite(variants: list[str], *, invocations: int = 1, head: str = "", **measure: float) -> str:
    """A suite of `model.onnx` on ONNX Runtime, measured for a moment."""
    table = "\n".join(f"{key} = {value}" for key, value in {**BRIEF, "invocations": invocations, **measure}.items())
    return f"""
name = "dense"
{head}
[measure]
{table}
[[matrix]]
models = ["model.onnx"]
variants = {variants}
runtimes = ["onnxruntime-cpu"]
"""


def make(folder: Path, files: dict[str, str], width: int = 16, ini: str = "") -> Path:
    """A project in `folder`: the model, and `files` under `tests/`."""
    tests = folder / "tests"
    tests.mkdir()
    dense(tests / "model.onnx", width)
    (folder / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    for name, text in files.items():
        (tests / name).write_text(text)
    return folder


OPTIONS = ("-v", "-rA", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""The output tells each test's outcome and why; Hypothesis, which takes longer to start than all else, stays out."""


def inside(pytester: pytest.Pytester, *arguments: str) -> tuple[int, str]:
    """Pytest in the project at `pytester.path`, inside this process: its exit code and all that it printed."""
    with pytest.MonkeyPatch.context() as patched:
        # pytest-benchmark measures nothing where it takes itself for one of several workers.
        patched.delenv("PYTEST_XDIST_WORKER", raising=False)
        done = pytester.runpytest_inprocess(*OPTIONS, *arguments)
    return int(done.ret), f"{done.stdout}\n{done.stderr}"


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest as a user starts it in the project."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *arguments],
        cwd=folder,
        env={**clean, "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
