"""Every runtime opens a real artifact, answers as the source model does, and proves where it ran."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.record.artifact import Artifact, Bundle, TensorSpec
from bench.runner.trial import Trial
from bench.runtimes.base import Opening, SessionError, declared_shape, dequantise, quantise
from bench.runtimes.litert import _delegated_operators
from bench.runtimes.table import RUNTIMES, open_session, targets, unavailable

HERE = [target for target in targets() if not target.startswith(("null", "slowed")) and unavailable(target) is None]


def artifact_for(bundle: Bundle, runtime: str, variant: str) -> Artifact:
    return next(a for a in bundle.artifacts if a.variant == variant and a.format in RUNTIMES[runtime].formats)


def opening_for(
    digits_bundle: tuple[Path, Bundle], target: str, variant: str, batch: int = 1, **more: object
) -> tuple[str, Opening]:
    folder, bundle = digits_bundle
    runtime, _, provider = target.partition("-")
    artifact = artifact_for(bundle, runtime, variant)
    fields = {
        "path": folder / artifact.path,
        "artifact": artifact,
        "provider": provider,
        "threads": 1,
        "shapes": [declared_shape(spec, batch) for spec in artifact.inputs],
        **more,
    }
    return runtime, Opening(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", HERE)
@pytest.mark.parametrize("batch", [1, 3])
def test_fp32_answers_as_the_source_model_does(digits_bundle: tuple[Path, Bundle], target: str, batch: int) -> None:
    folder, bundle = digits_bundle
    runtime, opening = opening_for(digits_bundle, target, "fp32", batch)
    with np.load(folder / bundle.data.inputs) as inputs, np.load(folder / str(bundle.data.reference)) as reference:
        x, expected = inputs["0"][:batch], reference["0"][:batch]
    session = open_session(runtime, opening)
    (found,) = session.run([x])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (again,) = session.run([np.zeros_like(x)])
    assert np.abs(again - found).max() > 0.01, "another input gives another answer"
    session.close()


@pytest.mark.parametrize("target", HERE)
def test_the_provider_that_holds_the_graph_is_read_back(digits_bundle: tuple[Path, Bundle], target: str) -> None:
    runtime, opening = opening_for(digits_bundle, target, "int8")
    session = open_session(runtime, opening)
    placement = session.placement()
    assert placement.evidence
    assert placement.provider
    if target == "litert-xnnpack":
        assert placement.nodes["XNNPACK"] > 0
    if target == "litert-builtin":
        assert set(placement.nodes) == {"builtin"}
    if target == "onnxruntime-cpu":
        assert set(placement.nodes) == {"CPUExecutionProvider"}
    assert session.facts()["intra_op_threads"] == 1
    session.close()


def test_a_provider_that_this_build_lacks_fails_with_that_reason(digits_bundle: tuple[Path, Bundle]) -> None:
    if unavailable("onnxruntime-cuda") is None:
        pytest.skip("this build of ONNX Runtime has CUDA")
    runtime, opening = opening_for(digits_bundle, "onnxruntime-cuda", "fp32")
    with pytest.raises(SessionError, match="does not have CUDAExecutionProvider"):
        open_session(runtime, opening)


def test_a_provider_that_takes_no_node_fails_the_case(
    digits_bundle: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's provider is listed by every build and takes no node of an ordinary graph: a real silent fallback."""
    import onnxruntime as ort

    if "AzureExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this build of ONNX Runtime has no provider that takes nothing")
    monkeypatch.setitem(RUNTIMES["onnxruntime"].providers, "azure", "AzureExecutionProvider")
    runtime, opening = opening_for(digits_bundle, "onnxruntime-azure", "fp32")
    session = open_session(runtime, opening)
    with pytest.raises(SessionError, match=r"asked for and took no node.*CPUExecutionProvider"):
        session.placement()


@pytest.mark.parametrize("target", HERE)
def test_a_file_that_is_no_model_is_refused_in_one_line(
    digits_bundle: tuple[Path, Bundle], target: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.bin"
    path.write_bytes(b"not a model at all")
    runtime, opening = opening_for(digits_bundle, target, "fp32", path=path)
    with pytest.raises(SessionError, match=r"broken\.bin|refused the model"):
        open_session(runtime, opening)


@pytest.mark.parametrize("target", HERE)
def test_an_option_that_a_runtime_does_not_know_is_refused(digits_bundle: tuple[Path, Bundle], target: str) -> None:
    runtime, opening = opening_for(digits_bundle, target, "fp32", options={"warp": 9})
    with pytest.raises(SessionError, match="has no option warp"):
        open_session(runtime, opening)


def test_graph_optimisation_is_set_and_told(digits_bundle: tuple[Path, Bundle]) -> None:
    nodes = {}
    for level in ("none", "all"):
        runtime, opening = opening_for(digits_bundle, "onnxruntime-cpu", "fp32", options={"graph_optimization": level})
        session = open_session(runtime, opening)
        nodes[level] = session.placement().nodes["CPUExecutionProvider"]
        assert session.facts()["graph_optimization"]
    assert nodes["all"] <= nodes["none"]


@pytest.mark.parametrize(("arena", "spinning"), [(True, False), (False, True)])
def test_arena_and_spinning_are_those_of_the_session(
    digits_bundle: tuple[Path, Bundle], arena: bool, spinning: bool
) -> None:
    options = {"arena": arena, "spinning": spinning}
    session = open_session(*opening_for(digits_bundle, "onnxruntime-cpu", "fp32", options=options))
    assert session.facts()["arena"] is arena
    held = session._session.get_session_options()  # type: ignore[attr-defined]
    assert held.enable_cpu_mem_arena is arena
    assert held.get_session_config_entry("session.intra_op.allow_spinning") == str(int(spinning))
    session.close()


def test_an_onnx_file_with_other_inputs_than_its_specification_is_refused(digits_bundle: tuple[Path, Bundle]) -> None:
    runtime, opening = opening_for(digits_bundle, "onnxruntime-cpu", "fp32")
    (known,) = opening.artifact.inputs
    other = msgspec.structs.replace(opening.artifact, inputs=(msgspec.structs.replace(known, name="picture"),))
    with pytest.raises(SessionError, match=rf"inputs \['{known.name}'\] are not those .* \['picture'\]"):
        open_session(runtime, dataclasses.replace(opening, artifact=other))


def test_a_device_that_openvino_does_not_find_is_refused(digits_bundle: tuple[Path, Bundle]) -> None:
    if unavailable("openvino-cpu") is not None or unavailable("openvino-gpu") is None:
        pytest.skip("OpenVINO is not installed, or has a GPU here")
    runtime, opening = opening_for(digits_bundle, "openvino-gpu", "fp32")
    with pytest.raises(SessionError, match="OpenVINO cannot load"):
        open_session(runtime, opening)


def test_a_runtime_that_is_not_installed_says_how_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert unavailable("openvino-cpu") == "OpenVINO is not installed (pip install openvino)"


def test_a_fixed_batch_refuses_another_one() -> None:
    spec = TensorSpec(name="x", dtype="float32", shape=(1, 4))
    assert declared_shape(spec, 1) == (1, 4)
    with pytest.raises(SessionError, match="fixed batch of 1; batch 8"):
        declared_shape(spec, 8)


def test_free_axes_other_than_the_batch_are_one() -> None:
    assert declared_shape(TensorSpec(name="x", dtype="float32", shape=(None, None, 3)), 5) == (5, 1, 3)
    assert declared_shape(TensorSpec(name="rate", dtype="int64", shape=()), 5) == ()


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=50),
    st.floats(0.001, 2),
    st.integers(-128, 127),
)
def test_a_quantised_value_comes_back_within_half_a_step_or_saturates(
    values: list[float], scale: float, zero_point: int
) -> None:
    spec = TensorSpec(name="x", dtype="int8", shape=(None,), scale=scale, zero_point=zero_point)
    real = np.array(values, dtype=np.float64)
    stored = quantise(real, spec)
    assert stored.dtype == np.int8
    low, high = scale * (-128 - zero_point), scale * (127 - zero_point)
    back = dequantise(stored, spec)
    np.testing.assert_allclose(back, np.clip(real, low, high), atol=scale * 0.5001 + 1e-4)


def test_a_float_tensor_is_only_converted() -> None:
    spec = TensorSpec(name="x", dtype="float16", shape=(None,))
    assert quantise(np.ones(3, np.float32), spec).dtype == np.float16
    assert dequantise(np.ones(3, np.float16), spec).dtype == np.float16


def test_operators_behind_a_delegate_are_counted_by_walking_back_to_its_inputs() -> None:
    """in -> a -> b -> [c -> d] -> e, with c and d in the delegate."""
    nodes = [
        {"index": at, "op_name": name, "inputs": [at], "outputs": [at + 1]}
        for at, name in enumerate(["A", "B", "C", "D", "E"])
    ]
    nodes.append({"index": 5, "op_name": "DELEGATE", "inputs": [2], "outputs": [4]})
    assert _delegated_operators(nodes) == 2
    assert _delegated_operators(nodes[:-1]) == 0


def test_the_table_is_pure_data_with_a_module_behind_every_line() -> None:
    for spec in RUNTIMES.values():
        assert msgspec.to_builtins(spec)
        for provider in spec.providers:
            reason = unavailable(f"{spec.name}-{provider}")
            assert reason is None or len(reason) > 10


@pytest.mark.parametrize("target", [t for t in HERE if t.startswith(("litert", "openvino"))])
def test_the_scope_invoke_times_less_and_answers_the_same(digits_bundle: tuple[Path, Bundle], target: str) -> None:
    folder, bundle = digits_bundle
    with np.load(folder / bundle.data.inputs) as inputs:
        x = inputs["0"][:1]
    found = {}
    for scope in ("call", "invoke"):
        runtime, opening = opening_for(digits_bundle, target, "fp32", options={"scope": scope})
        session = open_session(runtime, opening)
        session.call(session.prepare([x]))
        found[scope] = session.run([x])[0]
        assert ("invoke only" in session.scope) == (scope == "invoke")
        session.close()
    np.testing.assert_array_equal(found["call"], found["invoke"])


@pytest.fixture
def trial(tmp_path: Path) -> Callable[..., Opening]:
    """The self-test's own network, opened with options."""
    made = Trial(tmp_path)

    def opening(**options: str | float | bool) -> Opening:
        shape = declared_shape(made.artifact.inputs[0], 1)
        return Opening(
            path=made.path, artifact=made.artifact, provider="cpu", threads=1, shapes=[shape], options=options
        )

    return opening


def test_a_slowed_session_is_slower_by_the_share_it_was_told(trial: Callable[..., Opening]) -> None:
    """Interleaved call by call, so that whatever the machine does meets both."""
    sessions = {share: open_session("slowed", trial(slowdown=share)) for share in (0.0, 0.5)}
    feed = np.ones((1, 512), np.float32)
    times: dict[float, list[int]] = {share: [] for share in sessions}
    for _ in range(400):
        for share, session in sessions.items():
            before = time.perf_counter_ns()
            session.call(session.prepare([feed]))
            times[share].append(time.perf_counter_ns() - before)
    assert np.median(times[0.5]) / np.median(times[0.0]) == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("slowdown", ["much", -0.1])
def test_a_slow_down_is_a_share(trial: Callable[..., Opening], slowdown: str | float) -> None:
    with pytest.raises(SessionError, match="slowdown is a share"):
        open_session("slowed", trial(slowdown=slowdown))


SIGNALLED = """
import pathlib, signal, sys
from bench.runner.trial import Trial
from bench.runtimes.base import Opening, declared_shape
from bench.runtimes.table import make_ready, open_session
made, (runtime, _, provider) = Trial(pathlib.Path(sys.argv[1])), sys.argv[2].partition("-")
make_ready(runtime, provider)
shapes = [declared_shape(made.artifact.inputs[0], 1)]
opening = Opening(path=made.path, artifact=made.artifact, provider=provider, threads=1, shapes=shapes)
sessions = [open_session(runtime, opening) for _ in range(2)]
while sessions:
    sessions.pop(0).close()
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
signal.raise_signal(signal.SIGUSR1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals are POSIX")
@pytest.mark.parametrize("target", [t for t in HERE if "onnx" in RUNTIMES[t.partition("-")[0]].formats])
def test_a_process_outlives_a_signal_after_its_sessions_are_closed(tmp_path: Path, target: str) -> None:
    done = subprocess.run([sys.executable, "-c", SIGNALLED, str(tmp_path), target], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"heard\n"), done.stderr
