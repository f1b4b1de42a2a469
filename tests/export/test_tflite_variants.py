"""TFLite variants of a small network of one's own: from Keras by TensorFlow, from a float file without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.export import qat, tflite_quantize
from bench.export.errors import CannotMake
from bench.export.messages import Request
from bench.export.origin import predict
from bench.export.tflite_facts import facts
from bench.export.tflite_model import TfliteModel
from bench.export.variants import VARIANTS, OptionSpec
from bench.export.workshop import Workshop, open_workshop
from bench.zoo.find import find

pytestmark = pytest.mark.slow


def _open(model: Path, data: Path, folder: Path, told: list[str] | None = None) -> Workshop:
    request = Request(source=find(str(model)), variants=[], folder=str(folder), data=str(data), seed=0, describe=False)
    lines = [] if told is None else told
    return open_workshop(request, folder, lambda text, *_, **__: lines.append(text), None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("variants")


@pytest.fixture(scope="module")
def keras_shop(folder: Path) -> Workshop:
    """A trained network for 8 x 8 digits, with a batch normalisation and a branch that is added again."""
    import keras
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = (pictures / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 1), name="picture")
    first = keras.layers.Conv2D(12, 3, padding="same", activation="relu")(given)
    second = keras.layers.Conv2D(12, 3, padding="same", use_bias=False)(first)
    second = keras.layers.ReLU()(keras.layers.BatchNormalization()(second))
    joined = keras.layers.MaxPooling2D(2)(keras.layers.Add()([first, second]))
    hidden = keras.layers.Dense(24, activation="relu")(keras.layers.Flatten()(joined))
    model = keras.Model(given, keras.layers.Dense(10)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss=loss)
    model.fit(pictures[:1000], labels[:1000], epochs=6, batch_size=64, verbose=0)
    model.save(folder / "digits.keras")
    bright = np.concatenate([pictures[1000:1001] * 4, pictures[1000:1127]])
    np.savez(
        folder / "data.npz",
        x=pictures[1200:],
        y=labels[1200:],
        calibration=bright,
        train_x=pictures[:1000],
        train_y=labels[:1000],
    )
    return _open(folder / "digits.keras", folder / "data.npz", folder / "keras")


@pytest.fixture(scope="module")
def tflite_shop(keras_shop: Workshop, folder: Path) -> Workshop:
    """The same network as a float file with outputs that no labels explain."""
    keras_shop.origin.tflite(folder / "digits.tflite", "fp32")
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "bare.npz", x=data["x"], calibration=data["calibration"])
    return _open(folder / "digits.tflite", folder / "bare.npz", folder / "tflite")


@pytest.fixture(params=["keras", "tflite"])
def shop(request: pytest.FixtureRequest) -> Workshop:
    return request.getfixturevalue(f"{request.param}_shop")


def _options(variant: str, **given: Any) -> dict[str, Any]:
    """All options of a variant, those that are not given at their defaults."""
    return {name: spec.default for name, spec in VARIANTS[variant].options.items()} | given


def _outputs(shop: Workshop, path: Path) -> Any:
    return predict(TfliteModel(path.read_bytes()).run, shop.material.inputs, shop.origin.inputs)[0]


def _noise(shop: Workshop, path: Path) -> float:
    reference = predict(shop.origin.run, shop.material.inputs, shop.origin.inputs)[0]
    return float(np.linalg.norm(_outputs(shop, path) - reference) / np.linalg.norm(reference))


def _kernel_scales(path: Path) -> list[int]:
    """How many scales each integer kernel has."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    constants = [t for t in graph.tensors if t.type == schema.TensorType.INT8 and len(t.shape) > 1]
    constants = [t for t in constants if model.buffers[t.buffer].data is not None]
    return [len(t.quantization.scale) for t in constants]


def test_int16_activations_lose_less_than_int8_ones(shop, tmp_path):
    fine, coarse = tmp_path / "fine.tflite", tmp_path / "coarse.tflite"
    tflite_quantize.int16x8(shop, fine, {})
    tflite_quantize.static(shop, coarse, _options("int8"))
    known = facts(fine.read_bytes())
    assert known.inputs[0].dtype == known.outputs[0].dtype == "int16"
    assert known.inputs[0].zero_point == 0
    assert known.quantised_nodes == 1
    assert _noise(shop, fine) < _noise(shop, coarse) < 0.1


def test_float16_weights_halve_the_file_and_hardly_change_outputs(shop, tmp_path):
    whole, half = tmp_path / "whole.tflite", tmp_path / "half.tflite"
    shop.origin.tflite(whole, "fp32")
    shop.origin.tflite(half, "fp16")
    known = facts(half.read_bytes())
    assert known.half
    assert known.inputs[0].dtype == known.outputs[0].dtype == "float32"
    assert half.stat().st_size < 0.75 * whole.stat().st_size
    assert 0 < _noise(shop, half) < 2e-3


def test_int8_weights_alone_keep_inputs_and_outputs_float(shop, tmp_path):
    tflite_quantize.dynamic(shop, tmp_path / "d.tflite", _options("int8-dynamic"))
    known = facts((tmp_path / "d.tflite").read_bytes())
    assert known.inputs[0].dtype == known.outputs[0].dtype == "float32"
    assert known.quantised_macs is not None
    assert known.quantised_macs > 0
    assert 0 < _noise(shop, tmp_path / "d.tflite") < 0.05


def test_kernels_have_a_scale_a_channel_or_one_scale_as_asked(shop, tmp_path):
    tflite_quantize.static(shop, tmp_path / "c.tflite", _options("int8", per_channel=True))
    tflite_quantize.static(shop, tmp_path / "t.tflite", _options("int8", per_channel=False))
    assert max(_kernel_scales(tmp_path / "c.tflite")) > 1
    assert set(_kernel_scales(tmp_path / "t.tflite")) == {1}


def test_the_range_of_an_input_covers_its_rarest_calibration_example(shop, tmp_path):
    tflite_quantize.static(shop, tmp_path / "i.tflite", _options("int8"))
    spec = facts((tmp_path / "i.tflite").read_bytes()).inputs[0]
    assert spec.dtype == "int8"
    assert (127 - spec.zero_point) * spec.scale >= 0.99 * shop.material.calibration[0].max()


def test_named_layers_stay_float_and_the_rest_is_int8(shop, tmp_path):
    notes = tflite_quantize.static(shop, tmp_path / "n.tflite", _options("int8", exclude="CONV_2D:*"))
    known = facts((tmp_path / "n.tflite").read_bytes())
    assert known.quantised_nodes == 0.5  # two dense layers of four products
    assert known.inputs[0].dtype == "float32"  # a convolution reads it
    assert known.outputs[0].dtype == "int8"
    assert any("left float: CONV_2D:0, CONV_2D:1" in note for note in notes)


def test_a_model_with_every_layer_left_float_computes_what_it_did(tflite_shop, tmp_path):
    tflite_quantize.static(tflite_shop, tmp_path / "f.tflite", _options("int8", exclude="*"))
    assert _noise(tflite_shop, tmp_path / "f.tflite") < 1e-6


def test_as_few_layers_stay_float_as_a_stated_loss_takes(tflite_shop, tmp_path):
    made = {}
    for max_loss in (1.0, 3e-4, 1e-4):
        path = tmp_path / f"{max_loss}.tflite"
        notes = tflite_quantize.static(tflite_shop, path, _options("int8", exclude="auto", max_loss=max_loss))
        made[max_loss] = facts(path.read_bytes()).quantised_nodes, _noise(tflite_shop, path), " ".join(notes)
    shares = [share for share, _, _ in made.values()]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1 > shares[-1]
    assert made[1.0][1] > made[1e-4][1]
    assert "layers are int8: loss" in made[1.0][2]
    assert "left float" in made[1e-4][2]


def test_a_loss_that_is_met_at_once_leaves_no_layer_float(keras_shop, tmp_path):
    notes = tflite_quantize.static(keras_shop, tmp_path / "a.tflite", _options("int8", exclude="auto", max_loss=0.05))
    assert facts((tmp_path / "a.tflite").read_bytes()).quantised_nodes == 1
    assert any("decisions that differ" in note for note in notes)


def test_a_layer_that_is_not_there_and_an_option_of_onnx_are_refused(tflite_shop, tmp_path, monkeypatch):
    with pytest.raises(CannotMake, match="CONV_2D:0"):
        tflite_quantize.static(tflite_shop, tmp_path / "x.tflite", _options("int8", exclude="conv_99"))
    monkeypatch.setitem(VARIANTS["int8"].options, "calibration", OptionSpec("minmax", "how ranges are found"))
    with pytest.raises(CannotMake, match="calibration"):
        tflite_quantize.static(tflite_shop, tmp_path / "x.tflite", _options("int8", calibration="entropy"))


class TestQuantisationAware:
    def test_the_tuned_int8_model_is_no_worse_than_the_plain_one(self, keras_shop, tmp_path):
        plain, tuned = tmp_path / "plain.tflite", tmp_path / "tuned.tflite"
        tflite_quantize.static(keras_shop, plain, _options("int8"))
        notes = qat.tflite(keras_shop, tuned, _options("int8-qat", epochs=2))
        assert any("2 epochs of quantisation-aware" in note for note in notes)
        assert facts(tuned.read_bytes()).quantised_nodes == 1
        labels = keras_shop.material.labels
        wrong = [int((_outputs(keras_shop, path).argmax(-1) != labels).sum()) for path in (plain, tuned)]
        # Twice the standard error of a count of mistakes is the noise that either count has.
        assert wrong[1] <= wrong[0] + 2 * max(1.0, wrong[0]) ** 0.5
        assert plain.read_bytes() != tuned.read_bytes()

    def test_what_was_tuned_once_is_kept(self, keras_shop, folder, tmp_path):
        told: list[str] = []
        again = _open(folder / "digits.keras", folder / "data.npz", folder / "keras", told)
        options = _options("int8-qat", epochs=1)
        qat.tflite(again, tmp_path / "one.tflite", options)
        epochs = sum("epoch" in line for line in told)
        qat.tflite(again, tmp_path / "two.tflite", options)
        assert epochs > 0
        assert sum("epoch" in line for line in told) == epochs
        assert (tmp_path / "one.tflite").stat().st_size == (tmp_path / "two.tflite").stat().st_size

    def test_the_onnx_file_of_the_tuned_model_is_quantised(self, keras_shop, tmp_path):
        from bench.export.onnx_facts import operators

        qat.onnx(
            keras_shop, tmp_path / "tuned.onnx", _options("int8-qat", epochs=2)
        )  # as above, so that it is tuned once
        assert operators(tmp_path / "tuned.onnx")["QuantizeLinear"] > 0

    def test_it_needs_a_keras_model_and_something_to_train_on(self, keras_shop, tflite_shop, folder, tmp_path):
        with pytest.raises(CannotMake, match="Keras model"):
            qat.tflite(tflite_shop, tmp_path / "x.tflite", _options("int8-qat"))
        untrained = _open(folder / "digits.keras", folder / "bare.npz", folder / "bare")
        with pytest.raises(CannotMake, match="training data"):
            qat.tflite(untrained, tmp_path / "x.tflite", _options("int8-qat"))


@pytest.mark.trials
def test_resnet_reaches_the_agreement_that_is_asked_for_with_some_layers_left_in_int8(user_models, tmp_path):
    from bench.zoo.datasets.photos import load

    data = load("crops", 0, {})
    x, calibration = data.evaluation.inputs[0][::2], data.calibration[0][::2]
    np.savez(tmp_path / "crops.npz", x=x, calibration=calibration)
    shop = _open(user_models / "mlperf-tiny-resnet" / "pretrainedResnet.tflite", tmp_path / "crops.npz", tmp_path)
    reference = predict(shop.origin.run, shop.material.inputs, shop.origin.inputs)[0].argmax(-1)
    agreements, shares = [], []
    for options in ({}, {"exclude": "auto", "max_loss": 0.03}):
        tflite_quantize.static(shop, tmp_path / "r.tflite", _options("int8", **options))
        agreements.append(float((_outputs(shop, tmp_path / "r.tflite").argmax(-1) == reference).mean()))
        shares.append(facts((tmp_path / "r.tflite").read_bytes()).quantised_nodes)
    assert agreements[0] > 0.88  # moving averages of ranges, the tool's own way, give 0.75
    assert agreements[1] >= 0.97
    assert 1 == shares[0] > shares[1] > 0
