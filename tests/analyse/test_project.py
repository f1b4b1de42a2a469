"""Choices on machines that are not here."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analyse.kinds import FELT
from bench.analyse.project import RATES, TIMES, Machine, Validation, project, validate
from bench.hardware.stated import stated_peaks
from bench.record.artifact import TensorSpec
from bench.record.choice import Choice
from bench.record.measurement import Measurement
from bench.record.peaks import MachinePeaks
from tests.analyse.machines import artifact, choice, figure, machine, peaks, profile
from tests.analyse.rows import machine as environment

KNOWN = Validation(factor=1.25, level=0.9, groups=9, pairs=18, between=("threads",))
SHOWN = (*TIMES, *RATES)

positive = st.floats(1e-6, 1e-1)
rates = st.floats(1e9, 1e13)


def onto(here: MachinePeaks, there: MachinePeaks, *choices: Choice, **more: Any) -> tuple[Choice, ...]:
    return project(choices, here, there, profile(), validation=more.pop("validation", KNOWN), **more)


def values(projected: Choice) -> list[float | None]:
    return [projected.figures[name].value for name in SHOWN]


@given(positive, rates, rates, st.floats(1e-7, 1e-3), st.booleans())
def test_onto_the_same_peaks_nothing_changes(latency, compute, bandwidth, call, known):
    here = machine(peaks(fp32=compute, bandwidth=bandwidth, call=call if known else None))
    one = choice(latency)
    (found,) = onto(here, here, one)
    assert values(found) == pytest.approx(values(one))
    assert found.projected == "board"
    assert found.capacity_bound_s == pytest.approx(one.capacity_bound_s)


@given(positive, rates, rates, st.floats(1e-7, 1e-3))
def test_twice_the_peaks_and_half_the_overhead_halve_every_time(latency, compute, bandwidth, call):
    here = machine(peaks(fp32=compute, bandwidth=bandwidth, call=call))
    twice = machine(peaks(fp32=2 * compute, bandwidth=2 * bandwidth, call=call / 2, node=0.5e-7))
    (found,) = onto(here, twice, choice(latency))
    assert found.figures["p50_latency"].value == pytest.approx(latency / 2)
    assert found.figures["p99_latency"].value == pytest.approx(0.75 * latency)
    assert found.figures["throughput"].value == pytest.approx(1.8 / latency)
    # Half the overhead follows from twice the speed of a core where it was not measured there.
    (scaled,) = onto(here, machine(peaks(fp32=2 * compute, bandwidth=2 * bandwidth, call=None)), choice(latency))
    assert values(scaled) == pytest.approx(values(found))


@given(positive, rates, rates, st.floats(1e-7, 1e-3), st.floats(1.0, 10.0))
def test_more_compute_or_bandwidth_is_never_slower(latency, compute, bandwidth, call, times):
    here = machine(peaks(call=call))
    plain = onto(here, machine(peaks(fp32=compute, bandwidth=bandwidth)), choice(latency))[0]
    for fp32, memory in ((compute * times, bandwidth), (compute, bandwidth * times)):
        (faster,) = onto(here, machine(peaks(fp32=fp32, bandwidth=memory)), choice(latency))
        slack = 1 + 1e-12
        assert faster.figures["p50_latency"].value <= plain.figures["p50_latency"].value * slack
        assert faster.figures["capacity"].value * slack >= plain.figures["capacity"].value


@given(st.permutations(range(6)))
def test_the_order_of_the_choices_changes_no_figure(order):
    here = machine(*(peaks(threads, fp32=threads * 1e11) for threads in (1, 2, 4)))
    there = machine(*(peaks(threads, fp32=threads * 3e10) for threads in (1, 2, 4)))
    them = [choice(1e-3 / t**0.7, threads=t, variant=v) for v in ("fp32", "pruned") for t in (1, 2, 4)]
    straight = project(them, here, there, profile())
    turned = project([them[at] for at in order], here, there, profile())
    assert [straight[at] for at in order] == list(turned)


def test_the_projection_follows_by_hand():
    # Here 2e6 operations take 20 µs, 440 B nothing to speak of; overhead 2 µs, measured 52: efficiency 0.4.
    here = machine(peaks(fp32=1e11, bandwidth=1e15))
    there = machine(peaks(fp32=2.5e10, bandwidth=1e15, call=4e-6, node=4e-7))
    (found,) = onto(here, there, choice(52e-6))
    assert found.figures["p50_latency"].value == pytest.approx(8e-6 + 80e-6 / 0.4)
    ratio = 208 / 52
    assert found.figures["capacity"].value == pytest.approx(0.7 / 52e-6 / ratio)
    assert found.capacity_bound_s == pytest.approx(0.01 * ratio), "a slower machine holds that rate under a wider bound"
    (warning,) = found.warnings
    assert "one under p99 ≤ 40 ms; for one under 10 ms, search here under 2.5 ms" in warning
    assert found.figures["energy"].value == pytest.approx(12.0 * 52e-6 / 0.9 * ratio)
    how = found.figures["energy"].how
    assert how.startswith("projected:from here")
    assert how.endswith("the rated power of board for as long, an upper estimate")


def test_an_overhead_beyond_what_was_measured_leaves_the_limit():
    here = machine(peaks(fp32=1e11, bandwidth=1e15, call=1.0))
    there = machine(peaks(fp32=2e11, bandwidth=1e15, call=1.0))
    (found,) = onto(here, there, choice(50e-6))
    assert found.figures["p50_latency"].value == pytest.approx(30e-6 + 10e-6)


def test_every_interval_is_widened_by_the_error_and_says_so():
    here = machine()
    (found,) = onto(here, here, choice(1e-3))
    latency = found.figures["p50_latency"]
    assert (latency.low, latency.high) == pytest.approx((0.98e-3 / 1.25, 1.02e-3 * 1.25))
    assert latency.confidence == pytest.approx(0.85)
    assert latency.how.startswith("projected:from here by the roofline; error within ×1.25 at 90%, by 9 cases")
    assert "says little of another machine" in latency.how
    (open_,) = onto(here, here, choice(1e-3), validation=validate([]))
    bare = open_.figures["p50_latency"]
    assert (bare.low, bare.high, bare.confidence) == (None, None, None)
    assert "no pair of thread settings, or of machines, could be compared" in bare.how


def test_quality_and_size_stay_and_what_does_not_follow_is_not_known():
    one = choice(1e-3)
    (found,) = onto(machine(), machine(peaks(fp32=3e11)), one)
    for name, measured in one.figures.items():
        if name not in FELT:
            assert found.figures[name] == measured
        elif name not in (*SHOWN, "energy"):
            assert "does not follow from the roofline" in found.figures[name].reason
    assert found.figures["peak_rss"].unit == "B"


@pytest.mark.parametrize(
    ("changed", "there", "why"),
    [
        ({"threads": 3}, {}, "the peaks of here with 3 threads are not known"),
        ({"artifact": None}, {}, "no artifact is on record"),
        ({"artifact": artifact("int8", quantised_macs=1.0)}, {}, "the peak of int8 is not known"),
        ({"target": "onnxruntime-openvino"}, {}, "not known which device onnxruntime-openvino computes on"),
        ({"target": "litert-xnnpack"}, {}, "litert-xnnpack is not among what is used there"),
        ({}, {"kind": "gpu"}, "measured on a CPU, which does not tell how near a GPU comes"),
        ({"figures": {**choice().figures, "p50_latency": figure(0.0, "s")}}, {}, "median latency is 0"),
    ],
)
def test_a_choice_that_cannot_be_projected_stays_and_says_why(changed, there, why):
    one = msgspec.structs.replace(choice(), **changed)
    (found,) = project([one], machine(), machine(), profile(**there), validation=KNOWN)
    for name in SHOWN:
        assert why in found.figures[name].reason
    assert found.figures["accuracy"] == one.figures["accuracy"]
    assert found.projected == "board"


def test_a_stated_profile_is_projected_to_with_labels():
    there = stated_peaks(profile(), [1])
    (found,) = project([choice()], machine(), there, profile(), validation=KNOWN)
    how = found.figures["p50_latency"].how
    assert "overhead not measured there, in proportion to one core's fp32 peak" in how
    assert "peaks there are stated, not measured" in how


def test_a_detected_profile_is_projected_to_as_measured():
    seen = {"value": 2e11, "source": "measured by bench profile detect (a product)", "date": "2026-11-01"}
    measured = profile(peak={"fp32": seen})
    (found,) = project([choice(threads=4)], machine(peaks(4), peaks(1)), stated_peaks(measured, [1, 4]), measured,
                       validation=KNOWN)  # fmt: skip
    assert "stated, not measured" not in found.figures["p50_latency"].how


def test_more_threads_than_the_target_has_cores_are_said_to_share_them():
    many = machine(peaks(16, call=None))
    (found,) = project([choice(threads=16)], many, stated_peaks(profile(), [16]), profile(), validation=KNOWN)
    assert "16 threads there share 4 cores" in found.figures["p50_latency"].how


def test_a_case_of_a_gpu_is_not_projected_from_the_peaks_of_a_cpu():
    gpu = profile(kind="gpu", providers=["onnxruntime-cuda"])
    one = choice(target="onnxruntime-cuda")
    (found,) = project([one], machine(), stated_peaks(gpu, [1]), gpu, validation=KNOWN)
    assert "computes on the GPU, and the peaks are those of a CPU" in found.figures["p50_latency"].reason
    (known,) = project([one], machine(), stated_peaks(gpu, [1]), gpu, validation=KNOWN, of="gpu")
    assert known.figures["p50_latency"].value


CACHED = msgspec.structs.replace(environment("avx2"), cache_bytes=10_000_000, architecture="x86_64")


def test_what_the_cache_there_may_not_hold_is_told_and_in_the_interval():
    # 20 µs by compute at either end; the file alone would take 100 µs of the memory.
    here = machine(peaks(call=None))
    (found,) = onto(here, here, choice(52e-6), environment=CACHED)
    latency = found.figures["p50_latency"]
    assert latency.value == pytest.approx(52e-6)
    slower = 1_000_440 / 1e10 / 20e-6
    assert latency.high == pytest.approx(1.02 * 52e-6 * 1.25 * slower)
    assert latency.low == pytest.approx(0.98 * 52e-6 / 1.25)
    assert found.figures["throughput"].low == pytest.approx(0.98 * 0.9 / 52e-6 / 1.25 / slower)
    assert "the file is taken to stay in the cache there as it does here, else up to ×5" in latency.how
    assert any("where it does not, a call takes up to ×5 as long" in warning for warning in found.warnings)
    rows = choice(52e-6, artifact=artifact(operators={"Gather": 1, "MatMul": 6}))
    assert not onto(here, here, rows, environment=CACHED)[0].warnings


def scaling(latency: float, threads: int, **more: Any) -> Choice:
    return choice(latency, threads=threads, **more)


TWO = machine(peaks(1, bandwidth=1e15, call=None), peaks(2, fp32=2e11, bandwidth=1e15, call=None))


def test_the_error_is_the_ratio_of_predicted_to_measured():
    # Twice the peak would have halved 1 ms: 0.6 ms were measured.
    found = validate([Machine(choices=(scaling(1e-3, 1), scaling(0.6e-3, 2)), peaks=TWO)])
    assert found.factor == pytest.approx(1.2)
    assert (found.groups, found.pairs, found.level) == (1, 2, pytest.approx(0.5))
    assert found.between == ("threads",)


def test_of_many_cases_the_conformal_quantile_is_taken_and_of_few_the_largest():
    def seen(count: int) -> Validation:
        them = []
        for number in range(1, count + 1):
            one = {"variant": f"v{number}"}
            them += [scaling(1e-3, 1, **one), scaling(0.5e-3 * math.exp(-number / 100), 2, **one)]
        return validate([Machine(choices=tuple(them), peaks=TWO)])

    assert seen(19).factor == pytest.approx(math.exp(0.18)), "ceil(20 x 0.9) = 18th of 19"
    assert seen(19).level == 0.9
    assert seen(9).factor == pytest.approx(math.exp(0.09))
    few = seen(4)
    assert few.factor == pytest.approx(math.exp(0.04))
    assert few.level == pytest.approx(0.8)


def test_machines_are_predicted_from_each_other_too():
    other = machine(peaks(1, fp32=4e11, bandwidth=1e15, call=None), name="other")
    found = validate([
        Machine(choices=(scaling(1e-3, 1),), peaks=TWO),
        Machine(choices=(scaling(0.3e-3, 1),), peaks=other),
    ])  # fmt: skip
    assert found.factor == pytest.approx(1.2)
    assert found.between == ("machines",)
    assert "says little" not in found.told


def test_what_cannot_be_compared_gives_no_bound():
    failed = msgspec.structs.replace(scaling(0.6e-3, 2), failure="it crashed")
    for them in ((scaling(1e-3, 1),), (scaling(1e-3, 1), failed), (scaling(1e-3, 1), scaling(1e-3, 8))):
        found = validate([Machine(choices=them, peaks=TWO)])
        assert found.factor is None
        assert found.reason == "no pair of thread settings, or of machines, could be compared"


@pytest.mark.parametrize("count", [5, 9, 19])
def test_the_bound_covers_a_new_case_as_often_as_it_says(count):
    rng = np.random.default_rng(count)
    kept, trials = 0, 100
    for _ in range(trials):
        errors = rng.normal(0, 0.3, count + 1)
        *them, new = [
            (scaling(1e-3, 1, variant=f"v{at}"), scaling(0.5e-3 * math.exp(error), 2, variant=f"v{at}"))
            for at, error in enumerate(errors)
        ]
        bound = validate([Machine(choices=tuple(each for pair in them for each in pair), peaks=TWO)])
        level = bound.level
        kept += validate([Machine(choices=new, peaks=TWO)]).factor <= bound.factor
    # Three standard errors below what is promised.
    assert kept / trials >= level - 3 * math.sqrt(level * (1 - level) / trials)


def test_the_pairs_may_come_in_any_order():
    them = [scaling(1e-3 / t**0.6, t, variant=v) for v in ("fp32", "pruned") for t in (1, 2)]
    straight = validate([Machine(choices=tuple(them), peaks=TWO)])
    random.Random(0).shuffle(them)
    assert validate([Machine(choices=tuple(them), peaks=TWO)]) == straight


def test_two_machines_are_held_against_each_other_only_with_as_many_threads():
    other = machine(peaks(2, fp32=4e11, bandwidth=1e15, call=None), name="other")
    found = validate([
        Machine(choices=(scaling(1e-3, 1),), peaks=TWO),
        Machine(choices=(scaling(0.3e-3, 2),), peaks=other),
    ])  # fmt: skip
    assert (found.factor, found.pairs) == (None, 0)


def test_between_two_machines_each_has_its_own_cache():
    # 20 µs by compute where the file stays in the cache, 100 µs by the memory where it does not.
    small = msgspec.structs.replace(CACHED, cache_bytes=1000)
    memory = machine(peaks(call=None))
    found = validate([
        Machine(choices=(choice(20e-6),), peaks=memory, environment=CACHED),
        Machine(choices=(choice(1_000_440 / 1e10),), peaks=memory, environment=small),
    ])  # fmt: skip
    assert (found.factor, found.pairs) == (pytest.approx(1.0), 2)


def test_a_case_with_nothing_to_do_is_not_projected():
    empty = (TensorSpec(name="x", dtype="float32", shape=(None, 0)),)
    one = choice(artifact=artifact(macs=0, inputs=empty, outputs=empty))
    (found,) = onto(machine(), machine(), one, environment=CACHED)
    assert "it has nothing to compute and nothing to move" in found.figures["p50_latency"].reason


def test_an_overhead_is_not_scaled_where_no_fp32_peak_of_a_core_is_known():
    whole = peaks(int8=4e11)
    here = machine(msgspec.structs.replace(whole, compute={"int8": whole.compute["int8"]}))
    there = machine(peaks(int8=8e11, call=None))
    one = choice(artifact=artifact("int8", quantised_macs=1.0))
    (found,) = onto(here, there, one)
    assert "neither the overhead there nor one core's fp32 peak is known" in found.figures["p50_latency"].reason


def test_a_figure_that_was_not_measured_is_not_projected_and_energy_needs_a_rated_power_and_a_rate():
    mute = Measurement.unavailable("1/s", "too few samples")
    one = choice(figures={**choice().figures, "throughput": mute})
    (found,) = onto(machine(), machine(), one)
    assert found.figures["throughput"] == mute
    assert found.figures["energy"].reason == "not projected to board: too few samples"
    (found,) = project([choice()], machine(), machine(), profile(power={}), validation=KNOWN)
    assert found.figures["energy"].reason == "not projected to board: the profile states no rated power (tdp)"
