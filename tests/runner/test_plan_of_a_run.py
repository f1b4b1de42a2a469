"""What a run is planned to be: its models, inputs and cases, and what a model is worth that cannot be had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.record.artifact import Bundle
from bench.runner import conduct
from bench.runner.again import FOLDER, measure_again
from bench.runner.described import with_inputs
from bench.runner.events import Events
from bench.runner.plan import Planned, Request, make_subjects, plan_run
from bench.store.manifest import read_manifest
from bench.suite.schema import Matrix, Measure, Suite
from bench.zoo.files import DataMissing

SHORT = Measure(warmup_min_s=0.0, warmup_max_s=0.02, min_s=0.02, max_s=0.05, min_samples=10)


class Silent(Events):
    """Follows a run without a word."""


def product(path: Path) -> str:
    """A model of one small product."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 4), ("y", 2))]
    weight = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    path.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return str(path)


def suite(*variants: str, runtime: str = "onnxruntime-cpu", **more: object) -> Suite:
    matrix = Matrix(variants=list(variants or ("fp32",)), runtimes=[runtime], **more)  # type: ignore[arg-type]
    return Suite(name="short", matrix=[matrix], measure=SHORT)


def planned(*models: str, only: tuple[str, ...] = (), of: Suite | None = None) -> Planned:
    return plan_run(Request(models=models, only=only), of or suite())


def test_two_models_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two models are called 'm'"):
        planned(product(tmp_path / "a" / "m.onnx"), product(tmp_path / "b" / "m.onnx"))


def test_descriptions_of_inputs_are_for_models_that_bring_none(tmp_path: Path) -> None:
    described = tmp_path / "inputs.toml"
    described.write_text("[axes]\nn = 3\n[inputs.x]\ngenerator = 'ones'\n")
    with pytest.raises(UserError, match="bring their own data"):
        plan_run(Request(models=("mnist_cnn@digits",), inputs=str(described)), suite())
    own = suite().model_copy(update={"axes": {"n": 1, "m": 2}})
    both = with_inputs(own, str(described))
    assert both.axes == {"n": 3, "m": 2}, "the file wins over the suite"
    assert both.inputs["x"].generator == "ones"
    assert with_inputs(own, None) is own


def test_a_suite_without_a_case_for_a_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no case for these models") as refused:
        planned(product(tmp_path / "m.onnx"), of=suite(runtime="litert-xnnpack"))
    assert "which cannot become tflite" in str(refused.value.remedy)


def test_a_matrix_that_names_nothing_a_bundle_holds_has_no_case(digits_bundle: tuple[Path, Bundle]) -> None:
    of = Suite(name="two", matrix=[*suite("fp16").matrix, *suite("fp32", "int8").matrix])
    found = plan_run(Request(suite=str(digits_bundle[0])), of)
    assert [case.variant for case in found.cases] == ["fp32", "int8"]


def test_a_model_without_a_case_is_not_exported(tmp_path: Path) -> None:
    wanted, other = product(tmp_path / "wanted.onnx"), product(tmp_path / "other.onnx")
    subjects = make_subjects(planned(wanted, other, only=("wanted",)), tmp_path, Silent())
    assert list(subjects) == ["wanted"]


def test_a_zoo_model_without_its_data_costs_only_its_own_cases_unless_it_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BENCH_DATA_DIR", raising=False)
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    # Whatever is asked of the network is refused at once.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    alone = planned("resnet8@imported")
    with pytest.raises(DataMissing):
        make_subjects(alone, tmp_path, Silent())
    both = planned("resnet8@imported", product(tmp_path / "m.onnx"))
    subjects = make_subjects(both, tmp_path, Silent())
    lost = subjects["resnet8@imported"]
    (case,) = alone.cases
    assert lost.artifact(case) is None
    seen = lost.missing(case, 0)
    assert seen.status == "unavailable"
    assert seen.failure is not None
    assert seen.failure.reason
    (other,) = (case for case in both.cases if case.model == "m")
    assert subjects["m"].artifact(other) is not None


def test_the_second_time_a_case_is_only_looked_up_unless_it_is_asked_for_anew(tmp_path: Path) -> None:
    found = planned(product(tmp_path / "m.onnx"))
    (case,) = found.cases
    with conduct.step_by_step(found, Silent()) as steps:
        first, second, third = steps.measure(case), steps.measure(case), steps.measure(case, anew=True)
    assert first.row == second.row
    assert first.seen[0] is second.seen[0]
    assert third.seen[0] is not first.seen[0]


def test_ctrl_c_ends_a_second_look_at_a_case(tmp_path: Path) -> None:
    class Stopped(Silent):
        def done(self, row: object) -> None:
            raise KeyboardInterrupt

    run = Path(conduct.start(planned(product(tmp_path / "m.onnx")), tmp_path / "results", Silent()).folder)
    (case,) = read_manifest(run).cases
    with pytest.raises(KeyboardInterrupt):
        measure_again(run, [case.name], Stopped())
    (second,) = (run / FOLDER).iterdir()
    assert read_manifest(second).status == "interrupted"
    again = measure_again(run, [case.name], Silent())
    assert set(again.cases["case"]) == {case.name}
