"""Cases against the limit of their machine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.precisions import precisions
from bench.analyse.roofline import cases, point, roofline
from bench.analyse.traffic import work
from bench.errors import UserError
from bench.record.artifact import Artifact, Recipe, TensorSpec
from bench.record.measurement import Measurement
from bench.record.row import Row
from tests.analyse import machines
from tests.analyse.machines import artifact, peaks
from tests.analyse.rows import machine, row

SMALL = msgspec.structs.replace(machine("avx2"), cache_bytes=1000, architecture="x86_64")
LARGE = msgspec.structs.replace(SMALL, cache_bytes=10_000_000)
UNKNOWN = msgspec.structs.replace(SMALL, cache_bytes=None)


def measured(latency_us: float, made: Artifact | None = None, **case: Any) -> Row:
    made = made or artifact()
    return msgspec.structs.replace(row(made.variant, latency_us, **case), artifact=made)


def test_the_figures_of_a_case_follow_by_hand():
    # 2 x 1e6 MACs x 2 examples at 1e11/s; (1e6 + 2 x 440) B at 1e10/s; 1 µs a call and 10 operators of 0.1 µs.
    found = point(measured(200.0, batch=2), peaks(), SMALL)
    assert found.operations.value == 4e6
    assert found.moved.value == 1_000_880
    assert found.intensity.value == pytest.approx(4e6 / 1_000_880)
    assert found.limits.compute.value == pytest.approx(40e-6)
    assert found.limits.memory.value == pytest.approx(100.088e-6)
    assert found.limits.overhead.value == pytest.approx(2e-6)
    assert found.limits.limit.value == pytest.approx(100.088e-6)
    assert found.share.value == pytest.approx(0.50044)
    assert found.rate.value == pytest.approx(2e10)
    assert found.bound == "memory"
    assert found.warnings == ()


def test_the_share_carries_the_intervals_of_peaks_and_latency():
    found = point(measured(200.0, half=0.1), peaks(spread=0.05), SMALL)
    middle = 1_000_440 / 1e10
    assert found.share.low == pytest.approx(middle / 1.05 / 220e-6)
    assert found.share.high == pytest.approx(middle / 0.95 / 180e-6)
    assert found.share.how.startswith("computed:")


def test_a_file_that_fits_the_cache_is_not_counted_as_traffic_and_that_is_said():
    found = point(measured(200.0), peaks(), LARGE)
    assert found.moved.value == 440
    assert found.bound == "compute"
    assert any("fits the last-level cache" in note for note in found.notes)
    unclear = point(measured(200.0), peaks(), UNKNOWN)
    assert unclear.moved.value == 1_000_440
    assert any("size of the cache is not known" in note for note in unclear.notes)


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    [((None, 3, 4), "float32", 48), ((1, 3, 4), "int8", 12), ((5, 4), "float16", 40), ((), "float64", 8)],
)
def test_an_input_counts_as_often_as_there_are_examples(shape, dtype, size):
    made = artifact(inputs=(TensorSpec(name="x", dtype=dtype, shape=shape),), outputs=())
    for batch in (1, 8):
        assert work(made, "onnxruntime-cpu", batch, {}, SMALL).moved.value == 1_000_000 + size * batch


@pytest.mark.parametrize(
    ("changed", "which", "why"),
    [
        ({"macs": None}, "compute", "could not be counted"),
        (
            {"inputs": (TensorSpec(name="x", dtype="float32", shape=(None, None)),)},
            "memory",
            "a dimension that is free",
        ),
        ({"inputs": (TensorSpec(name="x", dtype="object0", shape=(None,)),)}, "memory", "how long a object0 is"),
        ({"operators": {}}, "overhead", "operators of the artifact could not be counted"),
    ],
)
def test_what_is_not_known_has_no_value_and_says_why(changed, which, why):
    found = point(measured(1000.0, artifact(**changed)), peaks(), SMALL)
    figure = getattr(found.limits, which)
    assert figure.value is None
    assert why in figure.reason
    assert found.bound == "unknown"
    if which != "overhead":
        assert found.share.value is None
        assert why in found.share.reason


def test_without_overhead_the_bound_is_known_where_nothing_else_can_be_longer():
    quick = peaks(call=None)
    assert point(measured(150.0), quick, SMALL).bound == "memory", "100 of 150 µs leave no room"
    assert point(measured(250.0), quick, SMALL).bound == "unknown"


def test_a_beaten_limit_is_said_loudly_and_as_noise_where_it_may_be_that():
    sure = point(measured(50.0, half=0.01), peaks(), SMALL)
    assert sure.warnings[0].startswith("LIMIT BEATEN: it took only 50%")
    assert "noise" not in sure.warnings[0]
    unclear = msgspec.structs.replace(
        peaks(), bandwidth=Measurement(value=1e10, unit="B/s", n=1, how="measured:by hand")
    )
    assert "noise" not in point(measured(50.0), unclear, SMALL).warnings[0]
    assert "that may be noise" in point(measured(99.0, half=0.05), peaks(), SMALL).warnings[0]


def test_without_peaks_there_is_a_reason_in_place_of_every_limit():
    found = roofline([measured(100.0, threads=3)], machines.machine(), "cpu", SMALL).points[0]
    assert found.limits.limit.reason == "the peaks with 3 threads are not known"
    assert found.intensity.value is not None
    other = roofline([measured(100.0)], machines.machine(), "gpu", SMALL).points[0]
    assert "onnxruntime-cpu computes on the CPU, and the peaks are those of a GPU" in other.share.reason


def test_int8_counts_at_its_own_peak_as_far_as_it_goes():
    made = artifact("int8", quantised_macs=0.75)
    found = point(measured(500.0, made), peaks(int8=4e11), LARGE)
    assert found.limits.taken == {"int8": 0.75, "fp32": 0.25}
    assert found.limits.compute.value == pytest.approx(1.5e6 / 4e11 + 0.5e6 / 1e11)
    missing = point(measured(500.0, made), peaks(), LARGE)
    assert missing.limits.compute.reason == "the peak of int8 is not known"


ARM = msgspec.structs.replace(machine("asimd", "asimdhp"), architecture="aarch64")


@pytest.mark.parametrize(
    ("base", "target", "here", "fields", "found"),
    [
        ("fp32", "onnxruntime-cpu", SMALL, {}, [("fp32",)]),
        ("fp32", "onnxruntime-cpu", SMALL, {"quantised_macs": None}, [("fp32",)]),
        ("fp16", "onnxruntime-cpu", SMALL, {}, [("fp32",)]),
        ("fp16", "litert-xnnpack", SMALL, {}, [("fp32",)]),
        ("fp16", "onnxruntime-cpu", ARM, {}, [("fp16", "fp32")]),
        ("fp16", "onnxruntime-cpu", None, {}, [("fp16", "fp32")]),
        ("bf16", "onnxruntime-cpu", SMALL, {}, [("fp32",)]),
        ("fp32", "openvino-cpu", SMALL, {}, [("fp32",)]),
        ("fp32", "openvino-cpu", machine("avx512_bf16"), {}, [("bf16", "fp32")]),
        ("fp32", "onnxruntime-cuda", SMALL, {}, [("tf32", "fp32")]),
        ("int8", "onnxruntime-cpu", SMALL, {"quantised_macs": 1.0}, [("int8",)]),
        ("int8", "onnxruntime-cuda", SMALL, {"quantised_macs": 1.0}, [("int8", "tf32", "fp32")]),
        ("int8", "onnxruntime-tensorrt", SMALL, {"quantised_macs": 1.0}, [("int8",)]),
        ("int8", "onnxruntime-cpu", SMALL, {"quantised_macs": None}, [("int8", "fp32")]),
        ("int16x8", "litert-builtin", SMALL, {"quantised_macs": 1.0}, [("int8",)]),
        ("int4", "onnxruntime-cpu", SMALL, {"quantised_macs": 0.5}, [("int8", "fp32"), ("fp32",)]),
        (
            "int4",
            "onnxruntime-cpu",
            SMALL,
            {"quantised_macs": 1.0, "recipe": Recipe("int4", {"accuracy_level": 1})},
            [("fp32",)],
        ),
    ],
)
def test_no_more_is_claimed_of_the_precision_than_is_known(base, target, here, fields, found):
    shares = precisions(artifact(base, **fields), target, {}, here)
    assert [share.candidates for share in shares] == found
    assert sum(share.part for share in shares) == pytest.approx(1)


def test_quantised_operators_that_are_not_fused_may_compute_in_float():
    made = artifact("int8", quantised_macs=1.0)
    (share,) = precisions(made, "onnxruntime-cpu", {"graph_optimization": "none"}, SMALL)
    assert share.candidates == ("int8", "fp32")


def test_of_precisions_that_it_may_compute_in_the_fastest_peak_is_taken_and_told():
    made = artifact("int4", quantised_macs=1.0)
    found = point(measured(500.0, made), peaks(int8=4e11), LARGE)
    assert found.limits.taken == {"int8": 1.0}
    assert any("100% of it computes in int8 or fp32" in note for note in found.notes)
    slower = point(measured(500.0, made), peaks(), LARGE)
    assert slower.limits.taken == {"fp32": 1.0}
    assert any("the highest that is known" in note for note in slower.notes)


@given(
    st.integers(1, 10**9), st.integers(1, 64), st.floats(1e9, 1e13), st.floats(1e8, 1e12), st.floats(1.0, 1e6),
    st.floats(1.0, 8.0),
)  # fmt: skip
def test_a_faster_machine_never_has_a_longer_limit(macs, batch, compute, bandwidth, latency, times):
    of = measured(latency, artifact(macs=macs), batch=batch)
    slow = point(of, peaks(fp32=compute, bandwidth=bandwidth), SMALL)
    for faster in (
        peaks(fp32=compute * times, bandwidth=bandwidth),
        peaks(fp32=compute, bandwidth=bandwidth * times),
    ):
        assert point(of, faster, SMALL).limits.limit.value <= slow.limits.limit.value
    assert slow.limits.limit.value == max(slow.limits.compute.value, slow.limits.memory.value)


def test_zeros_of_a_pruned_model_are_counted_and_that_is_said():
    found = point(measured(500.0, artifact("pruned", sparsity=0.8)), peaks(), SMALL)
    assert found.operations.value == 2e6
    assert any("zero are counted" in note for note in found.notes)


def test_a_pruned_model_may_beat_the_dense_limit_and_that_is_no_fault():
    found = point(measured(50.0, artifact("pruned", sparsity=0.8)), peaks(), SMALL)
    assert found.share.value > 1
    assert found.warnings == ()
    assert any("kernels that skip zeros may" in note for note in found.notes)


@pytest.mark.parametrize("operator", ["Gather", "EMBEDDING_LOOKUP"])
def test_a_table_that_rows_are_looked_up_in_is_not_counted_as_traffic(operator):
    found = point(measured(50.0, artifact(operators={operator: 1, "MatMul": 6})), peaks(), SMALL)
    assert found.moved.value == 440
    assert found.warnings == (), "the million bytes of the table need not be read"
    assert any("looks rows up" in note for note in found.notes)


def test_a_runtime_that_is_not_known_and_a_latency_that_is_not_there_are_reasons():
    strange = measured(100.0, runtime="tflite")
    assert cases([strange]) == (strange,)
    found = roofline([strange], machines.machine(), "cpu", SMALL).points[0]
    assert "not known which device" in found.share.reason
    bare = msgspec.structs.replace(measured(100.0), metrics={})
    assert point(bare, peaks(), SMALL).share.reason == "no median latency is on record"


def test_only_rows_whose_latency_is_that_of_one_call_are_held_against_it():
    rows = [
        measured(100.0),
        measured(100.0, scenario="offline", options={"in_flight": 4}),
        measured(100.0, scenario="server", options={"rate": "search", "p99_ms": 10.0}),
        measured(100.0, runtime="null", provider="none"),
    ]
    found = cases(rows)
    assert [r.case.scenario for r in found] == ["single-stream", "offline"]
    assert any("4 calls at a time" in note for note in point(rows[1], peaks(), SMALL).notes)
    assert [r.case.scenario for r in cases(rows, ["*/offline*"])] == ["offline"]
    with pytest.raises(UserError, match="no such case matches x"):
        cases(rows, ["x"])
    with pytest.raises(UserError, match="no case of the run was measured"):
        cases(rows[2:])


def test_the_points_stand_in_the_order_of_the_rows():
    rows = [measured(time, artifact(variant), threads=threads) for time, variant, threads in
            [(100.0, "pruned", 2), (90.0, "fp32", 1), (95.0, "fp32", 2)]]  # fmt: skip
    found = roofline(rows, machines.machine(peaks(1), peaks(2, fp32=2e11)), "cpu", SMALL)
    assert [p.case for p in found.points] == [r.case.name for r in rows]
    assert [p.limits.compute.value for p in found.points] == pytest.approx([1e-5, 2e-5, 1e-5])
