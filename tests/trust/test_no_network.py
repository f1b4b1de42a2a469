"""`--no-network` holds for every command that touches a model, or that command touches none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bench.record.artifact import Bundle
from bench.record.observation import Observation
from bench.runner.layers import layer_tables
from bench.worker.measure import measure
from tests.conftest import bench
from tests.trust.namespaces import FORBIDDEN, cut_off, needs_namespaces

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's here")

SUITE = """
name = "s"
[measure]
warmup_min_s = 0.01
warmup_max_s = 0.05
min_s = 0.02
max_s = 0.1
min_samples = 10
[[matrix]]
models = ["neg.onnx"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
[tune]
invocations = 1
trials = 1
[tune.space]
runtime = ["onnxruntime-cpu"]
graph_optimization = ["basic"]
"""
HERE = {"BENCH_CACHE_DIR": "cache"}


@pytest.fixture
def neg(tmp_path: Path) -> Path:
    """A model of one operator in a folder of its own, with a suite that measures it for a moment."""
    folder = tmp_path / "own"
    folder.mkdir()
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "neg.onnx")
    (folder / "s.toml").write_text(SUITE)
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    """What the processes that are measured in turns say, as it comes in."""
    found: list[Observation] = []

    def watched(*given: object, **more: object) -> Observation:
        found.append(measure(*given, **more))  # type: ignore[arg-type]
        return found[-1]

    monkeypatch.setattr("bench.runner.sides.measure", watched)
    return found


@needs_namespaces
def test_a_run_exports_and_measures_without_and_the_manifest_keeps_it(neg: Path) -> None:
    # A relative path is the user's, wherever the measuring process works.
    done = bench("run", "s.toml", "--model", "neg.onnx", "--no-network", "--json", cwd=neg, env=HERE)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["cases"]
    assert row["facts"]["network"] == cut_off()
    assert row["metrics"]["peak_rss"]["value"] > 0, "memory is still read from outside"
    (manifest,) = neg.glob("results/*/manifest.json")
    assert json.loads(manifest.read_bytes())["plan"]["confinement"]["network"] is False


@needs_namespaces
@pytest.mark.parametrize(
    "command",
    [
        ("ab", "neg.onnx", "neg.onnx", "--rounds", "2"),
        ("gate", "neg.onnx", "neg.onnx", "--paired", "--rounds", "2", "--rule", "p50_latency=50%"),
        ("tune", "s.toml", "--rounds", "2"),
    ],
    ids=lambda command: command[0],
)
def test_what_is_measured_in_turns_goes_without(neg: Path, seen: list[Observation], command: tuple[str, ...]) -> None:
    given = ("--runtime", "onnxruntime-cpu") if command[0] != "tune" else ()
    done = bench(*command, *given, "--no-network", cwd=neg, env=HERE)
    assert done.returncode in (0, 1, 3), done.stderr
    assert len(seen) >= 4
    assert {each.facts["network"] for each in seen} == {cut_off()}


@needs_namespaces
def test_layers_are_compared_without(digits_bundle: tuple[Path, Bundle]) -> None:
    folder, _ = digits_bundle
    told = layer_tables(folder, lambda *_, **__: None, examples=2, network=False)
    assert any(table.layers for table in told)
    assert not any(table.reason for table in told)


_LAYERS = """
import json, sys
from pathlib import Path
from bench.runner.layers import layer_tables
print(json.dumps([t.reason for t in layer_tables(Path(sys.argv[1]), lambda *_, **__: None, network=False)]))
"""


@needs_namespaces
def test_no_layers_are_compared_where_the_kernel_refuses(digits_bundle: tuple[Path, Bundle]) -> None:
    done = refused("-c", _LAYERS, str(digits_bundle[0]), cwd=Path(__file__).parents[2])
    reasons = json.loads(done.stdout)
    assert reasons
    for reason in reasons:
        assert "so no model is run: the kernel refuses a user and network namespace" in reason


@needs_namespaces
@pytest.mark.parametrize(
    "command",
    [
        ("run", "s.toml"),
        ("export", "neg.onnx", "-o", "neg.zip"),
        ("ab", "neg.onnx", "neg.onnx"),
        ("gate", "neg.onnx", "neg.onnx", "--paired", "--rule", "p50_latency=5%"),
        ("tune", "--model", "neg.onnx"),
    ],
    ids=lambda command: command[0],
)
def test_a_kernel_that_refuses_is_told_before_a_model_is_touched(neg: Path, command: tuple[str, ...]) -> None:
    before = sorted(neg.iterdir())
    done = refused("-m", "bench", *command, "--no-network", cwd=neg)
    assert done.returncode == 2, done.stderr
    assert "the network cannot be cut off here: the kernel refuses a user and network namespace" in done.stderr
    assert "--no-network" in done.stderr
    assert "to do: " in done.stderr
    assert sorted(neg.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("ab", "--command", "true", "--rev-a", "x", "--rev-b", "y"), "two revisions are compared by --command alone"),
        (("gate", "x", "y"), "that is for --paired"),
        (("fleet", "run", "--scheduler", "tcp://127.0.0.1:1", "--resume", "x"), "goes on with the fleet as it was"),
    ],
)
def test_it_is_refused_where_it_would_say_nothing(tmp_path: Path, command: tuple[str, ...], why: str) -> None:
    done = bench(*command, "--no-network", cwd=tmp_path)
    assert done.returncode == 2
    assert why in done.stderr
    assert "--no-network" in done.stderr


def refused(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Python where the kernel lets nobody have a network of its own."""
    return subprocess.run(
        [*FORBIDDEN, *arguments], cwd=cwd, env={**os.environ, **HERE}, capture_output=True, text=True, check=False
    )
