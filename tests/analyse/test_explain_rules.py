"""Each cause is found where its evidence is, not where it is not, and the heaviest is the one told."""

from __future__ import annotations

import msgspec
import pytest

from bench.analyse.explain import NOTHING, RULES, evidence_for, explain, said
from bench.analyse.faster import Gain, pairs
from bench.analyse.operators import by_type, casts, conversions, products
from bench.record.profile import Profile
from bench.record.row import Row
from tests.analyse.rows import machine, profile, row

FP32 = profile(("Conv", "float32", 60), ("Gemm", "float32", 30), ("Relu", "float32", 5))
VNNI = ("avx2", "avx512_vnni")


def inserted(found: Profile) -> Profile:
    """As if the runtime had put all of them in."""
    put = [
        msgspec.structs.replace(operator, name=f"InsertedPrecisionFreeCast_{operator.name}")
        for operator in found.operators
    ]
    return msgspec.structs.replace(found, operators=tuple(put))


def lasting(found: Profile, us: float) -> Profile:
    """With the time of a whole inference."""
    return msgspec.structs.replace(found, inference_ns=us * 1e3)


def told(
    mine: Row,
    found: Profile,
    reference: Profile = FP32,
    *,
    features: tuple[str, ...] = VNNI,
    cores: int = 4,
    rows: tuple[Row, ...] = (),
) -> str:
    every = [row("fp32", 100, threads=mine.case.threads), mine, *rows]
    pair = next(pair for pair in pairs(every) if pair.row is mine)
    return explain(evidence_for(pair, found, reference, machine(*features, cores=cores), every))


def test_integer_products_without_instructions_for_them() -> None:
    found = profile(("QLinearConv", "int8", 70), ("QGemm", "int8", 35))
    without = told(row("int8", 110), found, features=("avx2",))
    assert "VNNI" in without
    assert "1 QLinearConv, 1 QGemm take 105.0 µs" in without
    assert "VNNI" not in told(row("int8", 110), found)
    assert "integer kernels are no faster" in told(row("int8", 110), found)


@pytest.mark.parametrize("precision", ["float32", None])
def test_products_that_are_not_known_to_be_of_integers_are_not_blamed_on_integers(precision: str | None) -> None:
    found = profile(("Conv", precision, 65), ("Gemm", precision, 35))
    line = told(row("int8", 110), found, features=("avx2",))
    assert "VNNI" not in line
    assert "integer kernels" not in line


def test_short_weights_are_not_blamed_on_integer_instructions() -> None:
    found = profile(("Conv", "float32", 60), ("MatMulNBits", None, 40))
    line = told(row("int4", 110), found, features=("avx2",))
    assert line.startswith("the kernels for short weights are no faster: 1 Conv, 1 MatMulNBits take 100.0 µs")
    faster = profile(("Conv", "float32", 60), ("MatMulNBits", None, 10))
    assert told(row("int4", 95), faster, features=("avx2",)) == NOTHING


def test_what_has_to_be_quantised_at_run_time_could_not_have_been_fused() -> None:
    found = profile(("DynamicQuantizeLinear", "float32", 30), ("DynamicQuantizeMatMul", "int8", 60))
    line = told(row("int8-dynamic", 95), found, profile(("Gemm", "float32", 95)))
    assert line.startswith("operators that fp32 has not: 1 DynamicQuantizeLinear take 30.0 µs")
    slow = told(row("int8-dynamic", 95), found, profile(("Gemm", "float32", 50)))
    assert slow.startswith("the integer kernels are no faster: 1 DynamicQuantizeMatMul take 60.0 µs")
    assert "1 DynamicQuantizeLinear at run time take 30.0 µs" in slow, "not the product as well"


def test_missing_instructions_are_not_blamed_where_the_products_are_faster_all_the_same() -> None:
    found = profile(("QLinearConv", "int8", 30), ("QGemm", "int8", 10), ("QuantizeLinear", "float32", 60))
    assert told(row("int8", 105), found, features=("avx2",)).startswith("Q/DQ not fused")


def test_half_precision_that_is_cast_back() -> None:
    found = inserted(
        profile(("Cast", "float16", 20), ("Conv", "float32", 60), ("Gemm", "float32", 30), ("Cast", "float32", 5))
    )
    line = told(row("fp16", 120), found)
    assert line.startswith("cast back to float32")
    assert "2 Cast take 25.0 µs" in line
    assert "no fp16 arithmetic" in line
    assert "no fp16 arithmetic" not in told(row("fp16", 120), found, features=("avx512_fp16",))


def test_half_precision_that_is_only_how_weights_are_stored() -> None:
    assert told(row("fp16", 100), FP32).startswith("stored in half precision and computed in float32")


def test_casts_that_the_model_has_itself_are_not_the_runtimes() -> None:
    own = profile(("Cast", "float16", 20), ("Conv", "float32", 60), ("Gemm", "float32", 30))
    assert told(row("fp16", 115), own).startswith("stored in half precision")
    # From integers: no precision is told of it.
    of_integers = inserted(profile(("Cast", None, 20), ("Conv", "float32", 60), ("Gemm", "float32", 30)))
    assert "Cast" not in told(row("fp16", 115), of_integers)
    there = inserted(profile(("Cast", "float32", 20), ("Conv", "float32", 60)))
    assert "Cast" not in told(row("fp16", 90), there, there), "fp32 has the same cast"


def test_half_precision_that_is_computed_as_such_is_not_said_to_be_cast_back() -> None:
    found = profile(("Conv", "float16", 60), ("Gemm", "float16", 30))
    assert "float32" not in told(row("fp16", 95), found)


def test_quantise_and_dequantise_operators_that_stayed() -> None:
    found = profile(
        ("QuantizeLinear", "float32", 25),
        ("DequantizeLinear", "int8", 25),
        ("Conv", "float32", 40),
        ("QGemm", "int8", 10),
    )
    line = told(row("int8", 105), found)
    assert line.startswith("Q/DQ not fused: 1 QuantizeLinear, 1 DequantizeLinear take 50.0 µs")
    assert "1 Conv still compute in float32 (40.0 µs)" in line


def test_slow_integer_kernels_are_told_with_what_quantises_at_run_time() -> None:
    found = profile(("DynamicQuantizeLinear", "float32", 10), ("ConvInteger", "int8", 150), ("Mul", "float32", 5))
    line = told(row("int8-dynamic", 170), found)
    assert line.startswith("the integer kernels are no faster: 1 ConvInteger take 150.0 µs")
    assert "1 DynamicQuantizeLinear at run time take 10.0 µs" in line


@pytest.mark.parametrize(("us", "unused"), [(61.0, True), (35.0, False)])
def test_zeros_that_are_multiplied_like_other_weights(us: float, unused: bool) -> None:
    found = profile(("Conv", "float32", us), ("Gemm", "float32", 30), ("Relu", "float32", 5))
    line = told(row("pruned", us + 40, sparsity=0.75), found)
    assert ("75% of the weights are zero" in line) is unused
    assert ("stored dense" in line) is unused


def test_a_smaller_file_is_not_said_to_be_stored_dense() -> None:
    mine = row("pruned", 100, sparsity=0.75, size=400)
    assert "stored dense" not in told(mine, FP32)


def test_time_outside_all_operators() -> None:
    few = lasting(profile(("QLinearConv", "int8", 3), ("QGemm", "int8", 1)), 94)
    null = row("fp32", 0.1, runtime="null", provider="none")
    line = told(row("int8", 100), few, rows=(null,))
    assert line.startswith("overhead: the operators take 4.0 µs of 100.0 µs, the call of the runtime 90.0 µs more")
    assert "an empty call takes 0.1 µs" in line
    assert "not explained" not in line


def test_only_what_the_profiled_call_took_too_is_overhead() -> None:
    few = profile(("QLinearConv", "int8", 3), ("QGemm", "int8", 1))
    assert "70.0 µs are not explained" in told(row("int8", 100), lasting(few, 30))
    assert told(row("int8", 100), lasting(few, 5)) == NOTHING
    assert told(row("int8", 100), few) == NOTHING, "how long the call took is not known"
    unsure = msgspec.structs.replace(profile(("QLinearConv", "int8", 50)), profiler_ns=40e3)
    assert told(row("int8", 100), lasting(unsure, 94)) == NOTHING, "they may have taken 90 µs"


@pytest.mark.parametrize("other", [{"scenario": "offline"}, {"model": "n"}, {"threads": 2}, {"batch": 2}])
def test_an_empty_call_of_another_kind_says_nothing(other: dict[str, object]) -> None:
    few = lasting(profile(("QLinearConv", "int8", 3)), 94)
    null = row("fp32", 0.1, runtime="null", provider="none", **other)
    assert "empty call" not in told(row("int8", 100), few, rows=(null,))


def test_operators_that_the_profiler_costs_more_than_carry_no_cause() -> None:
    found = profile(("QLinearConv", "int8", 60), ("QuantizeLinear", "float32", 30))
    assert told(row("int8", 100), found).startswith("Q/DQ not fused")
    dear = msgspec.structs.replace(found, profiler_ns=91e3)
    assert (
        told(row("int8", 100), dear) == "no cause found: the profiler adds 91.0 µs to the 90.0 µs of int8's operators"
    )
    assert told(row("int8", 100), found, msgspec.structs.replace(FP32, profiler_ns=96e3)).startswith("no cause found")


def test_operators_that_take_longer_than_all_of_it_was_measured_to_carry_no_cause() -> None:
    found = profile(("QLinearConv", "int8", 60), ("QuantizeLinear", "float32", 70))
    assert told(row("int8", 100), found).startswith("no cause found: int8's operators take 130.0 µs under the profiler")
    assert told(row("int8", 125), found).startswith("Q/DQ not fused")
    assert "8 threads share 2 cores" in told(row("int8", 100, threads=8), found, cores=2), "that needs no profile"


def test_operators_that_fp32_does_not_need() -> None:
    found = profile(("QLinearConv", "int8", 20), ("QGemm", "int8", 10), ("Transpose", "int8", 70))
    assert "operators that fp32 has not: 1 Transpose take 70.0 µs" in told(row("int8", 100), found)


def test_operators_that_take_the_place_of_slower_ones_are_not_blamed() -> None:
    reference = profile(("Conv", "float32", 60), ("Softmax", "float32", 30))
    found = profile(("QLinearConv", "int8", 65), ("QLinearSoftmax", "int8", 25))
    assert "operators that fp32 has not" not in told(row("int8", 95), found, reference)


def test_a_reference_that_is_computed_in_less_than_float32_already() -> None:
    reference = profile(("Convolution", "bfloat16", 60), ("FullyConnected", "bfloat16", 30))
    found = profile(("Convolution", "int8", 58), ("FullyConnected", "int8", 32))
    assert "computes fp32 in bfloat16 already" in told(row("int8", 95), found, reference)
    assert "already" not in told(row("pruned", 95, sparsity=0.5), found, reference), "zeros save work in any type"


def test_more_threads_than_cores_and_too_little_work_for_them() -> None:
    found = profile(("QLinearConv", "int8", 60))
    assert "8 threads share 2 cores" in told(row("int8", 100, threads=8), found, cores=2)
    one = row("int8", 100, threads=1)
    line = told(row("int8", 100, threads=4), found, rows=(one,))
    assert line.startswith("too little work for 4 threads")
    busy = profile(("QLinearConv", "int8", 50))
    assert told(row("int8", 100, threads=4), busy, rows=(one,)).startswith("too little work for 4 threads")
    slow = row("int8", 200, threads=1)
    assert "too little work" not in told(row("int8", 100, threads=4), found, rows=(slow,)), "threads do make it faster"


def test_a_gain_within_the_noise_is_blamed_on_nothing_but_the_noise() -> None:
    found = profile(("QLinearConv", "int8", 50), ("QuantizeLinear", "float32", 20))
    assert told(row("int8", 80, half=0.4), found).startswith("it may be faster")
    assert not told(row("int8", 99, half=0.4), found).startswith("it may be faster")


def test_a_gain_without_an_interval_is_not_said_to_lie_within_one() -> None:
    mine = row("int8", 50)
    mine.metrics["p50_latency"] = msgspec.structs.replace(mine.metrics["p50_latency"], low=None, high=None)
    line = told(mine, profile(("QLinearConv", "int8", 40)))
    assert line.startswith("it may be faster: the gain has no interval")
    assert "wider" not in line
    assert said(Gain(value=2.0)) == "2.00 times as fast as fp32 (no interval)"


def test_little_is_to_gain_only_where_most_of_the_time_of_fp32_is_elsewhere() -> None:
    found = profile(("QLinearConv", "int8", 5), ("Softmax", "float32", 90))
    assert told(row("int8", 99), found, profile(("Conv", "float32", 8), ("Softmax", "float32", 90))).startswith(
        "little to gain: 90.0 µs of fp32's 100.0 µs"
    )
    assert "little to gain" not in told(row("pruned-channels", 99), found, profile(("Softmax", "float32", 90)))
    busy = profile(("Conv", "float32", 55), ("Softmax", "float32", 42))
    assert "little to gain" not in told(row("int8", 99), profile(("QLinearConv", "int8", 50)), busy)


def test_where_no_rule_fits_that_is_said() -> None:
    found = profile(("Conv", "float16", 60), ("Gemm", "float16", 30))
    even = profile(("Conv", "float32", 60), ("Gemm", "float32", 30))
    assert told(row("fp16", 90), found, even) == NOTHING


def test_without_a_profile_the_reason_for_that_is_told() -> None:
    missing = Profile(target="x", reason="the process crashed with SIGSEGV")
    assert told(row("int8", 100), missing, missing) == "no cause found: the process crashed with SIGSEGV"


def test_the_heaviest_cause_is_the_one_told() -> None:
    def line(quantise_us: float, transpose_us: float) -> str:
        found = profile(
            ("QLinearConv", "int8", 30),
            ("QuantizeLinear", "float32", quantise_us),
            ("Transpose", "int8", transpose_us),
        )
        return told(row("int8", 100), found)

    assert line(50, 20).startswith("Q/DQ not fused")
    assert line(20, 50).startswith("operators that fp32 has not")


def test_no_rule_breaks_on_empty_profiles_and_every_weight_is_a_share() -> None:
    empty = Profile(target="x")
    for variant in ("int8", "fp16", "pruned", "int8-dynamic", "pruned-channels"):
        mine, reference = row(variant, 100, sparsity=0.5), row("fp32", 100)
        for one in (empty, FP32, profile(("Conv", None, 500))):
            for two in (empty, FP32):
                (pair,) = pairs([mine, reference])
                evidence = evidence_for(pair, one, two, machine("avx2"), [])
                for rule in RULES:
                    cause = rule(evidence)
                    assert cause is None or (0 <= cause.weight <= 1 and cause.sentence), rule.__name__


def test_operators_are_told_apart_whatever_the_runtime_calls_them() -> None:
    mixed = profile(
        ("Convolution", "float32", 1),
        ("CONV_2D", None, 1),
        ("Fully Connected", "int8", 1),
        ("FullyConnected", "int8", 1),
        ("BATCH_MATMUL", None, 1),
        ("Convert", "float32", 1),
        ("DEQUANTIZE", None, 1),
        ("DynamicQuantizeLinear", None, 1),
        ("Cast", "float16", 1),
        ("MatMulNBits", "float32", 1),
        ("Softmax", "float32", 1),
    )
    assert len(products(mixed).operators) == 6
    assert {o.type for o in conversions(mixed).operators} == {"Convert", "DEQUANTIZE", "DynamicQuantizeLinear"}
    assert [o.type for o in casts(mixed).operators] == ["Cast"]


def test_the_types_of_both_profiles_stand_in_one_table_the_most_time_first() -> None:
    found = profile(("Cast", "float16", 5), ("Conv", "float32", 60), ("Conv", "float32", 20))
    times = by_type(found, FP32)
    assert [time.type for time in times] == ["Conv", "Cast", "Gemm", "Relu"]
    assert (times[0].count, times[0].reference_count) == (2, 1)
    assert times[1].reference_count == 0
    assert sum(time.share for time in times) == pytest.approx(1)
    assert sum(time.reference_share for time in times) == pytest.approx(1)
    assert all(time.reference_ns == 0 for time in by_type(found, None))


@pytest.mark.parametrize("provider", ["cuda", "coreml", "qnn", "npu"])
def test_a_row_on_a_gpu_or_another_chip_is_not_blamed_on_the_cpu(provider: str) -> None:
    mine = row("int8", 110, provider=provider)
    other = row("fp32", 100, provider=provider)
    (pair,) = pairs([other, mine])
    found = profile(("QLinearConv", "int8", 105))
    assert "VNNI" not in explain(evidence_for(pair, found, FP32, machine("avx2"), [other, mine]))
