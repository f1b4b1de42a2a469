"""A row below a floor fails or warns, as the suite says; compressed variants are warned of."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bench.metrics.floors import Floors, judge
from bench.metrics.quality import NOT_ASKED, missing
from bench.metrics.row import make_row
from bench.record.case import Case
from bench.record.measurement import Measurement
from bench.record.observation import Observation, Phase, Placement, Plan, Samples

FLOORS = Floors(metric="accuracy", quality=0.9, agreement=0.97, about="a published table", missed="fail")


def figures(accuracy: float | None = 0.95, agreement: float | None = 0.99, n: int = 100) -> dict[str, Measurement]:
    def figure(value: float | None) -> Measurement:
        if value is None:
            return Measurement.unavailable("1", "2 of 9 output values are not finite", n)
        return Measurement(value=value, unit="1", n=n, how="measured:evaluation")

    return {"accuracy": figure(accuracy), "parity_agreement": figure(agreement), "clear_agreement": figure(agreement)}


@pytest.mark.parametrize("variant", ["fp32", "fp16", "source"])
def test_a_variant_that_is_not_compressed_fails_below_the_floor(variant: str) -> None:
    failure, warnings = judge(FLOORS, variant, figures(accuracy=0.8))
    assert failure is not None
    assert failure.phase == "evaluate"
    assert failure.reason == "accuracy 0.8000 is below the model's floor of 0.9 (a published table)"
    assert not warnings


@pytest.mark.parametrize("variant", ["int8", "int8-dynamic", "pruned", "pruned-int8"])
def test_a_compressed_variant_is_warned_of(variant: str) -> None:
    failure, warnings = judge(FLOORS, variant, figures(accuracy=0.8))
    assert failure is None
    assert warnings == ["accuracy 0.8000 is below the model's floor of 0.9 (a published table)"]


def test_int8_has_to_agree_with_the_source_and_a_pruned_model_has_not() -> None:
    failure, _ = judge(FLOORS, "int8", figures(agreement=0.9))
    assert failure is not None
    assert "agreement with the source model 0.9000 is below" in failure.reason
    assert judge(FLOORS, "pruned", figures(agreement=0.9)) == (None, [])


def test_both_floors_are_named_where_both_are_missed() -> None:
    failure, _ = judge(FLOORS, "fp32", figures(accuracy=0.8, agreement=0.9))
    assert failure is not None
    assert failure.reason.count("below the model's floor") == 2


def test_an_error_has_a_limit_above_it() -> None:
    limits = msgspec.structs.replace(FLOORS, metric="mae")
    failure, _ = judge(limits, "fp32", figures(accuracy=0.95))
    assert failure is not None
    assert failure.reason.startswith("MAE 0.9500 is above the model's limit of 0.9")
    assert judge(limits, "fp32", figures(accuracy=0.8)) == (None, [])


def test_figures_at_their_floors_pass() -> None:
    assert judge(FLOORS, "fp32", figures(accuracy=0.9, agreement=0.97)) == (None, [])


def test_without_floors_nothing_is_judged() -> None:
    assert judge(Floors(metric="accuracy", missed="fail"), "fp32", figures(accuracy=0.1, agreement=0.1)) == (None, [])


def test_a_suite_that_warns_fails_nothing() -> None:
    lenient = msgspec.structs.replace(FLOORS, missed="warn")
    failure, warnings = judge(lenient, "fp32", figures(accuracy=0.8, agreement=0.9))
    assert failure is None
    assert len(warnings) == 2


def test_examples_that_give_no_figure_reach_no_floor_but_what_was_not_evaluated_is_not_judged() -> None:
    failure, _ = judge(FLOORS, "fp16", figures(accuracy=None))
    assert failure is not None
    assert "2 of 9 output values are not finite" in failure.reason
    nobody = Measurement.unavailable("1", NOT_ASKED)
    assert judge(FLOORS, "fp16", dict.fromkeys(figures(), nobody)) == (None, [])


def test_a_row_that_fails_for_its_quality_keeps_every_figure() -> None:
    n = 3000
    case = Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu")
    seen = Observation(
        case=case,
        invocation=0,
        status="ok",
        samples=Samples(
            start_ns=np.arange(n, dtype=np.int64) * 10**6,
            latency_ns=np.full(n, 10**5, dtype=np.int64),
            block=np.arange(n, dtype=np.int64) // 50,
            stopped_by="precision: reached",
        ),
        placement=Placement(provider="CPU", nodes={"CPU": 3}, evidence="e"),
        phases=(Phase("measure", 0, 10**9),),
        quality=missing("not asked for") | figures(accuracy=0.8),
    )
    row = make_row(case, [seen], artifact=None, dataset="d", plan=Plan(), floors=FLOORS)
    assert row.status == "failed"
    assert row.measured
    assert row.metrics["p50_latency"].value == pytest.approx(1e-4)
    assert row.metrics["accuracy"].value == 0.8
    lenient = msgspec.structs.replace(FLOORS, missed="warn")
    warned = make_row(case, [seen], artifact=None, dataset="d", plan=Plan(), floors=lenient)
    assert warned.status == "ok"
    assert warned.metrics == row.metrics
    assert "below the model's floor" in warned.warnings[0]
