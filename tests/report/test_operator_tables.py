"""The operators of a case beside those of fp32, and the layers of a variant: what is said above, below and without."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.console import Console

from bench.export.layers import EQUAL_DB, Layer, LayerTable
from bench.record.profile import Profile
from bench.report import explain, layers
from bench.runner.explain import Explanation
from tests.analyse.rows import profile, row

MINE = msgspec.structs.replace(
    profile(("Conv", "int8", 40.0), ("QuantizeLinear", None, 10.0)),
    inference_ns=61e3,
    profiler_ns=4e3,
    evidence="enable_profiling",
    limits=("times of threads are not told apart",),
)
THEIRS = profile(("Conv", "fp32", 70.0))


def console(width: int = 200) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, color_system=None), out


def explained(variant: str = "int8", **more: Any) -> str:
    """What is printed of a case of this variant beside fp32."""
    fields = {"profile": MINE, "reference": row("fp32", 80.0), "reference_profile": THEIRS, **more}
    to, out = console()
    explain.draw(to, Explanation(run_id="r", row=row(variant, 60.0), **fields))
    return out.getvalue()


def test_both_profiles_stand_in_one_table_with_what_was_timed_beside_their_sums() -> None:
    told = explained()
    assert "fp32: share" in told
    assert (
        "int8: 2 operators take 50.0 µs, the whole inference beside them 61.0 µs "
        "(without 4.00 µs of the profiler's own), p50 as measured 60.0 µs"
    ) in told
    assert "fp32: 1 operator takes 70.0 µs, p50 as measured 80.0 µs" in told
    assert "by enable_profiling; 10 inferences in a process of their own" in told
    assert "limit: times of threads are not told apart" in told


def test_without_a_profile_there_is_the_reason_and_no_table() -> None:
    told = explained(profile=Profile(target="onnxruntime-cpu", reason="no answer within 5 s"))
    assert "int8: no profile, no answer within 5 s" in told
    assert "operator" not in told.partition("fp32:")[0]
    assert "in a process of their own" not in told


@pytest.mark.parametrize(
    ("variant", "reference", "told"),
    [
        ("distilled", row("fp32", 80.0), "distilled does not promise to be faster"),
        ("int8", None, "there is no fp32 beside it in this run"),
    ],
)
def test_where_nothing_was_held_against_fp32_it_says_why(variant: str, reference: Any, told: str) -> None:
    assert told in explained(variant, reference=reference, reference_profile=None)


def layer(place: int, drop_db: float, sqnr_db: float = 30.0, cosine: float | None = 0.999) -> Layer:
    return Layer(
        place=place,
        tensor=f"t{place}",
        operator="Conv",
        sqnr_db=sqnr_db,
        max_abs=0.1,
        cosine=cosine,
        inputs_sqnr_db=sqnr_db + drop_db,
        drop_db=drop_db,
    )


def drawn(table: LayerTable) -> str:
    to, out = console()
    layers.draw(to, [table])
    return out.getvalue()


def test_a_variant_without_layers_has_the_reason_and_no_table() -> None:
    assert drawn(LayerTable(variant="int8", format="onnx", reason="fp32 is not in the bundle")) == (
        "• onnx int8: no layers, fp32 is not in the bundle\n"
    )


def test_a_variant_that_is_equal_throughout_has_a_table_and_no_step_to_name() -> None:
    told = drawn(LayerTable(variant="fp32b", format="onnx", layers=(layer(1, 0.0, EQUAL_DB, None),)))
    assert " equal " in told.partition("•")[0]
    assert told.endswith("• onnx fp32b: every layer equals that of fp32\n")


def test_fused_tensors_are_counted_and_a_usual_drop_is_said_to_be_one() -> None:
    found = LayerTable(
        variant="int8", format="tflite", layers=(layer(1, 2.0), layer(2, 9.0)), unmatched=3, expected_db=28.0
    )
    entry, fused = layers.lines(found)
    assert entry == (
        "tflite int8: most error enters at Conv 't2' (step 2): SQNR 30.0 dB, 9.0 dB below its inputs; "
        "that is usual, one product alone leaves 28.0 dB"
    )
    assert fused.endswith("as where operators are fused: 3")
