"""Every runtime's own profiler tells where the time goes, in a process of its own, whatever happens there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.operators import conversions, products
from bench.record.artifact import Bundle
from bench.record.case import Case
from bench.record.profile import Profile
from bench.runtimes.profile import Event, operator_times, profile
from bench.runtimes.profile_onnxruntime import _runs
from bench.runtimes.table import RUNTIMES, unavailable
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
        "seconds": 0.05,
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
        assert found.total_ns <= found.inference_ns * 1.5
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
        feeds = [inputs["0"][:1]]
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


def test_a_profile_that_takes_too_long_is_ended(digits_bundle: tuple[Path, Bundle]) -> None:
    found = profile_case(job_for(digits_bundle, "onnxruntime-cpu", "fp32", seconds=30.0, timeout_s=0.05))
    assert "no answer within 0.05 s" in str(found.reason)


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
