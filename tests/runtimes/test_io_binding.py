"""With `io_binding` the timed call covers the device alone; transfers are measured apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.load import offline
from bench.load.base import Requests, Settings, Watch
from bench.load.crew import Crew
from bench.record.artifact import Artifact, Recipe, TensorSpec
from bench.record.observation import Plan
from bench.runtimes.base import Opening, SessionError
from bench.runtimes.table import open_session


@pytest.fixture
def opening(tmp_path: Path) -> Opening:
    """y = x + x, with a batch of 3."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
    )
    path = tmp_path / "double.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    artifact = Artifact(
        model="double",
        variant="fp32",
        format="onnx",
        recipe=Recipe("fp32"),
        path=path.name,
        sha256="0" * 64,
        bytes=path.stat().st_size,
        inputs=(TensorSpec(name="x", dtype="float32", shape=(None, 4)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(None, 4)),),
    )
    return Opening(
        path=path, artifact=artifact, provider="cpu", threads=1, shapes=[(3, 4)], options={"io_binding": True}
    )


def test_a_bound_session_answers_as_the_other_and_says_what_it_times(opening: Opening) -> None:
    session = open_session("onnxruntime", opening)
    assert "transfer_in_s" not in session.facts(), "nothing was sent yet"
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    (found,) = session.run([x])
    np.testing.assert_array_equal(found, 2 * x)
    assert session.placement().nodes
    assert session.scope.startswith("device only (cpu)")
    facts = session.facts()
    assert facts["io_binding"] is True
    assert facts["transfer_in_s"] > 0
    assert facts["transfer_out_s"] > 0
    session.close()


def test_several_threads_may_call_a_bound_session(opening: Opening) -> None:
    session = open_session("onnxruntime", opening)
    feeds = [np.full((3, 4), value, dtype=np.float32) for value in range(5)]
    right: list[bool] = []

    def call(request: tuple[Any, int]) -> None:
        binding, value = request
        session.call(binding)
        right.append(bool((binding.copy_outputs_to_cpu()[0] == 2 * value).all()))

    with Crew([Requests(call, lambda i: (session.prepare([feeds[i]]), i), 5, first=i) for i in range(3)]) as crew:
        offline.measure(crew, Plan(min_s=0.1, max_s=0.2, min_samples=50), Settings(batch=3), Watch())
    assert len(right) >= 50
    assert all(right)
    session.close()


def test_the_plain_session_says_that_it_goes_from_host_to_host(opening: Opening) -> None:
    session = open_session("onnxruntime", replace(opening, options={"io_binding": False}))
    assert session.scope.startswith("host-to-host")
    session.close()


def test_a_provider_without_io_binding_says_so(opening: Opening) -> None:
    with pytest.raises(SessionError, match="io_binding is not known to work with openvino"):
        open_session("onnxruntime", replace(opening, provider="openvino"))
