"""Keras models and SavedModels that TensorFlow opens in this process, and TFLite files of every kind of operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UserError
from bench.export import tflite_quantize
from bench.export.errors import CannotMake
from bench.export.layers_tflite import TfliteRecorder
from bench.export.onnx_facts import facts as onnx_facts
from bench.export.pruned import Pruned
from bench.export.tflite_facts import TfliteFacts, facts
from bench.export.tflite_origin import TfliteOrigin
from bench.export.variants import VARIANTS
from bench.export.workshop import Material, Workshop
from bench.record.artifact import Artifact
from bench.zoo.card import Pruning
from bench.zoo.find import find

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 2, 4)).astype(np.float32)


def _origin(model: Any, folder: Path, options: Pruning | None = None) -> Any:
    """A Keras model as a source without training data."""
    from bench.export.keras_origin import KerasOrigin, Tuning

    tuning = Tuning(options or Pruning(), lambda: model, lambda: None, None, None, folder, 0, lambda *_, **__: None)
    return KerasOrigin(model, None, tuning)


# Inputs


def test_an_input_that_nothing_reads_is_fed_all_the_same(tmp_path: Path) -> None:
    import keras

    idle, x = keras.Input((3,), name="idle"), keras.Input((4,), name="x")
    origin = _origin(keras.Model([idle, x], keras.layers.Dense(2)(x)), tmp_path)
    origin.float_onnx(tmp_path / "m.onnx")
    origin.tflite(tmp_path / "m.tflite", "fp32")
    order = ["idle", "x"], ["output_0"]
    for known in (onnx_facts(tmp_path / "m.onnx"), facts((tmp_path / "m.tflite").read_bytes(), order)):
        assert [(spec.name, spec.dtype, spec.shape) for spec in known.inputs] == [
            ("idle", "float32", (None, 3)),
            ("x", "float32", (None, 4)),
        ]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with three inputs whose names are not in the order of the alphabet."""
    import tensorflow as tf

    class Sum(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name) for name in ("b", "c", "a")])
        def run(self, b: Any, c: Any, a: Any) -> dict[str, Any]:
            return {"sum": 2 * a + b, "rest": c}

    folder = tmp_path_factory.mktemp("saved") / "model"
    module = Sum()
    tf.saved_model.save(module, str(folder), signatures=module.run)
    return folder


def test_the_inputs_of_a_saved_model_have_one_order_in_every_process(saved: Path) -> None:
    """TensorFlow gives them in another one each time, and a second export adds to the data of the first."""
    from bench.export.keras_origin import SavedModelOrigin

    origin = SavedModelOrigin(saved)
    assert [spec.name for spec in origin.inputs] == ["a", "b", "c"]
    a, b, c = (RNG.normal(size=(2, 4)).astype(np.float32) for _ in "abc")
    rest, total = origin.run((a, b, c))
    np.testing.assert_allclose(total, 2 * a + b, rtol=1e-6)
    np.testing.assert_array_equal(rest, c)


def test_whole_numbers_stay_whole_in_an_integer_file(tmp_path: Path) -> None:
    import keras

    ids = keras.Input((5,), dtype="int32", name="ids")
    rows = keras.layers.Flatten()(keras.layers.Embedding(10, 4)(ids))
    model = keras.Model(ids, [keras.layers.Dense(3)(rows), keras.ops.add(ids, 1)])
    origin = _origin(model, tmp_path)
    origin.tflite(tmp_path / "m.tflite", "int8", calibration=[(np.full((1, 5), at, np.int32),) for at in range(4)])
    known = facts((tmp_path / "m.tflite").read_bytes(), (["ids"], ["output_0", "output_1"]))
    assert [spec.dtype for spec in (*known.inputs, *known.outputs)] == ["int32", "float32", "int32"]
    assert known.quantised


@pytest.mark.parametrize(("shape", "kind", "said"), [(None, "float32", "no known rank"), ((1,), "string", "type str")])
def test_a_tensor_that_is_no_array_of_numbers_is_refused(shape: Any, kind: str, said: str) -> None:
    import tensorflow as tf

    from bench.export.program import tensor_spec

    with pytest.raises(UserError, match=f"the tensor 'words' has {said}"):
        tensor_spec("words", tf.TensorSpec(shape, kind))


# What cannot be used


def _unbuilt(path: Path) -> None:
    import keras

    keras.Sequential([keras.layers.Dense(3)]).save(str(path))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_unbuilt, "the model has no fixed inputs"),
        (lambda path: path.write_bytes(b"no"), "Keras cannot read the model"),
    ],
)
def test_a_keras_file_that_cannot_be_used_says_why(tmp_path: Path, write: Callable[[Path], None], said: str) -> None:
    from bench.export.keras_origin import compiled_loss, load_user_model

    path = tmp_path / "m.keras"
    write(path)
    with pytest.raises(UserError, match=said) as raised:
        load_user_model(path)
    assert "save" in str(raised.value.remedy)
    assert compiled_loss(path) is None


def test_a_saved_model_without_a_signature_or_without_a_graph_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    from bench.export.keras_origin import SavedModelOrigin

    module = tf.Module()
    module.number = tf.Variable(1.0)
    tf.saved_model.save(module, str(tmp_path / "bare"))
    with pytest.raises(UserError, match="has no signature"):
        SavedModelOrigin(tmp_path / "bare")
    (tmp_path / "bare" / "saved_model.pb").write_bytes(b"\xff" * 20)
    with pytest.raises(UserError, match="cannot load the SavedModel"):
        SavedModelOrigin(tmp_path / "bare")


def test_a_card_that_asks_for_no_epochs_has_no_pruned_variant_unless_epochs_are_asked_for(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)])
    origin = _origin(model, tmp_path, Pruning(epochs=0, target=0.5))
    with pytest.raises(CannotMake, match="asks for no epochs"):
        origin.pruned_zeros(Pruned("magnitude"))
    assert origin.pruned_zeros(Pruned("magnitude", epochs=0)) == 0.5


# TFLite files


def _lite(function: Callable[..., Any], *shapes: tuple[int | None, ...]) -> bytes:
    import tensorflow as tf

    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    made = tf.lite.TFLiteConverter.from_concrete_functions([tf.function(function).get_concrete_function(*specs)])
    return bytes(made.convert())


def _repeated(x: Any) -> Any:
    import tensorflow as tf

    times = tf.cast(tf.reduce_sum(x), tf.int32)
    return tf.while_loop(lambda at, _: at < times, lambda at, y: (at + 1, 2.0 * y), (0, x))[1]


def _known(what: str) -> TfliteFacts:
    from tensorflow import matmul, nn

    return facts(
        {
            "transposed": lambda: _lite(lambda x: nn.conv2d_transpose(x, KERNEL, (1, 8, 8, 2), 2), (1, 4, 4, 4)),
            "product": lambda: _lite(matmul, (1, 3, 4), (1, 4, 5)),
            "turned": lambda: _lite(lambda x, y: matmul(x, y, transpose_b=True), (1, 3, 4), (1, 5, 4)),
            "loop": lambda: _lite(_repeated, (1, 4)),
            "free": lambda: _lite(lambda x: nn.conv1d(x, KERNEL[0], 1, "SAME"), (1, None, 2)),
            "number": lambda: _lite(lambda x: 2.0 * x, ()),
        }[what]()
    )


@pytest.mark.parametrize(
    ("what", "macs", "parameters", "shapes"),
    [
        ("transposed", 4 * 4 * 4 * 9 * 2, 72, [(None, 4, 4, 4)]),
        ("product", 3 * 4 * 5, 0, [(None, 3, 4), (None, 4, 5)]),
        ("turned", 3 * 4 * 5, 0, [(None, 3, 4), (None, 5, 4)]),
        ("loop", None, None, [(None, 4)]),
        ("free", None, 28, [(1, None, 2)]),
        ("number", 0, 1, [()]),
    ],
)
def test_macs_and_parameters_are_those_of_one_example_where_it_has_one_size(
    what: str, macs: int | None, parameters: int | None, shapes: list[tuple[int | None, ...]]
) -> None:
    """A transposed convolution has a kernel of 3 x 3 from four channels to two."""
    known = _known(what)
    assert (known.macs, known.parameters) == (macs, parameters)
    assert [spec.shape for spec in known.inputs] == shapes


def _shop(folder: Path, function: Callable[..., Any], examples: int = 8) -> Workshop:
    """A float TFLite file of x [1, 32], with data."""
    path = folder / "given.tflite"
    path.write_bytes(_lite(function, (1, 32)))
    x = RNG.normal(size=(examples, 32)).astype(np.float32)
    material = Material("d.npz", (x,), None, (x,), None)
    return Workshop(find(str(path)), None, TfliteOrigin(path), material, folder, folder, 0, lambda *_, **__: None)


def _options(variant: str, **given: Any) -> dict[str, Any]:
    return {name: spec.default for name, spec in VARIANTS[variant].options.items()} | given


def test_a_file_with_nothing_to_make_smaller_says_so(tmp_path: Path) -> None:
    import tensorflow as tf

    shop, to = _shop(tmp_path, tf.floor), tmp_path / "m.tflite"
    with pytest.raises(CannotMake, match="no weights of convolutions"):
        shop.origin.tflite(to, "fp16")
    for make, options in ((tflite_quantize.dynamic, "int8-dynamic"), (tflite_quantize.static, "int8")):
        with pytest.raises(CannotMake, match="no operator that it quantises"):
            make(shop, to, _options(options, **({"exclude": "auto"} if options == "int8" else {})))
    assert not to.exists()


def test_an_option_that_only_onnx_has_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    shop = _shop(tmp_path, tf.floor)
    with pytest.raises(CannotMake, match="has no option weights: leave it at 'int8'"):
        tflite_quantize.dynamic(shop, tmp_path / "m.tflite", _options("int8-dynamic", weights="uint8"))


def test_tensors_of_plain_whole_numbers_are_no_layers(tmp_path: Path) -> None:
    import tensorflow as tf

    path = tmp_path / "best.tflite"
    path.write_bytes(_lite(lambda x: tf.cast(tf.argmax(x, axis=-1), tf.float32) * 2.0, (1, 32)))
    known = facts(path.read_bytes())
    artifact = Artifact(
        model="m",
        variant="fp32",
        format="tflite",
        path="p",
        sha256="",
        bytes=1,
        inputs=known.inputs,
        outputs=known.outputs,
    )
    recorder = TfliteRecorder(path, artifact)
    kept = recorder.record((RNG.normal(size=(1, 32)).astype(np.float32),))
    operators = {step.tensor: step.operator for step in recorder.steps}
    assert sorted(operators.values()) == ["ARG_MAX", "CAST", "MUL", "input"]
    assert sorted(operators[name] for name in kept) == ["CAST", "MUL", "input"]


def test_a_file_with_weights_of_four_bits_is_known_as_quantised(tmp_path: Path) -> None:
    import tensorflow as tf
    from ai_edge_quantizer import quantizer, recipe

    weights = RNG.normal(size=(32, 4)).astype(np.float32)
    tool = quantizer.Quantizer(bytearray(_lite(lambda x: tf.matmul(x, weights), (1, 32))))
    tool.load_quantization_recipe(recipe.dynamic_wi4_afp32())
    path = tmp_path / "four.tflite"
    path.write_bytes(bytes(tool.quantize(enable_progress_report=False).quantized_model))
    known = facts(path.read_bytes())
    assert (known.parameters, known.macs, known.quantised_macs) == (128, 128, 1.0)
    assert known.sparsity is None, "two weights share a byte"
    assert TfliteOrigin(path).not_float == "the file is already quantised"
