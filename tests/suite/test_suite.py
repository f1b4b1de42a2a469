"""A suite file becomes cases; what is wrong in it is named with file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import UserError
from bench.record.case import Case
from bench.suite.expand import expand, only
from bench.suite.load import builtin_suites, load_suite
from bench.suite.schema import Matrix, Suite

FORMATS = {"onnx": frozenset({"onnx"}), "tflite": frozenset({"tflite"}), "both": frozenset({"onnx", "tflite"})}
VARIANTS = {"fp32": FORMATS["both"], "int8": FORMATS["both"], "only-onnx": FORMATS["onnx"]}
RUNTIMES = {"ort-cpu": FORMATS["onnx"], "ort-cuda": FORMATS["onnx"], "lite-xnnpack": FORMATS["tflite"]}

MEASURED = "name = 'x'\nmatrix = [{ variants = ['a'], runtimes = ['b'] }]\n[measure]\n"


def cases_of(suite: Suite, models: dict[str, frozenset[str]], **more: object) -> tuple[list[Case], list[str]]:
    arguments = {"available": lambda target: "no such card" if "cuda" in target else None, **more}
    return expand(suite, models=models, variants=VARIANTS, runtimes=RUNTIMES, scenarios=["single-stream"], **arguments)  # type: ignore[arg-type]


def suite_of(**matrix: object) -> Suite:
    return Suite(
        name="s",
        matrix=[Matrix.model_validate({"models": ["m"], "runtimes": ["ort-cpu"], "variants": ["fp32"], **matrix})],
    )


@pytest.mark.parametrize("name", sorted(builtin_suites()))
def test_every_suite_that_ships_is_valid(name: str) -> None:
    assert load_suite(name).name == name


def test_cases_are_every_combination_in_the_order_of_the_suite() -> None:
    suite = suite_of(variants=["fp32", "int8"], threads=[1, 2], runtimes=["ort-cpu", "lite-xnnpack"])
    cases, notes = cases_of(suite, {"m": FORMATS["both"]})
    assert [case.name for case in cases[:2]] == [
        "m/fp32/ort-cpu/t1/b1/single-stream",
        "m/fp32/ort-cpu/t2/b1/single-stream",
    ]
    assert len(cases) == 8
    assert notes == []


def test_a_runtime_that_is_asked_for_where_available_is_left_out_with_its_reason() -> None:
    cases, notes = cases_of(suite_of(if_available=["ort-cuda"]), {"m": FORMATS["both"]})
    assert [case.target for case in cases] == ["ort-cpu"]
    assert notes == ["ort-cuda: not run, no such card"]


def test_a_model_that_cannot_become_a_format_is_not_run_in_it() -> None:
    cases, notes = cases_of(suite_of(runtimes=["ort-cpu", "lite-xnnpack"]), {"m": FORMATS["onnx"]})
    assert {case.target for case in cases} == {"ort-cpu"}
    assert notes == ["lite-xnnpack: not run for m, which cannot become tflite"]


def test_a_variant_of_another_format_is_not_run() -> None:
    cases, notes = cases_of(suite_of(runtimes=["lite-xnnpack"], variants=["only-onnx", "fp32"]), {"m": FORMATS["both"]})
    assert {case.variant for case in cases} == {"fp32"}
    assert notes == ["only-onnx on lite-xnnpack: not run, it is a variant of onnx"]


@pytest.mark.parametrize(
    ("matrix", "wrong", "near"),
    [
        ({"variants": ["fp23"]}, "unknown variant 'fp23'", "fp32"),
        ({"runtimes": ["ort-cpuu"]}, "unknown runtime 'ort-cpuu'", "ort-cpu"),
        ({"if_available": ["ort-cud"]}, "unknown runtime 'ort-cud'", "ort-cuda"),
        ({"scenarios": ["single"]}, "unknown scenario 'single'", "single-stream"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_valid_one(
    matrix: dict[str, object], wrong: str, near: str
) -> None:
    with pytest.raises(UserError, match=wrong) as refused:
        cases_of(suite_of(**matrix), {"m": FORMATS["both"]})
    assert f"did you mean '{near}'?" in str(refused.value)
    assert "matrix[0]" in str(refused.value)


def test_an_option_that_a_scenario_cannot_have_is_refused() -> None:
    with pytest.raises(UserError, match="single-stream: rate is out of range") as refused:
        cases_of(
            suite_of(options={"rate": 0}),
            {"m": FORMATS["both"]},
            fault=lambda scenario, options: "rate is out of range",
        )
    assert refused.value.where == "suite s: matrix[0].options"


@pytest.mark.parametrize(
    ("text", "wrong", "where"),
    [
        ("name = 'x'\nmatrx = []", "unknown key 'matrx'", "matrx"),
        ("name = 'x'", "the key 'matrix' is missing", ""),
        (
            "name = 'x'\n[[matrix]]\nvariants=['a']\nruntimes=['b']\nthread=[1]",
            "unknown key 'thread'",
            "matrix[0].thread",
        ),
        (
            "name = 'x'\n[[matrix]]\nvariants=['a']\nruntimes=['b']\nthreads=[0]",
            "greater than 0",
            "matrix[0].threads[0]",
        ),
        (
            "name = 'x'\n[measure]\nmin_s = 9\nmax_s = 2\n[[matrix]]\nvariants=['a']\nruntimes=['b']",
            "min_s (9.0)",
            "measure",
        ),
        (f"{MEASURED}warmup_min_s = 9", "warmup_min_s (9.0) is over warmup_max_s", "measure"),
        (f"{MEASURED}tdp_w = 10\nidle_w = 20", "idle_w (20.0) is over tdp_w (10.0)", "measure"),
        (f"{MEASURED}timeout_s = 5", "leaves no room for warmup_max_s + max_s (9.0)", "measure"),
        ("name = 'x", "not valid TOML", ""),
        ("[inputs.x]\ngenertor = 'ones'", "did you mean 'generator'?", "inputs.x.genertor"),
        ("[inputs.x]\ngenerator = 'gauss'", "'normal'", "inputs.x.generator"),
        ("[inputs.x]\nstate = 'y'\nvalue = 1", "fed from an output", "inputs.x"),
        ("[inputs.x]\ngenerator = 'constant'", "needs a value", "inputs.x"),
        ("[inputs.x]\ngenerator = 'ones'\nvalue = 2", "not for ones", "inputs.x"),
        ("[inputs.x]\ngenerator = 'normal'\nrange = [0, 1]", "uniform and integers", "inputs.x"),
        ("[inputs.x]\nrange = [2, 1]", "begins (2) above its end (1)", "inputs.x"),
        ("[axes]\nsequence = 0", "greater than 0", "axes.sequence"),
    ],
)
def test_a_faulty_suite_file_is_named_with_its_key(tmp_path: Path, text: str, wrong: str, where: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        load_suite(str(path))
    assert wrong in str(refused.value)
    assert str(path) in str(refused.value)
    assert where in str(refused.value)
    assert refused.value.remedy


@given(st.text(max_size=400))
def test_any_text_is_a_suite_or_a_clear_refusal(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "s.toml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    with pytest.raises(UserError):
        load_suite(str(path))


def test_an_unknown_suite_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UserError, match="unknown suite 'quik'") as refused:
        load_suite("quik")
    assert "did you mean 'quick'?" in str(refused.value)


def test_only_keeps_the_cases_that_match_a_glob_or_a_part_of_the_name() -> None:
    cases, _ = cases_of(suite_of(variants=["fp32", "int8"]), {"m": FORMATS["both"]})
    assert [case.variant for case in only(cases, ["*/int8/*"])] == ["int8"]
    assert [case.variant for case in only(cases, ["int8"])] == ["int8"]
    assert only(cases, []) == cases
    with pytest.raises(UserError, match="no case matches nothing"):
        only(cases, ["nothing"])


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers() | st.booleans() | st.text(max_size=3)), st.randoms())
def test_the_id_of_a_case_depends_on_content_and_not_on_order(
    options: dict[str, int | bool | str], random: object
) -> None:
    shuffled = list(options.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = Case(model="m", variant="v", runtime="r", provider="p", options=options)
    again = Case(model="m", variant="v", runtime="r", provider="p", options=dict(shuffled))
    other = Case(model="m", variant="v", runtime="r", provider="p", options=options, threads=2)
    assert first.id == again.id != other.id
    assert len(first.id) == 12
