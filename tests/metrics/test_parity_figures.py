"""Figures and warnings of numeric agreement, from outputs on real and on edge inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from bench.metrics.parity import EDGE, FIGURES, NO_EDGES, Compared, compare
from bench.metrics.quality import evaluate
from bench.metrics.robustness import Outputs
from bench.record.artifact import Artifact, Bundle, DataInfo, Edges, ModelInfo, Recipe, TensorSpec

Array = np.ndarray
KINDS = ("zeros", "highest", "highest")
EDGE_REFERENCE = np.array([[0.5, 0.5], [0.9, 0.1], [0.8, 0.2]])
REAL = np.random.default_rng(0).dirichlet([1, 1], 50)


def bundle(
    base: str = "fp16", variant: str = "mine", task: str | None = "classification", *, edges: bool = True
) -> Bundle:
    output = TensorSpec(name="scores", dtype="float32", shape=(None, 2))
    artifact = Artifact(
        model="m",
        variant=variant,
        format="onnx",
        path="p",
        sha256="",
        bytes=1,
        inputs=(),
        outputs=(output,),
        recipe=Recipe(base),
        operators={"Conv": 4},
    )
    kept = Edges(inputs="edges.npz", reference="edges-reference.npz", kinds=KINDS) if edges else None
    data = DataInfo(name="d", examples=50, inputs="inputs.npz", reference="reference.npz", edges=kept)
    return Bundle(model=ModelInfo(name="m", source="s", source_sha256="", task=task), data=data, artifacts=(artifact,))


def compared(folder: Path, index: Bundle, real: Array = REAL, edges: Array | None = EDGE_REFERENCE) -> Compared:
    """`real` and `edges` as the outputs of the variant."""
    np.savez(folder / "reference.npz", **{"0": REAL})
    np.savez(folder / "edges-reference.npz", **{"0": EDGE_REFERENCE})
    given = NO_EDGES
    if edges is not None:
        np.savez(folder / "edge-outputs.npz", **{"0": edges})
        given = Outputs(path=folder / "edge-outputs.npz")
    return compare([real], given, folder, index, index.artifacts[0])


def test_equal_outputs_have_every_figure_and_no_warning(tmp_path: Path) -> None:
    found = compared(tmp_path, bundle())
    assert set(found.figures) == {*FIGURES, EDGE}
    assert [found.figures[name].value for name in ("parity_max_abs", "parity_mean_abs", EDGE)] == [0, 0, 0]
    assert (found.figures["parity_sqnr"].value, found.figures["parity_sqnr"].unit) == (300, "dB")
    assert found.warnings == ()


def test_the_worst_kind_is_named_and_each_kind_has_its_own_figures(tmp_path: Path) -> None:
    found = compared(tmp_path, bundle(), edges=EDGE_REFERENCE + np.array([[0.001, 0], [0, 0], [0, -0.002]]))
    assert found.figures[EDGE].value == pytest.approx(0.002)
    assert (found.figures[EDGE].how, found.figures[EDGE].n) == ("measured:edge-inputs:highest", 3)
    assert (found.edges["zeros"].examples, found.edges["highest"].examples) == (1, 2)
    assert found.edges["zeros"].max_abs == pytest.approx(0.001)


def test_values_that_only_the_variant_loses_are_a_warning_that_names_the_kind(tmp_path: Path) -> None:
    broken = EDGE_REFERENCE.copy()
    broken[1] = np.nan
    found = compared(tmp_path, bundle("int8"), edges=broken)
    assert found.figures[EDGE].value is None
    assert "highest" in str(found.figures[EDGE].reason)
    (warning,) = found.warnings
    assert "2 output values are NaN or infinite on the edge inputs highest" in warning


@pytest.mark.parametrize(("base", "warned"), [("fp32", True), ("fp16", True), ("int8", False), ("pruned", False)])
def test_float_types_alone_are_held_to_their_bound_at_the_edges(tmp_path: Path, base: str, *, warned: bool) -> None:
    found = compared(tmp_path, bundle(base), edges=EDGE_REFERENCE + np.array([[0, 0], [0.4, 0], [0, 0]]))
    assert any("edge inputs highest" in warning for warning in found.warnings) is warned


@pytest.mark.parametrize(
    ("base", "noise", "warned"),
    [
        ("fp32", 1e-6, False),
        ("fp32", 1e-3, True),
        ("fp16", 1e-3, False),
        ("fp16", 0.05, True),
        ("int8", 0.05, False),
        ("int8", 0.6, True),
        ("pruned", 0.6, False),
    ],
)
def test_the_bound_is_that_of_the_variant_behind_a_name_of_the_users(
    tmp_path: Path, base: str, noise: float, *, warned: bool
) -> None:
    real = REAL + noise * np.random.default_rng(1).uniform(-1, 1, REAL.shape)
    found = compared(tmp_path, bundle(base), real)
    assert bool(found.warnings) is warned
    assert not warned or f"more than {base} explains" in found.warnings[0]


def test_outputs_that_are_not_finite_are_a_warning_and_no_figure(tmp_path: Path) -> None:
    real = REAL.copy()
    real[3, 0] = np.inf
    found = compared(tmp_path, bundle(), real)
    assert found.figures["parity_sqnr"].value is None
    assert "1 infinite values" in found.warnings[0]


def test_the_largest_of_values_that_decide_nothing_is_no_agreement(tmp_path: Path) -> None:
    for task, there in (("classification", True), (None, True), ("reconstruction", False), ("regression", False)):
        found = compared(tmp_path, bundle(task=task))
        assert (found.figures["parity_agreement"].value is not None) is there
        assert (found.figures["clear_agreement"].value is not None) is there


def test_names_and_depth_are_those_of_the_files_own_format(tmp_path: Path) -> None:
    index = bundle()
    (onnx,) = index.artifacts
    output = TensorSpec(name="Identity", dtype="float32", shape=(None, 2))
    tflite = replace(onnx, format="tflite", outputs=(output,))
    compared(tmp_path, index)
    both = replace(index, artifacts=(onnx, tflite))
    for artifact, name in ((onnx, "scores"), (tflite, "Identity")):
        assert set(compare([REAL], NO_EDGES, tmp_path, both, artifact).outputs) == {name}


def test_a_bundle_without_edges_and_edges_that_were_not_run_say_why(tmp_path: Path) -> None:
    assert compared(tmp_path, bundle(edges=False)).figures[EDGE].reason == NO_EDGES.reason
    assert compared(tmp_path, bundle(), edges=None).figures[EDGE].reason == NO_EDGES.reason
    short = compared(tmp_path, bundle(), edges=EDGE_REFERENCE[:2])
    assert "cannot be compared" in str(short.figures[EDGE].reason)
    assert short.figures["parity_max_abs"].value == 0


def test_without_outputs_of_the_source_or_with_others_there_is_nothing_to_compare(tmp_path: Path) -> None:
    index = bundle()
    none = compared(tmp_path, replace(index, data=replace(index.data, reference=None)))
    assert {figure.how for figure in none.figures.values()} == {"unavailable:no outputs of the source model"}
    other = compared(tmp_path, index, real=REAL[:, :1])
    assert set(other.figures) == {*FIGURES, EDGE}
    assert {"outputs cannot be compared: " in figure.how for figure in other.figures.values()} == {True}


def agreement(folder: Path, index: Bundle, ours: list[Array], theirs: list[Array]) -> float | None:
    np.savez(folder / "reference.npz", **{str(at): values for at, values in enumerate(theirs)})
    return compare(ours, NO_EDGES, folder, index, None).figures["parity_agreement"].value


def test_a_unit_that_is_a_probability_decides_at_one_half_and_no_other_unit_does(tmp_path: Path) -> None:
    theirs, ours = np.array([[0.1], [0.4], [0.6], [0.9]]), np.array([[0.1], [0.6], [0.6], [0.9]])
    assert agreement(tmp_path, bundle(), [ours], [theirs]) == 0.75
    assert agreement(tmp_path, bundle(), [3 * theirs], [3 * theirs]) is None


def test_what_a_model_remembers_decides_nothing(tmp_path: Path) -> None:
    index = bundle()
    kept = replace(index, model=replace(index.model, state=(("memory in", "output 1"),)))
    turned = REAL[:, ::-1]
    assert agreement(tmp_path, kept, [REAL, turned], [REAL, REAL]) == 1
    assert agreement(tmp_path, index, [REAL, turned], [REAL, REAL]) < 1


def test_labels_without_a_metric_to_judge_by_give_no_figure_and_say_so(tmp_path: Path) -> None:
    index = bundle(edges=False)
    labelled = replace(index, data=replace(index.data, labels="labels.npy"))
    assert labelled.model.metric is None
    for name in ("reference", "outputs"):
        np.savez(tmp_path / f"{name}.npz", **{"0": REAL})
    found = evaluate(tmp_path / "outputs.npz", NO_EDGES, tmp_path, labelled, index.artifacts[0])
    assert found.figures["accuracy"].reason == "the model states no metric"
    assert found.figures["parity_max_abs"].value == 0
    assert found.under_corruption is None
