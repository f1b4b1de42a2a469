"""Sources that live in TensorFlow: zoo models, `.keras` and `.h5` files, SavedModels."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import tensorflow as tf

from bench.errors import UserError
from bench.export import onnx as to_onnx
from bench.export import tflite as to_tflite
from bench.export.errors import CannotMake
from bench.export.origin import Array, Feed, TfliteMode
from bench.export.program import Program, model_inputs, tensor_spec, tidy_names
from bench.export.prune import VaryOnce, prune, pruning_key, zeros
from bench.export.pruned import Pruned
from bench.training.report import Report
from bench.training.trained import is_whole, keep
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Split

_NO_TUNING = "a SavedModel cannot be fine-tuned here; give the .keras file"


class _TensorFlowOrigin:
    """What Keras models and SavedModels share: a program becomes ONNX or, by way of a SavedModel, TFLite."""

    not_float: str | None = None

    def __init__(self, program: Program) -> None:
        self._program = program
        self.inputs = program.inputs
        self.outputs = program.outputs

    def run(self, feed: Feed) -> list[Array]:
        """See `Origin.run`."""
        return self._program.run(feed)

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """See `Origin.float_onnx`."""
        return to_onnx.from_program(self._program if pruned is None else self._pruned(pruned), to)

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """See `Origin.tflite`."""
        program = self._program if pruned is None else self._pruned(pruned)
        with tempfile.TemporaryDirectory() as folder:
            program.save(Path(folder))
            return to_tflite.from_saved_model(Path(folder), program, mode, calibration, to)

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        raise CannotMake(_NO_TUNING)

    def _pruned(self, pruned: Pruned) -> Program:
        raise CannotMake(_NO_TUNING)


class SavedModelOrigin(_TensorFlowOrigin):
    """The serving signature of a SavedModel."""

    def __init__(self, folder: Path) -> None:
        try:
            loaded = tf.saved_model.load(str(folder))
        except Exception as error:  # TensorFlow raises nearly anything here
            said = " ".join(str(error).split())[:240] or type(error).__name__
            raise UserError(
                f"TensorFlow cannot load the SavedModel: {said}",
                where=str(folder),
                remedy="save it again with model.export(folder)",
            ) from error
        signatures = loaded.signatures
        if not signatures:
            raise UserError(
                "the SavedModel has no signature", where=str(folder), remedy="save it with model.export(folder)"
            )
        self._loaded = loaded  # its variables die with it
        serving = signatures["serving_default"] if "serving_default" in signatures else next(iter(signatures.values()))
        given = serving.structured_input_signature[1]
        names = list(given)
        specs = [tensor_spec(tidy, given[name]) for name, tidy in zip(names, tidy_names(names), strict=True)]
        outputs = sorted(serving.structured_outputs)

        def call(*tensors: Any) -> list[Any]:
            made = serving(**dict(zip(names, tensors, strict=True)))
            return [made[name] for name in outputs]

        super().__init__(
            Program(call, specs, list(loaded.variables) if hasattr(loaded, "variables") else serving.variables)
        )


@dataclass(frozen=True)
class Tuning:
    """How pruned variants come about.

    `again` gives a second model with the same weights, not compiled (cloning would need a custom loss to be
    registered). `loss` gives the loss the model was compiled with, or None. `vary` gives the inputs of one
    epoch, or is None. Files go to `kept`, under a name that says by which options and code they were made.
    """

    options: Pruning
    again: Callable[[], Any]
    loss: Callable[[], Any]
    vary: VaryOnce | None
    task: str | None
    kept: Path
    seed: int
    report: Report


class KerasOrigin(_TensorFlowOrigin):
    """A Keras model. `train` is what pruned variants are fine-tuned on; None: they cannot be made."""

    def __init__(self, model: Any, train: Split | None, tuning: Tuning) -> None:
        self.train = train
        self._tuning = tuning
        self._pruned_program: Program | None = None
        self._zeros = 0.0
        super().__init__(_program(model))

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        self._pruned(pruned)
        return self._zeros

    def _pruned(self, pruned: Pruned) -> Program:
        if self._pruned_program is None:
            if self.train is None:
                raise CannotMake(
                    "fine-tuning needs training data (for your own model: the arrays 'train_x' and 'train_y' of --data)"
                )
            tuning = self._tuning
            path = tuning.kept / f"pruned-{pruning_key(tuning.options)}.keras"
            copy = tuning.again()
            if is_whole(path):
                copy.load_weights(str(path))
            else:
                keras.utils.set_random_seed(tuning.seed)
                prune(
                    copy,
                    self.train,
                    tuning.options,
                    tuning.report,
                    task=tuning.task,
                    loss=tuning.loss(),
                    vary=tuning.vary,
                    seed=tuning.seed,
                )
                keep(path, copy.save)
            self._zeros = zeros(copy)
            self._pruned_program = _program(copy)
        return self._pruned_program


def load_user_model(path: Path) -> Any:
    """A `.keras` or `.h5` model that was given, without running code that the file brings.

    Raises:
        UserError: it cannot be read, needs code that the file does not hold or that is not trusted, or has no
            fixed inputs.
    """
    try:
        # Not compiled: a loss or metric of another Keras version must not stop a model that can be read.
        model = keras.models.load_model(str(path), safe_mode=True, compile=False)
    except Exception as error:  # Keras raises nearly anything here
        text = " ".join(str(error).split())
        if _is_about_code(error):
            raise UserError(
                f"the model needs code that is not run from a model file: {text[:200]}",
                where=str(path),
                remedy="replace Lambda and custom layers by Keras layers, or give an exported .onnx or .tflite",
            ) from error
        raise UserError(
            f"Keras cannot read the model: {text[:200]}", where=str(path), remedy="save it again with Keras 3"
        ) from error
    if not getattr(model, "inputs", None):
        raise UserError(
            "the model has no fixed inputs",
            where=str(path),
            remedy="save a Functional or Sequential model with an Input",
        )
    return model


def compiled_loss(path: Path) -> Any:
    """The loss that a `.keras` or `.h5` model was compiled with, or None where it has none that Keras finds."""
    try:
        return getattr(keras.models.load_model(str(path), safe_mode=True, compile=True), "loss", None)
    except Exception:  # as in load_user_model; without a loss fine-tuning chooses its own or says so
        return None


def _is_about_code(error: BaseException) -> bool:
    text = str(error)
    marks = (
        "Lambda",
        "safe_mode",
        "custom object",
        "Unknown layer",
        "Could not locate class",
        "registered",
        "Could not deserialize class",
    )
    return any(mark in text for mark in marks)


def _program(model: Any) -> Program:
    flat = _with_plain_layers(model)
    specs = model_inputs(flat)
    structure = flat._inputs_struct if hasattr(flat, "_inputs_struct") else list(flat.inputs)

    def call(*tensors: Any) -> list[Any]:
        given = keras.tree.pack_sequence_as(structure, list(tensors)) if len(tensors) > 1 else tensors[0]
        return cast(list[Any], keras.tree.flatten(flat(given, training=False)))

    return Program(call, specs, [variable.value for variable in flat.variables])


def _with_plain_layers(model: Any) -> Any:
    """The same model, weights shared, with some of Keras' layers written so that they convert to one operator.

    Flatten becomes a reshape to [-1, n]: Keras reads the batch from the tensor, which exports as a
    Shape-Slice-Concat chain that delegates cannot take over. Embedding becomes a Gather: Keras also minds
    negative numbers, which exports as five to ten operators before it.
    """

    class PlainFlatten(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, size: int, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._size = size

        def call(self, inputs: Any) -> Any:
            return tf.reshape(inputs, (-1, self._size))

    class PlainEmbedding(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, source: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self._source = source

        def call(self, inputs: Any) -> Any:
            return tf.gather(self._source.embeddings.value, inputs)

        def compute_output_shape(self, input_shape: Any) -> Any:
            return self._source.compute_output_shape(input_shape)

    def plain(layer: Any) -> Any:
        if isinstance(layer, keras.layers.Flatten) and layer.data_format == "channels_last":
            axes = layer.output.shape[1:]
            return layer if None in axes else PlainFlatten(math.prod(axes), name=layer.name)
        if type(layer) is keras.layers.Embedding and "int" in str(layer.input.dtype):
            return PlainEmbedding(layer, name=layer.name)
        return layer

    try:
        replaced = {id(layer): plain(layer) for layer in model.layers}
        if all(replaced[id(layer)] is layer for layer in model.layers):
            return model
        return keras.models.clone_model(model, clone_function=lambda layer: replaced.get(id(layer), layer))
    except (AttributeError, ValueError, TypeError, NotImplementedError):
        return model  # a layer used twice has no one input, and what cannot be cloned is exported as it is
