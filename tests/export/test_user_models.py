"""Models that users bring: every kind of file, with and without data."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError

pytestmark = pytest.mark.slow
TRANSFORMED = ["fp16", "int8", "int8-dynamic", "pruned", "pruned-int8"]


def _onnx(path: Path, nodes, inputs, outputs, weights=(), opset=17, domains=()) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    return path


def _value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


class TestOnnx:
    def test_an_old_fixed_batch_model_reproduces_its_stored_pairs(self, export, user_models, run_onnx):
        folder = user_models / "onnx-mnist"
        given = export(folder / "model.onnx", [("fp32", "onnx"), ("fp16", "onnx")])
        for pair in sorted(folder.glob("test_data_set_*")):
            x, y = (numpy_helper.to_array(onnx.load_tensor(str(pair / f"{side}_0.pb"))) for side in ("input", "output"))
            assert np.allclose(run_onnx(given.folder / given.artifact("fp32", "onnx").path, x), y, rtol=1e-3, atol=1e-3)
            half = run_onnx(given.folder / given.artifact("fp16", "onnx").path, x)
            assert np.allclose(half, y, rtol=2e-2, atol=2e-2 * np.abs(y).max())

    def test_it_is_quantised_after_its_opset_is_converted(self, export, user_models, run_onnx, tmp_path):
        rng = np.random.default_rng(0)
        pictures = rng.uniform(0, 255, (96, 1, 28, 28)).astype(np.float32)
        np.savez(tmp_path / "d.npz", x=pictures[:32], calibration=pictures[32:])
        given = export(user_models / "onnx-mnist" / "model.onnx", [("int8", "onnx")], tmp_path / "d.npz")
        artifact = given.artifact("int8", "onnx")
        assert artifact.opset == 17
        assert "converted from opset 8 to 17" in artifact.notes
        assert artifact.inputs[0].shape == (1, 1, 28, 28)
        rows = np.concatenate([run_onnx(given.folder / artifact.path, row[None]) for row in given.inputs])
        assert np.abs(rows - given.reference).max() < 0.1 * np.abs(given.reference).max()

    def test_without_data_inputs_are_generated_and_int8_says_why_not(self, export, user_models):
        given = export(user_models / "onnx-mnist" / "model.onnx")
        assert given.bundle.data.generated
        assert given.bundle.data.name == "generated inputs (standard normal, seed 0)"
        assert given.inputs.shape == (64, 1, 28, 28)
        assert given.reference.shape == (64, 10)
        assert given.bundle.data.labels is None
        assert given.bundle.model.source_quality is None
        assert given.reason("int8", "onnx").startswith("no calibration data")
        assert any("not fine-tuned" in note for note in given.artifact("pruned", "onnx").notes)
        assert "TFLite" in given.reason("fp32", "tflite")

    def test_state_and_scalars_are_whole_feeds(self, export, user_models, tmp_path):
        data = {"x:input": (3, 1, 512), "x:state": (3, 2, 1, 128)}
        arrays = {key: np.zeros(shape, np.float32) for key, shape in data.items()}
        np.savez(tmp_path / "d.npz", **arrays, **{"x:sr": np.full(3, 16000)})
        given = export(user_models / "silero-vad" / "silero_vad_16k_op15.onnx", [("fp32", "onnx")], tmp_path / "d.npz")
        assert [spec.name for spec in given.artifact("fp32", "onnx").inputs] == ["input", "state", "sr"]
        stored = np.load(given.folder / given.bundle.data.reference)
        assert stored["0"].shape == (3, 1, 1)
        assert stored["1"].shape == (3, 2, 1, 128)
        assert given.artifact("fp32", "onnx").macs is None

    def test_a_model_that_does_not_run_on_generated_inputs_asks_for_data(self, export, user_models):
        with pytest.raises(UserError, match="does not run on these inputs") as raised:
            export(user_models / "silero-vad" / "silero_vad_16k_op15.onnx", [("fp32", "onnx")])
        assert "--data" in raised.value.remedy

    def test_an_unknown_operator_is_named_with_its_domain(self, export, tmp_path):
        node = helper.make_node("Twist", ["x"], ["y"], domain="com.example")
        path = _onnx(tmp_path / "m.onnx", [node], [_value("x", [1, 2])], [_value("y", [1, 2])], domains=["com.example"])
        with pytest.raises(UserError, match=r"'Twist' of domain 'com\.example'"):
            export(path)

    def test_an_already_quantised_file_is_the_source_and_nothing_else(self, mnist, export, tmp_path):
        path = tmp_path / "ready.onnx"
        shutil.copyfile(mnist.folder / mnist.artifact("int8", "onnx").path, path)
        given = export(path)
        assert given.artifact("source", "onnx").sha256
        assert [a.variant for a in given.bundle.artifacts] == ["source"]
        for variant in TRANSFORMED:
            assert given.reason(variant, "onnx") == "the file is already quantised"

    def test_a_float16_file_is_not_called_fp32(self, export, tmp_path):
        weights = numpy_helper.from_array(np.ones((4, 2), np.float16), "w")
        half = TensorProto.FLOAT16
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        path = _onnx(
            tmp_path / "m.onnx", [node], [_value("x", ["n", 4], half)], [_value("y", ["n", 2], half)], [weights]
        )
        given = export(path)
        assert given.artifact("source", "onnx").inputs[0].dtype == "float16"
        assert given.reason("int8", "onnx") == "the file is float16, not float32"

    def test_data_kept_beside_the_file_is_read(self, export, tmp_path, run_onnx):
        weights = numpy_helper.from_array(np.arange(2048, dtype=np.float32).reshape(1024, 2), "w")
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        path = _onnx(tmp_path / "m.onnx", [node], [_value("x", ["n", 1024])], [_value("y", ["n", 2])], [weights])
        onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="m.data", size_threshold=0)
        given = export(path, [("fp32", "onnx")])
        made = run_onnx(given.folder / given.artifact("fp32", "onnx").path, given.inputs)
        assert np.allclose(made, given.reference, rtol=1e-5)


class TestTflite:
    def test_a_float_file_is_fp32_as_given_and_is_quantised(self, export, user_models, run_tflite, tmp_path):
        rng = np.random.default_rng(0)
        pictures = rng.uniform(0, 255, (64, 32, 32, 3)).astype(np.float32)
        np.savez(tmp_path / "d.npz", x=pictures[:32], calibration=pictures[32:])
        path = user_models / "mlperf-tiny-resnet" / "pretrainedResnet.tflite"
        given = export(path, data=tmp_path / "d.npz")
        fp32 = given.artifact("fp32", "tflite")
        assert fp32.sha256 == given.source.sha256
        assert given.artifact("int8", "tflite").inputs[0].dtype == "int8"
        assert given.artifact("int8-dynamic", "tflite").bytes < 0.4 * fp32.bytes
        made = run_tflite(given.folder / given.artifact("int8-dynamic", "tflite").path, given.inputs)
        assert np.mean(made.argmax(axis=1) == given.reference.argmax(axis=1)) > 0.9
        assert "fine-tuned" in given.reason("pruned", "tflite")

    def test_an_int8_file_is_the_source_and_takes_real_values(self, export, user_models):
        given = export(user_models / "mlperf-tiny-kws" / "kws_ref_model.tflite")
        spec = given.artifact("source", "tflite").inputs[0]
        assert (spec.dtype, spec.zero_point) == ("int8", 83)
        assert given.inputs.dtype == np.float32
        assert given.reference.dtype == np.float32
        assert np.allclose(given.reference.sum(axis=1), 1, atol=0.05)
        assert {given.reason(v, "tflite") for v in TRANSFORMED} == {"the file is already quantised"}

    def test_a_damaged_flatbuffer_is_a_user_error(self, export, mnist, tmp_path):
        content = (mnist.folder / mnist.artifact("fp32", "tflite").path).read_bytes()
        path = tmp_path / "cut.tflite"
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(UserError):
            export(path, [("fp32", "tflite")])


@pytest.fixture(scope="module")
def two_headed(tmp_path_factory) -> Path:
    """Two inputs and two outputs whose order is not that of the alphabet, and a Flatten."""
    import keras

    z, a = keras.Input((4, 4, 1), name="zeta"), keras.Input((3,), name="alpha")
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(z), a])
    hidden = keras.layers.Dense(16, activation="relu")(joined)
    outputs = [keras.layers.Dense(2, name="y2")(hidden), keras.layers.Dense(5, name="x5")(hidden)]
    path = tmp_path_factory.mktemp("two") / "two headed.keras"
    keras.Model([z, a], outputs).save(str(path))
    return path


class TestKeras:
    def test_inputs_and_outputs_keep_their_order(self, export, two_headed):
        given = export(two_headed, [("fp32", "onnx"), ("fp32", "tflite"), ("int8", "onnx"), ("pruned", "onnx")])
        assert given.source.name == "two_headed"
        for fmt in ("onnx", "tflite"):
            artifact = given.artifact("fp32", fmt)
            assert [s.name for s in artifact.inputs] == ["zeta", "alpha"]
            assert [s.shape for s in artifact.inputs] == [(None, 4, 4, 1), (None, 3)]
            assert [s.shape for s in artifact.outputs] == [(None, 2), (None, 5)]
        assert given.reason("int8", "onnx").startswith("no calibration data")
        assert any("there are no training data" in note for note in given.artifact("pruned", "onnx").notes)

    def test_tflite_names_are_those_of_its_signature(self, export, two_headed):
        from ai_edge_litert.interpreter import Interpreter

        given = export(two_headed, [("fp32", "tflite")])
        artifact = given.artifact("fp32", "tflite")
        interpreter = Interpreter(model_path=str(given.folder / artifact.path))
        (names,) = interpreter.get_signature_list().values()
        assert set(names["inputs"]) == {s.name for s in artifact.inputs}
        assert {d["name"] for d in interpreter.get_output_details()} == {s.name for s in artifact.outputs}
        interpreter.allocate_tensors()
        stored = np.load(given.folder / given.bundle.data.inputs)
        by_name = {d["name"]: d["index"] for d in (*interpreter.get_input_details(), *interpreter.get_output_details())}
        for i, spec in enumerate(artifact.inputs):
            interpreter.set_tensor(by_name[spec.name], stored[str(i)][:1])
        interpreter.invoke()
        reference = np.load(given.folder / given.bundle.data.reference)
        for i, spec in enumerate(artifact.outputs):
            assert np.allclose(interpreter.get_tensor(by_name[spec.name]), reference[str(i)][:1], atol=1e-5)

    def test_with_training_data_it_is_pruned(self, export, two_headed, tmp_path):
        rng = np.random.default_rng(0)
        z, a = rng.standard_normal((64, 4, 4, 1)).astype("f4"), rng.standard_normal((64, 3)).astype("f4")
        given = {f"{key}:{name}": v for key in ("x", "train_x") for name, v in (("zeta", z), ("alpha", a))}
        np.savez(tmp_path / "d.npz", train_y=rng.integers(0, 2, 64), **given)
        exported = export(two_headed, [("pruned", "onnx"), ("int8", "onnx")], tmp_path / "d.npz")
        # Two outputs and no compiled loss: nothing says what to train for.
        assert "needs a loss" in exported.reason("pruned", "onnx")
        assert "64 calibration examples" in " ".join(exported.artifact("int8", "onnx").notes)

    def test_a_lambda_layer_is_not_run(self, export, tmp_path):
        """In a `.keras` file neither: see tests/cli/test_own_models.py."""
        import keras

        x = keras.Input((2,))
        path = tmp_path / "l.h5"
        keras.Model(x, keras.layers.Lambda(lambda v: v * 2)(x)).save(str(path))
        with pytest.raises(UserError, match="needs code"):
            export(path)

    def test_an_old_h5_file_exports(self, export, user_models):
        given = export(
            user_models / "mlperf-tiny-resnet" / "pretrainedResnet.h5", [("fp32", "onnx"), ("fp32", "tflite")]
        )
        assert given.artifact("fp32", "onnx").parameters == given.artifact("fp32", "tflite").parameters == 77706
        assert given.artifact("fp32", "onnx").macs == given.artifact("fp32", "tflite").macs == 12501632

    def test_a_saved_model_exports(self, export, two_headed, tmp_path, run_onnx):
        import keras

        x = keras.Input((3,), name="alpha")
        model = keras.Model(x, keras.layers.Dense(2)(x))
        model.export(str(tmp_path / "saved"), verbose=False)
        given = export(tmp_path / "saved", [("fp32", "onnx"), ("int8-dynamic", "tflite"), ("pruned", "onnx")])
        made = run_onnx(given.folder / given.artifact("fp32", "onnx").path, given.inputs)
        assert np.allclose(made, model(given.inputs), atol=1e-5)
        assert given.artifact("int8-dynamic", "tflite").bytes
        assert "SavedModel" in given.reason("pruned", "onnx")
