"""A model with memory: its states are recorded from its own steps, and a variant runs on its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.export.bundle import read_index
from bench.export.inputs import Descriptions, InputDescription
from bench.export.prepare import prepare
from bench.record.case import Case
from bench.worker import inputs
from bench.worker.measure import measure
from bench.worker.messages import Job
from bench.zoo.find import find
from tests.export.recurrent import KEEP, leaky, summed
from tests.worker.test_measure import SHORT, Watch

STATE = Descriptions(inputs={"h": InputDescription(state="hn")}, where="f.toml")
X = np.linspace(-1, 2, 12, dtype=np.float32)


def exported(path: Path, cache: Path, data: Path | None, described: Descriptions = STATE):
    folder = prepare(
        find(str(path)), [("fp32", "onnx")], data=data, inputs=described, cache=cache, progress=lambda *_, **__: None
    )
    return folder, read_index(folder)


@pytest.mark.parametrize("layers", [None, 2])
def test_the_reference_is_the_models_own_recurrence_and_its_states_are_kept(tmp_path, layers):
    data = tmp_path / "d.npz"
    x = X[:, None] if layers is None else X[:, None, None]
    np.savez(data, x=x, reset=np.arange(12) == 5)
    folder, bundle = exported(leaky(tmp_path / "m.onnx", layers=layers), tmp_path / "cache", data)
    reference, kept = np.load(folder / bundle.data.reference), np.load(folder / bundle.data.inputs)
    wanted = summed(X, starts=(0, 5))
    np.testing.assert_allclose(reference["0"].ravel(), wanted, rtol=1e-5)
    states = kept["1"].reshape(12, -1)[:, 0]
    np.testing.assert_allclose(states, np.where(np.isin(np.arange(12), (0, 5)), 0, np.roll(wanted, 1)), rtol=1e-5)
    assert bundle.model.state == (("h", "hn"),)
    assert bundle.data.name == "d.npz (h from hn)"


def test_a_sequence_may_begin_with_a_given_state(tmp_path):
    data = tmp_path / "d.npz"
    np.savez(data, **{"x:x": X[:, None], "x:h": np.full((12, 1), 10, np.float32)})
    folder, bundle = exported(leaky(tmp_path / "m.onnx"), tmp_path / "cache", data)
    reference = np.load(folder / bundle.data.reference)["0"].ravel()
    np.testing.assert_allclose(reference, summed(X) + 10 * KEEP ** np.arange(1, 13), rtol=1e-5)


@pytest.mark.parametrize(("layers", "batch"), [(None, 1), (None, 4), (2, 1)])
def test_a_variant_is_evaluated_on_the_states_that_it_gave_itself(tmp_path, layers, batch):
    data = tmp_path / "d.npz"
    np.savez(data, x=X[:, None] if layers is None else X[:, None, None], reset=np.arange(12) == 7)
    folder, bundle = exported(leaky(tmp_path / "m.onnx", layers=layers), tmp_path / "cache", data)
    # Another constant stands for what a transformation changes: on recorded states it would be off by one step only.
    other = leaky(tmp_path / "other.onnx", keep=0.5, layers=layers)
    job = Job(
        case=Case(model="m", variant="fp32", runtime="onnxruntime", provider="cpu", batch=batch),
        artifact=bundle.artifacts[0],
        artifact_path=str(other),
        inputs=str(folder / bundle.data.inputs),
        outputs=str(tmp_path / "outputs.npz"),
        plan=SHORT,
        cores=None,
    )
    seen = measure(job, 0, Watch())
    assert seen.status == "ok", seen.failure
    made = np.load(tmp_path / "outputs.npz")
    assert len(made["0"]) == len(made["1"]) == 12
    np.testing.assert_allclose(made["0"].ravel(), summed(X, 0.5, (0, 7)), rtol=1e-5)


def test_without_data_the_generated_steps_are_one_sequence(tmp_path):
    folder, bundle = exported(leaky(tmp_path / "m.onnx"), tmp_path / "cache", None)
    kept = inputs.read_inputs(folder / bundle.data.inputs)
    memory = inputs.read_memory(folder / bundle.data.inputs)
    assert len(kept) == 2, "the state's own keys are no inputs"
    assert memory == inputs.Memory(((1, 1),), frozenset({0}))
    np.testing.assert_allclose(np.load(folder / bundle.data.reference)["0"].ravel(), summed(kept[0]), rtol=1e-4)
    assert bundle.data.name == "generated inputs (h from hn, seed 0)"


def test_other_descriptions_are_another_export(tmp_path):
    path = leaky(tmp_path / "m.onnx")
    plain, _ = exported(path, tmp_path / "cache", None, Descriptions())
    stateful, _ = exported(path, tmp_path / "cache", None)
    again, _ = exported(path, tmp_path / "cache", None, Descriptions(inputs=STATE.inputs, where="elsewhere.toml"))
    assert plain != stateful
    assert stateful == again


def test_a_state_of_another_size_is_refused(tmp_path):
    data = tmp_path / "d.npz"
    np.savez(data, x=np.zeros((2, 3, 1), np.float32))
    with pytest.raises(UserError, match=r"state 'h' has the shape \[2, 1, 1\], the model gives \[2, 3, 1\]") as raised:
        exported(leaky(tmp_path / "m.onnx", layers=2), tmp_path / "cache", data)
    assert "[axes]" in str(raised.value.remedy)
    described = Descriptions(axes={"n": 3}, inputs=STATE.inputs, where="f.toml")
    _, bundle = exported(tmp_path / "m.onnx", tmp_path / "cache", data, described)
    assert bundle.data.examples == 2
