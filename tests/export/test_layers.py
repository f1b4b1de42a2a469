"""Where in a network error enters."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from rich.console import Console

from bench.export.layers import EQUAL_DB, INPUT, LayerJob, LayerTable, Step, compare
from bench.export.layers_onnx import OnnxRecorder
from bench.export.layers_tflite import TfliteRecorder
from bench.export.origin import Array, Feed, feeds
from bench.record.artifact import Artifact, Bundle
from bench.record.codec import json_bytes
from bench.report.layers import document, draw, lines
from bench.runner.layers import layer_tables
from bench.zoo.hashing import file_sha256
from tests.export.conftest import Exported

EXAMPLES = 4
CHAIN = (Step("x", INPUT), Step("a", "Conv", ("x",)), Step("b", "Relu", ("a",)), Step("y", "Conv", ("b",)))


class Chain:
    """A network of three steps that double their input; an error of `share` enters at the step `at`."""

    def __init__(self, at: str = "", share: float = 0.0, names: Mapping[str, str] | None = None) -> None:
        self._at, self._share, self._names = at, share, names or {}
        self.steps: Sequence[Step] = [
            Step(self._named(s.tensor), s.operator, tuple(self._named(i) for i in s.inputs)) for s in CHAIN
        ]

    def _named(self, tensor: str) -> str:
        return self._names.get(tensor, tensor)

    def record(self, feed: Feed) -> Mapping[str, Array]:
        values, made = feed[0], {}
        for step in CHAIN:
            values = values * (1 if step.operator == INPUT else 2)
            if step.tensor == self._at:
                values = values * (1 + self._share)
            if self._named(step.tensor) != "gone":
                made[self._named(step.tensor)] = values
        return made


def job(artifact: Artifact, examples: int = EXAMPLES, expected_db: float = 34.0) -> LayerJob:
    return LayerJob(
        reference=artifact,
        reference_path="",
        artifact=artifact,
        artifact_path="",
        inputs="",
        examples=examples,
        expected_db=expected_db,
    )


SOME = Artifact(model="m", variant="int8", format="onnx", path="p", sha256="", bytes=1, inputs=(), outputs=())
INPUTS = [(np.random.default_rng(0).normal(size=(1, 8)).astype(np.float32),)]


@given(st.sampled_from("aby"), st.floats(0.05, 10))
def test_the_step_where_an_error_enters_is_named_with_its_ratio(at: str, share: float) -> None:
    table = compare(Chain(), Chain(at, share), INPUTS, job(SOME))
    assert table.entry is not None
    assert table.entry.tensor == at
    assert table.entry.sqnr_db == pytest.approx(-20 * np.log10(share), abs=0.01)
    later = [layer for layer in table.layers if layer.place > table.entry.place]
    assert all(layer.drop_db == pytest.approx(0, abs=0.01) for layer in later)


def test_equal_networks_have_no_entry() -> None:
    table = compare(Chain(), Chain(), INPUTS, job(SOME))
    assert {layer.sqnr_db for layer in table.layers} == {EQUAL_DB}
    assert table.entry is None


def test_a_tensor_that_is_missing_passes_on_what_came_before_it() -> None:
    table = compare(Chain(), Chain("a", 0.5, {"b": "gone"}), INPUTS, job(SOME))
    assert table.unmatched == 1
    assert table.entry is not None
    assert table.entry.tensor == "a"
    assert table.layers[-1].inputs_sqnr_db == pytest.approx(table.layers[1].sqnr_db)


class Halved(Chain):
    """Gives half the values of one tensor, as where a layout is another one."""

    def record(self, feed: Feed) -> Mapping[str, Array]:
        made = dict(super().record(feed))
        return made | {"b": made["b"][:, :4]}


def test_a_tensor_of_another_size_is_not_compared() -> None:
    table = compare(Chain(), Halved(), INPUTS, job(SOME))
    assert table.unmatched == 1
    assert [layer.tensor for layer in table.layers] == ["x", "a", "y"]


def test_a_number_at_the_end_of_a_name_does_not_hide_its_counterpart() -> None:
    assert compare(Chain(), Chain("b", 0.5, {"b": "b2"}), INPUTS, job(SOME)).unmatched == 0


def test_values_that_break_are_the_largest_drop_of_all() -> None:
    table = compare(Chain(), Chain("b", np.nan), INPUTS, job(SOME))
    assert table.entry is not None
    assert (table.entry.tensor, table.entry.sqnr_db) == ("b", -EQUAL_DB)


def material(exported: Exported) -> list[Feed]:
    return feeds([exported.inputs[:EXAMPLES]], exported.artifact("fp32", "onnx").inputs)


def convolutions(exported: Exported) -> list[tuple[onnx.NodeProto, set[str]]]:
    """The convolutions of the float file, each with the names of its tensor and of the activation that follows it."""
    graph = onnx.load(str(exported.folder / exported.artifact("fp32", "onnx").path)).graph
    found = [node for node in graph.node if node.op_type == "Conv"]
    return [
        (
            node,
            {
                node.output[0],
                *(o for n in graph.node if n.op_type == "Relu" and node.output[0] in n.input for o in n.output),
            },
        )
        for node in found
    ]


def twice(graph: onnx.GraphProto, name: str) -> None:
    """Double the constant of this name."""
    tensor = next(t for t in graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, name))


def with_fault(exported: Exported, variant: str, at: int, to: Path) -> Path:
    """The variant's ONNX file with the weights of its convolution number `at` doubled."""
    model = onnx.load(str(exported.folder / exported.artifact(variant, "onnx").path))
    node = [node for node in model.graph.node if node.op_type == "Conv"][at]
    made_by = {name: n for n in model.graph.node for name in n.output}
    weights = node.input[1]
    # A quantised kernel is doubled by its scale.
    twice(model.graph, made_by[weights].input[1] if weights in made_by else weights)
    onnx.save(model, str(to))
    return to


@pytest.mark.parametrize("variant", ["int8", "fp16"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_doubled_weights_of_a_layer_are_found_at_that_layer(
    mnist: Exported, tmp_path: Path, variant: str, at: int
) -> None:
    fp32, artifact = mnist.artifact("fp32", "onnx"), mnist.artifact(variant, "onnx")
    reference = OnnxRecorder(mnist.folder / fp32.path, fp32)
    broken = OnnxRecorder(with_fault(mnist, variant, at, tmp_path / "broken.onnx"), artifact)
    expected = {"int8": 34.0, "fp16": 66.0}[variant]
    sound = compare(reference, OnnxRecorder(mnist.folder / artifact.path, artifact), material(mnist), job(artifact))
    table = compare(reference, broken, material(mnist), job(artifact, expected_db=expected))
    assert table.entry is not None
    assert sound.entry is not None
    assert table.entry.tensor in convolutions(mnist)[at][1]
    assert table.entry.sqnr_db < 20 < sound.entry.sqnr_db


@pytest.mark.parametrize("variant", ["int8", "int8-dynamic", "fp16"])
def test_every_layer_of_a_tflite_file_is_matched_and_near_fp32(mnist: Exported, variant: str) -> None:
    fp32, artifact = mnist.artifact("fp32", "tflite"), mnist.artifact(variant, "tflite")
    reference, other = (TfliteRecorder(mnist.folder / a.path, a) for a in (fp32, artifact))
    table = compare(reference, other, material(mnist), job(artifact))
    assert table.unmatched == 0
    assert [layer.place for layer in table.layers] == list(range(len(reference.steps)))
    assert min(layer.sqnr_db for layer in table.layers) > (50 if variant == "fp16" else 25)


def test_the_layers_of_the_imported_resnet_follow_its_residual_graph(
    export: Callable[..., Exported], user_models: Path, tmp_path: Path
) -> None:
    found = export(next((user_models / "mlperf-tiny-resnet").glob("*.h5")), [("fp32", "onnx"), ("fp16", "onnx")])
    fp32, fp16 = found.artifact("fp32", "onnx"), found.artifact("fp16", "onnx")
    reference = OnnxRecorder(found.folder / fp32.path, fp32)
    broken = OnnxRecorder(with_fault(found, "fp16", 5, tmp_path / "broken.onnx"), fp16)
    table = compare(reference, broken, material(found), job(fp16, expected_db=66.0))
    assert table.unmatched == 0
    assert any(len(step.inputs) == 2 and step.operator == "Add" for step in reference.steps)
    assert table.entry is not None
    assert table.entry.tensor in convolutions(found)[5][1]


def test_a_bundle_gives_a_table_for_each_variant_or_why_there_is_none(mnist: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(mnist.folder, folder)
    broken = mnist.artifact("fp16", "onnx")
    model = onnx.load(str(folder / broken.path))
    model.graph.node[-1].op_type = "NoSuchOperator"
    onnx.save(model, str(folder / broken.path))
    wanted = {"onnx": ("fp32", "fp16", "int8", "pruned"), "tflite": ("fp32", "int8-dynamic")}
    kept = [a for a in mnist.bundle.artifacts if a.variant in wanted[a.format]]
    damaged = msgspec.structs.replace(broken, sha256=file_sha256(folder / broken.path))
    kept = [damaged if a == broken else a for a in kept]
    files = {name: sha for name, sha in mnist.bundle.files.items() if name in mnist.bundle.data.paths}
    files |= {a.path: a.sha256 for a in kept}
    index = msgspec.structs.replace(mnist.bundle, artifacts=tuple(kept), files=files)
    (folder / "bundle.json").write_bytes(json_bytes(index))
    tables = {table.variant: table for table in layer_tables(folder, lambda *_, **__: None, examples=2)}
    assert set(tables) == {"fp16", "int8", "pruned", "int8-dynamic"}
    assert tables["int8-dynamic"].format == "tflite"
    assert tables["int8-dynamic"].layers
    assert tables["int8"].examples == 2
    assert tables["int8"].layers
    assert "could not be compared" in str(tables["fp16"].reason)
    assert "another function" in str(tables["pruned"].reason)
    check_report(tables["int8"])


def check_report(table: LayerTable) -> None:
    entry = table.entry
    assert entry is not None
    screen = io.StringIO()
    draw(Console(file=screen, width=250), [table])
    assert all(layer.tensor in screen.getvalue() for layer in table.layers)
    assert entry.tensor in lines(table)[0]
    (told,) = json.loads(json_bytes(document([table])))
    assert told["entry"]["tensor"] == entry.tensor
    assert len(told["layers"]) == len(table.layers)


def test_a_comparison_that_ends_without_an_answer_costs_only_its_own_table(
    digits_bundle: tuple[Path, Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(digits_bundle[0], tmp_path / "bundle"))
    kept = tuple(a for a in digits_bundle[1].artifacts if (a.variant, a.format) != ("fp32", "tflite"))
    (folder / "bundle.json").write_bytes(json_bytes(msgspec.structs.replace(digits_bundle[1], artifacts=kept)))
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    told = {(table.variant, table.format): table.reason for table in layer_tables(folder, lambda *_, **__: None)}
    assert told == {
        ("int8", "onnx"): "the process ended with exit code 1 during comparing layers, without an answer",
        ("int8", "tflite"): "there is no tflite fp32 in the bundle beside it",
    }
