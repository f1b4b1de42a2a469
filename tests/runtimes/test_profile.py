"""Every runtime's own profiler tells where the time goes, in a process of its own, whatever happens there."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import flatbuffers
import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bench.analyse.operators import conversions, products
from bench.record.artifact import Artifact, Bundle, Recipe, TensorSpec
from bench.record.case import Case
from bench.record.profile import Profile
from bench.runtimes.base import Array, Opening
from bench.runtimes.profile import Event, Feeds, operator_times, profile
from bench.runtimes.profile_litert import _runs as _litert_runs
from bench.runtimes.profile_onnxruntime import _runs
from bench.runtimes.table import RUNTIMES, open_session, unavailable
from bench.worker import profiling
from bench.worker.messages import ProfileJob
from bench.worker.profile import profile_case
from tests.runtimes.test_runtimes import artifact_for, opening_for

TARGETS = ["onnxruntime-cpu", "litert-xnnpack", "litert-builtin", "litert-compiled-cpu", "openvino-cpu"]
HERE = [target for target in TARGETS if unavailable(target) is None]


def job_for(digits_bundle: tuple[Path, Bundle], target: str, variant: str, **more: object) -> ProfileJob:
    folder, bundle = digits_bundle
    runtime, _, provider = target.partition("-")
    artifact = artifact_for(bundle, runtime, variant)
    fields = {
        "case": Case(model="m", variant=variant, runtime=runtime, provider=provider),
        "artifact": artifact,
        "artifact_path": str(folder / artifact.path),
        "inputs": str(folder / bundle.data.inputs),
        "seconds": 0.1,
        "timeout_s": 60.0,
        "cores": None,
        **more,
    }
    return ProfileJob(**fields)  # type: ignore[arg-type]


def seen(digits_bundle: tuple[Path, Bundle], target: str, variant: str, **more: object) -> Profile:
    found = profile_case(job_for(digits_bundle, target, variant, **more))
    assert found.reason is None, found.reason
    return found


@pytest.mark.parametrize("target", HERE)
def test_a_fresh_process_tells_the_operators_and_what_they_compute_in(
    digits_bundle: tuple[Path, Bundle], target: str
) -> None:
    for variant in ("fp32", "int8"):
        found = seen(digits_bundle, target, variant)
        assert found.target == target
        assert found.runs >= 2
        assert sum(o.share for o in found.operators) == pytest.approx(1)
        assert all(o.ns >= 0 and o.calls > 0 for o in found.operators)
        # Three convolutions and two dense layers, however they are called.
        assert len(products(found).operators) == 5
        kinds = {o.precision for o in products(found).operators} - {None}
        assert kinds <= ({"int8"} if variant == "int8" else {"float32", "bfloat16", "float16"})
        assert found.inference_ns is not None
        assert found.total_ns <= found.inference_ns * 1.3
        assert found.evidence
        assert found.limits


def test_onnxruntime_shows_fused_nodes_and_the_provider_that_ran_them(digits_bundle: tuple[Path, Bundle]) -> None:
    found = seen(digits_bundle, "onnxruntime-cpu", "int8")
    assert {"QLinearConv", "QuantizeLinear", "DequantizeLinear"} <= {o.type for o in found.operators}
    assert {o.provider for o in found.operators} == {"CPU"}
    assert len(conversions(found).operators) == 2, "one at each end of the graph: those within are fused"


def test_without_optimisation_onnxruntime_leaves_every_pair_of_quantise_and_dequantise_in_the_graph(
    digits_bundle: tuple[Path, Bundle],
) -> None:
    case = Case(
        model="m", variant="int8", runtime="onnxruntime", provider="cpu", options={"graph_optimization": "none"}
    )
    found = seen(digits_bundle, "onnxruntime-cpu", "int8", case=case)
    assert len(conversions(found).operators) > 10
    assert {o.precision for o in products(found).operators} == {"float32"}


def test_litert_shows_what_is_inside_the_delegate_and_says_so(digits_bundle: tuple[Path, Bundle]) -> None:
    if "litert-xnnpack" not in HERE:
        pytest.skip("LiteRT is not installed")
    inside, outside = (seen(digits_bundle, target, "fp32") for target in ("litert-xnnpack", "litert-builtin"))
    assert {o.provider for o in inside.operators} == {"XNNPACK"}
    assert {o.provider for o in outside.operators} == {"builtin"}
    assert any("inside the XNNPACK delegate" in limit for limit in inside.limits)
    assert not any("delegate" in limit for limit in outside.limits)
    assert inside.total_ns < outside.total_ns, "the built-in kernels are the slower ones"


def test_a_batch_is_profiled_as_a_batch(digits_bundle: tuple[Path, Bundle]) -> None:
    for target in HERE:
        runtime, _, provider = target.partition("-")
        case = Case(model="m", variant="fp32", runtime=runtime, provider=provider, batch=16)
        one, many = seen(digits_bundle, target, "fp32"), seen(digits_bundle, target, "fp32", case=case)
        assert products(many).ns > 2 * products(one).ns, target


def test_a_runtime_without_a_profiler_says_so(digits_bundle: tuple[Path, Bundle]) -> None:
    folder, bundle = digits_bundle
    with np.load(folder / bundle.data.inputs) as inputs:
        feeds = itertools.repeat([inputs["0"][:1]])
    for target in ("null-none", "slowed-cpu"):
        runtime, opening = opening_for(digits_bundle, target, "fp32")
        assert "no profile of operators" in str(profile(runtime, opening, feeds, 0.01).reason)
    assert all(spec.profiler is not None for name, spec in RUNTIMES.items() if name not in ("null", "slowed"))


@pytest.mark.parametrize("target", HERE)
def test_a_file_that_the_runtime_refuses_costs_the_profile_and_nothing_else(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, target: str
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\x00" * 4096)
    found = profile_case(job_for(digits_bundle, target, "fp32", artifact_path=str(damaged)))
    assert found.reason
    assert not found.operators


def test_inputs_that_are_not_there_cost_the_profile_and_nothing_else(digits_bundle: tuple[Path, Bundle]) -> None:
    found = profile_case(job_for(digits_bundle, "onnxruntime-cpu", "fp32", inputs="/nonexistent.npz"))
    assert "FileNotFoundError" in str(found.reason)
    assert not found.operators


def test_a_trace_without_an_inference_tells_of_no_operator() -> None:
    assert operator_times([*_runs([])]) == ()
    assert operator_times([*_litert_runs([("Invoke", 2, 0, 0, 5.0)])]) == ()


def test_a_profile_without_io_binding_says_so(tmp_path: Path) -> None:
    opening = chain(tmp_path / "chain.onnx", 2, 8, None)
    for options in ({}, {"io_binding": True}):
        found = profile("onnxruntime", dataclasses.replace(opening, options=options), ones(opening), 0.02)
        assert ("profiled without io_binding" in found.limits) is bool(options)
        assert found.operators


def test_a_profile_that_takes_too_long_is_ended(digits_bundle: tuple[Path, Bundle]) -> None:
    found = profile_case(job_for(digits_bundle, "onnxruntime-cpu", "fp32", seconds=30.0, timeout_s=0.05))
    assert "no answer within 0.05 s" in str(found.reason)


def test_what_a_killed_process_leaves_is_removed(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    seen_there: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            seen_there.update(path.name for path in tmp_path.rglob("trace*"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    slow = Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu", batch=512)
    job = job_for(digits_bundle, "onnxruntime-cpu", "fp32", case=slow, seconds=60.0, timeout_s=3.0)
    found = profile_case(job)
    over.set()
    watcher.join()
    assert "no answer within 3" in str(found.reason)
    assert seen_there, "it was profiling when it was killed"
    assert list(tmp_path.iterdir()) == []


def test_every_inference_is_fed_with_the_next_inputs(
    digits_bundle: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[Array] = []

    def watched(runtime: str, opening: Opening, feeds: Feeds, seconds: float) -> Profile:
        def taken() -> Iterator[list[Array]]:
            for feed in feeds:
                fed.append(feed[0])
                yield list(feed)

        return profile(runtime, opening, taken(), seconds)

    monkeypatch.setattr(profiling, "profile", watched)
    for target in HERE:
        fed.clear()
        found = profiling._profiled(job_for(digits_bundle, target, "fp32")).profile
        assert len(fed) > found.runs
        assert len({values.ctypes.data for values in fed}) == len(fed), "each from a place of its own in memory"
        assert not np.array_equal(fed[0], fed[1])


def chain(path: Path, products: int, width: int, between: str | None = None) -> Opening:
    """Matrix products one after the other, with an operator after each of them."""
    rng = np.random.default_rng(0)
    last, nodes, weights = "x", [], []
    for at in range(products):
        weights.append(
            numpy_helper.from_array(rng.standard_normal((width, width)).astype(np.float32) / width, f"w{at}")
        )
        nodes.append(helper.make_node("MatMul", [last, f"w{at}"], [f"m{at}"]))
        last = f"m{at}"
        if between is not None:
            nodes.append(helper.make_node(between, [last], [f"b{at}"]))
            last = f"b{at}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return opening_of(path, "onnx", last, width)


def opening_of(path: Path, fmt: Literal["onnx", "tflite"], output: str, width: int, provider: str = "cpu") -> Opening:
    x, y = (TensorSpec(name=name, dtype="float32", shape=(1, width)) for name in ("x", output))
    artifact = Artifact(
        model="m",
        variant="fp32",
        format=fmt,
        recipe=Recipe("fp32"),
        path=path.name,
        sha256="0" * 64,
        bytes=path.stat().st_size,
        inputs=(x,),
        outputs=(y,),
    )
    return Opening(path=path, artifact=artifact, provider=provider, threads=1, shapes=[(1, width)], options={})


def ones(opening: Opening) -> Iterator[list[Array]]:
    return itertools.repeat([np.ones(opening.shapes[0], np.float32)])


@pytest.mark.parametrize(("products", "width", "between"), [(100, 64, None), (100, 16, None), (20, 64, "Relu")])
def test_many_short_nodes_do_not_take_longer_than_the_inference_that_they_make_up(
    tmp_path: Path, products: int, width: int, between: str | None
) -> None:
    opening = chain(tmp_path / "chain.onnx", products, width, between)
    found = profile("onnxruntime", opening, ones(opening), 0.2)
    assert found.inference_ns is not None
    assert found.total_ns < 1.2 * found.inference_ns
    assert found.profiler_ns > found.total_ns, "and that the profiler costs more than they do is told"


@pytest.mark.alone
def test_long_nodes_keep_their_time(tmp_path: Path) -> None:
    opening = chain(tmp_path / "chain.onnx", 6, 1280)
    # The one that other programs disturbed least.
    found = min(
        (profile("onnxruntime", opening, ones(opening), 0.1) for _ in range(5)), key=lambda each: each.profiler_ns
    )
    assert found.inference_ns is not None
    assert 0.7 * found.inference_ns < found.total_ns < 1.3 * found.inference_ns
    assert found.profiler_ns < 0.3 * found.total_ns


def test_onnxruntime_tells_what_products_compute_in_that_are_fused_with_what_goes_before(tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    opening = chain(tmp_path / "chain.onnx", 3, 64, "Relu")
    quantize_dynamic(opening.path, tmp_path / "short.onnx")
    short = dataclasses.replace(opening, path=tmp_path / "short.onnx")
    made = products_of(profile("onnxruntime", short, ones(short), 0.05))
    assert made == {("DynamicQuantizeMatMul", "int8")}


def products_of(found: Profile) -> set[tuple[str, str | None]]:
    return {(operator.type, operator.precision) for operator in products(found).operators}


@pytest.mark.parametrize(("start", "target", "precision"), [("float16", "float", "float16"), ("int64", "float", None)])
def test_only_casts_between_floats_have_a_precision(start: str, target: str, precision: str | None) -> None:
    told = {
        "op_name": "Cast",
        "provider": "CPUExecutionProvider",
        "input_type_shape": [{start: [1]}],
        "output_type_shape": [{target: [1]}],
    }
    for shapes in (told, told | {"input_type_shape": [{target: [1]}], "output_type_shape": [{start: [1]}]}):
        trace = [{"cat": "Node", "name": "c_kernel_time", "ts": 0, "dur": 1, "args": shapes}, {"name": "model_run"}]
        ((((event, _),),),) = ([*_runs(trace)],)
        assert (event.precision is None) is (precision is None)


def loop(path: Path, turns: int) -> None:
    """A TFLite file that adds its input to itself `turns` times."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, "loop"
    model.buffers = [schema.BufferT()]
    model.operatorCodes = []
    for kind in ("ADD", "LESS", "WHILE"):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 1
        model.operatorCodes.append(code)

    def tensor(name: str, shape: list[int], kind: str, value: int | None = None) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, getattr(schema.TensorType, kind), 0
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.int32(value).tobytes(), np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        return made

    def operator(code: int, kind: str, inputs: list[int], outputs: list[int]) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, outputs
        made.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
        made.builtinOptions = getattr(schema, f"{kind}OptionsT")()
        return made

    def graph(name: str, tensors: list[Any], inputs: list[int], outputs: list[int], *operators: Any) -> Any:
        made = schema.SubGraphT()
        made.name, made.tensors, made.inputs, made.outputs = name, tensors, inputs, outputs
        made.operators = list(operators)
        return made

    again = operator(2, "While", [0, 1], [2, 3])
    again.builtinOptions.condSubgraphIndex, again.builtinOptions.bodySubgraphIndex = 1, 2
    model.subgraphs = [
        graph(
            "main",
            [
                tensor("from", [], "INT32", 0),
                tensor("x", [1, 4], "FLOAT32"),
                tensor("to", [], "INT32"),
                tensor("y", [1, 4], "FLOAT32"),
            ],
            [1],
            [3],
            again,
        ),
        graph(
            "more",
            [
                tensor("i", [], "INT32"),
                tensor("x", [1, 4], "FLOAT32"),
                tensor("turns", [], "INT32", turns),
                tensor("less", [], "BOOL"),
            ],
            [0, 1],
            [3],
            operator(1, "Less", [0, 2], [3]),
        ),
        graph(
            "body",
            [
                tensor("i", [], "INT32"),
                tensor("x", [1, 4], "FLOAT32"),
                tensor("one", [], "INT32", 1),
                tensor("next", [], "INT32"),
                tensor("sum", [1, 4], "FLOAT32"),
            ],
            [0, 1],
            [3, 4],
            operator(0, "Add", [0, 2], [3]),
            operator(0, "Add", [1, 1], [4]),
        ),
    ]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


@pytest.mark.parametrize("provider", ["xnnpack", "builtin"])
def test_the_turns_of_a_loop_are_not_taken_for_inferences(tmp_path: Path, provider: str) -> None:
    if f"litert-{provider}" not in HERE:
        pytest.skip("LiteRT is not installed")
    loop(tmp_path / "loop.tflite", 20)
    opening = opening_of(tmp_path / "loop.tflite", "tflite", "y", 4, provider)
    session = open_session("litert", opening)
    (answer,) = session.run([np.ones((1, 4), np.float32)])
    assert answer.ravel().tolist() == [2.0**20] * 4, "it is a loop, and runs"
    session.close()
    found = profile("litert", opening, ones(opening), 0.05)
    assert "loops or branches" in str(found.reason)
    assert not found.operators


def test_built_in_kernels_are_said_not_to_tell_their_data_type(digits_bundle: tuple[Path, Bundle]) -> None:
    if "litert-builtin" not in HERE:
        pytest.skip("LiteRT is not installed")
    found = seen(digits_bundle, "litert-builtin", "int8")
    assert {precision for _, precision in products_of(found)} == {None}
    assert any("do not tell the data type" in limit for limit in found.limits)


def test_a_node_with_a_body_is_counted_without_its_body() -> None:
    def node(name: str, kind: str, start: int, us: int) -> dict[str, object]:
        told = {"op_name": kind, "provider": "CPUExecutionProvider", "input_type_shape": [{"float": [1]}]}
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": us, "args": told}

    trace = [
        node("before", "Conv", 0, 10),
        node("a", "MatMul", 11, 5),
        node("b", "MatMul", 17, 6),
        node("inner", "If", 10, 14),
        node("c", "Add", 25, 2),
        node("outer", "Loop", 10, 20),
        {"name": "model_run", "dur": 31},
    ]
    ((*run,),) = _runs(trace)
    times = {event.name: ns / 1e3 for event, ns in run}
    assert times == {"before": 10, "a": 5, "b": 6, "inner": 3, "c": 2, "outer": 4}


@given(
    st.lists(st.lists(st.floats(0, 1e6), min_size=3, max_size=3), min_size=1, max_size=30),
)
def test_shares_sum_to_one_and_no_operator_is_lost(times: list[list[float]]) -> None:
    events = [Event(f"n{at}", "Conv", "CPU") for at in range(3)]
    found = operator_times([list(zip(events, run, strict=True)) for run in times])
    assert [o.name for o in found] == [e.name for e in events]
    assert all(o.calls == 1 for o in found)
    whole = sum(o.ns for o in found)
    assert sum(o.share for o in found) == pytest.approx(1 if whole else 0)


def test_one_interrupted_inference_in_ten_does_not_change_the_figures() -> None:
    event = Event("n", "Conv", "CPU")
    quiet = [[(event, 10.0)] for _ in range(9)]
    (found,) = operator_times([*quiet, [(event, 10_000.0)]])
    assert found.ns == 10.0


def test_a_profile_survives_the_way_to_disk_and_back(digits_bundle: tuple[Path, Bundle], tmp_path: Path) -> None:
    from bench.store import profiles

    found = seen(digits_bundle, "onnxruntime-cpu", "fp32")
    profiles.keep(tmp_path, "abc", found)
    assert profiles.kept(tmp_path, "abc") == found
    assert profiles.kept(tmp_path, "other") is None
    (tmp_path / "profiles" / "abc.json").write_bytes(msgspec.json.encode({"no": "profile"}))
    assert profiles.kept(tmp_path, "abc") is None
