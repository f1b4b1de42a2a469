"""A second run of a suite exports nothing, and the process of the user imports no framework for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from bench.record.artifact import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SUITE = """
name = "short"
[measure]
warmup_min_s = 0.0
warmup_max_s = 0.1
min_s = 0.05
max_s = 0.1
min_samples = 10
[[matrix]]
models = [{model!r}]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
"""
HEAVY = ("tensorflow", "keras", "onnx", "tf2onnx", "onnxslim", "sklearn", "torch", "ai_edge_quantizer")
RUN = f"""
import json, subprocess, sys
real, started = subprocess.Popen, []

class Counted(real):
    def __init__(self, command, *more, **named):
        started.append(command)
        super().__init__(command, *more, **named)

subprocess.Popen = Counted
from bench.cli.main import app
try:
    app(["run", sys.argv[1], "--json"])
except SystemExit as ended:
    code = ended.code
told = {{
    "code": code,
    "modules": [command[-1] for command in started if "-m" in command],
    "heavy": [name for name in {HEAVY!r} if name in sys.modules],
}}
print(json.dumps(told), file=sys.stderr)
"""
Run = Callable[[str], dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a suite of one case as a user does, in a process that tells what it started and imported."""

    def once(model: str) -> dict[str, Any]:
        suite = tmp_path / "short.toml"
        suite.write_text(SUITE.format(model=model))
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(suite)], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        told: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
        assert told["code"] == 0, done.stderr
        return told

    return once


def cached() -> dict[str, int]:
    """When each exported file and each file of trained weights was written (ns)."""
    cache = Path(os.environ["BENCH_CACHE_DIR"])
    places = (cache / "bundles", cache / "trained")
    return {str(p): p.stat().st_mtime_ns for place in places for p in place.rglob("*") if p.is_file()}


def test_a_zoo_model_is_neither_trained_nor_exported_again(digits_bundle: tuple[Path, Bundle], run: Run) -> None:
    before = cached()
    assert before
    second = run("mnist_cnn@digits")
    assert "bench.worker.child" in second["modules"]
    assert "bench.export.child" not in second["modules"]
    assert second["heavy"] == []
    assert {path: cached()[path] for path in before} == before


def test_a_models_file_is_exported_once(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    graph = helper.make_graph(
        [helper.make_node("Softmax", ["x"], ["y"])],
        "own",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
    )
    path = tmp_path / "own.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    first, second = run(str(path)), run(str(path))
    assert [told["modules"].count("bench.export.child") for told in (first, second)] == [1, 0]
    assert first["heavy"] == second["heavy"] == []
