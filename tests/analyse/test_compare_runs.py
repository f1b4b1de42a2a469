"""Two snapshots side by side: what may be compared, and what changed."""

from __future__ import annotations

import pytest

from bench.analyse.compare import compare
from bench.errors import UserError
from tests.analyse.snapshots import CASE, figure, latency, snapshot

LITERT = "m/int8/litert-xnnpack/t1/b1/single-stream"


def _only(comparison):
    (change,) = comparison.changes
    return change


def test_the_ratio_is_candidate_over_baseline_with_the_intervals_of_both():
    change = _only(compare(latency("a", 1.0, 0.01), latency("b", 1.2, 0.02), ["p50_latency"]))
    assert change.ratio == pytest.approx(1.2)
    assert 1.2 / 1.03 < change.low < 1.2 / 1.02
    assert 1.2 * 1.02 < change.high < 1.2 * 1.03
    assert (change.basis, change.n) == ("intervals", 5)


@pytest.mark.parametrize(("key", "other"), [("cpu_model", "B"), ("cores", "0"), ("kernel", "6.2"), ("cpu_model", None)])
def test_another_machine_is_refused_by_name_for_times_and_not_for_quality_or_size(key, other):
    figures = {CASE: {"p50_latency": figure(1.0, 0.01), "accuracy": figure(0.9), "size": figure(10)}}
    a, b = snapshot("a", figures), snapshot("b", figures, machine={key: other})
    found = {c.metric: c for c in compare(a, b, ["p50_latency", "accuracy", "size"]).changes}
    assert found["p50_latency"].refused
    assert key in found["p50_latency"].absent
    assert found["accuracy"].ratio == found["size"].ratio == 1
    allowed = _only(compare(a, b, ["p50_latency"], allow=[key]))
    assert allowed.ratio == 1
    assert allowed.labels == (f"allowed: {key}",)


def test_another_version_of_a_runtime_touches_its_own_cases_only():
    figures = {case: {"p50_latency": figure(1.0, 0.01)} for case in (CASE, LITERT)}
    other = snapshot("b", figures, machine={"package:onnxruntime": "1.33.0"})
    found = {c.case: c for c in compare(snapshot("a", figures), other, ["p50_latency"]).changes}
    assert "1.32.0 against 1.33.0" in found[CASE].absent
    assert found[LITERT].ratio == 1


def test_another_boot_is_another_machine_only_where_machines_are_virtual():
    bare = compare(latency("a", 1), latency("b", 1, machine={"boot": "two"}), ["p50_latency"])
    assert _only(bare).ratio == 1
    virtual = {"virtualisation": "hypervisor"}
    guests = compare(
        latency("a", 1, machine=virtual), latency("b", 1, machine={**virtual, "boot": "two"}), ["p50_latency"]
    )
    assert "boot" in _only(guests).absent


def test_quality_on_other_data_and_times_of_another_scope_are_not_compared():
    figures = {CASE: {"p50_latency": figure(1.0, 0.01), "accuracy": figure(0.9)}}
    a = snapshot("a", figures)
    other_data = compare(a, snapshot("b", figures, cases={CASE: {"data": "d2"}}), ["p50_latency", "accuracy"])
    assert [c.refused for c in other_data.changes] == [False, True]
    other_scope = compare(a, snapshot("b", figures, cases={CASE: {"scope": "t"}}), ["p50_latency", "accuracy"])
    assert [c.refused for c in other_scope.changes] == [True, False]
    other_schema = compare(a, snapshot("b", figures, cases={CASE: {"schema": 2}}), ["p50_latency", "accuracy"])
    assert [c.refused for c in other_schema.changes] == [True, True]


def test_a_reference_case_takes_the_speed_of_the_machine_out_and_the_figure_says_so():
    def run(label, speed, machine):
        return snapshot(
            label,
            {CASE: {"p50_latency": figure(2.0 * speed, 0.01)}, LITERT: {"p50_latency": figure(1.0 * speed, 0.01)}},
            machine=machine,
        )

    a, b = run("a", 1.0, {}), run("b", 3.0, {"cpu_model": "B"})
    found = {c.case: c for c in compare(a, b, ["p50_latency"], normalise_by="*/litert-xnnpack/*").changes}
    assert found[CASE].ratio == pytest.approx(1.0)
    assert found[CASE].low < 1 < found[CASE].high
    assert found[CASE].labels == (f"normalised by {LITERT}",)
    assert found[LITERT].refused, "the reference itself has nothing to be normalised by"
    with pytest.raises(UserError, match="fits 0 cases"):
        compare(a, b, ["p50_latency"], normalise_by="*/openvino*")


def test_a_figure_that_the_reference_case_has_not_is_not_normalised():
    both = {"p50_latency": figure(1.0, 0.01), "energy": figure(2.0, 0.01)}
    a, b = (
        snapshot(name, {CASE: both, LITERT: {"p50_latency": figure(1.0, 0.01)}}, machine={"cpu_model": name})
        for name in ("a", "b")
    )
    found = compare(a, b, ["p50_latency", "energy"], normalise_by=LITERT).changes
    change = {(each.case, each.metric): each for each in found}
    assert change[CASE, "p50_latency"].ratio == pytest.approx(1.0)
    assert change[CASE, "energy"].ratio is None
    assert change[CASE, "energy"].absent == f"{LITERT} has no energy to normalise by"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({}, "the candidate has no such case"),
        ({CASE: {}}, "no such figure is on record"),
        ({CASE: {"p50_latency": figure(None, how="unavailable:no clock")}}, "no clock"),
        ({CASE: {"p50_latency": figure(1.0, n=0)}}, "no samples"),
    ],
)
def test_what_is_not_there_says_why(other, said):
    change = _only(compare(latency("a", 1.0), snapshot("b", other), ["p50_latency"]))
    assert change.ratio is None
    assert not change.refused
    assert said in change.absent


def test_a_failed_case_says_what_it_failed_of():
    broken = snapshot(
        "b",
        {CASE: {"p50_latency": figure(None, how="unavailable:the case failed")}},
        cases={CASE: {"status": "failed", "reason": "killed by SIGSEGV"}},
    )
    assert "SIGSEGV" in _only(compare(latency("a", 1.0), broken, ["p50_latency"])).absent


def test_cases_of_one_side_only_are_told_and_another_artifact_too():
    a = snapshot("a", {case: {"size": figure(1)} for case in (CASE, LITERT)})
    b = snapshot("b", {case: {"size": figure(1)} for case in (CASE, "new")})
    assert compare(a, b, ["size"]).notes[:2] == (
        "1 cases in both, 1 only in a, 1 only in b",
        "the artifact is another one in 1 of them",
    )


def test_an_estimate_stays_labelled():
    def energy(label):
        return snapshot(label, {CASE: {"energy": figure(1.0, 0.01, how="estimated:tdp")}})

    assert "estimate" in _only(compare(energy("a"), energy("b"), ["energy"])).labels
