"""Sources that live in TensorFlow: zoo models, `.keras` and `.h5` files, SavedModels."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import keras
import tensorflow as tf

from bench.errors import UserError
from bench.export import onnx as to_onnx
from bench.export import tflite as to_tflite
from bench.export.errors import CannotMake
from bench.export.fine_tune import VaryOnce, fine_tune
from bench.export.keras_channels import without_channels
from bench.export.keras_masks import prune, zeros
from bench.export.keras_qat import quantisation_aware
from bench.export.origin import Array, Feed, Origin, TfliteMode
from bench.export.program import Program, model_inputs, tensor_spec, tidy_names
from bench.export.pruned import Pruned
from bench.training.report import Report
from bench.training.trained import is_whole, keep
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Split

_NO_DATA = (
    "one shot, not fine-tuned: there are no training data "
    "(for your own model: the arrays 'train_x' and 'train_y' of --data)"
)
_NOT_ASKED = "one shot, not fine-tuned: no epoch was asked for"
_PRUNING_CODE = ("channels", "fine_tune", "keras_channels", "keras_masks", "masks")
_QAT_CODE = ("fine_tune", "keras_qat")
_NO_TUNING = "a SavedModel cannot be fine-tuned here; give the .keras file"


@dataclass(frozen=True)
class _PrunedProgram:
    """`zeros` is the share of zeros among its kernels."""

    program: Program
    zeros: float
    notes: tuple[str, ...]


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
        program, notes = self._as_asked(pruned)
        return [*notes, *to_onnx.from_program(program, to)]

    def tflite(
        self, to: Path, mode: TfliteMode, *, pruned: Pruned | None = None, calibration: Sequence[Feed] = ()
    ) -> list[str]:
        """See `Origin.tflite`."""
        program, notes = self._as_asked(pruned)
        with tempfile.TemporaryDirectory() as folder:
            program.save(Path(folder))
            return [*notes, *to_tflite.from_saved_model(Path(folder), program, mode, calibration, to)]

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        raise CannotMake(_NO_TUNING)

    def _pruned(self, pruned: Pruned) -> _PrunedProgram:
        raise CannotMake(_NO_TUNING)

    def _as_asked(self, pruned: Pruned | None) -> tuple[Program, list[str]]:
        if pruned is None:
            return self._program, []
        made = self._pruned(pruned)
        return made.program, list(made.notes)


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
        names = sorted(given)  # the table's own order is another one in every process
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
    """A Keras model. `train` is what pruned variants are fine-tuned on; None: they are made in one shot."""

    def __init__(self, model: Any, train: Split | None, tuning: Tuning) -> None:
        self.train = train
        self._tuning = tuning
        self._made: dict[Pruned, _PrunedProgram] = {}
        super().__init__(_program(model))

    def pruned_zeros(self, pruned: Pruned) -> float:
        """See `Origin.pruned_zeros`."""
        return self._pruned(pruned).zeros

    def quantisation_aware(self, epochs: int, learning_rate: float, *, per_channel: bool) -> tuple[Origin, list[str]]:
        """The model fine-tuned to bear int8, still float32, and notes. Raises `CannotMake`."""
        if self.train is None or not epochs:
            raise CannotMake("quantisation-aware fine-tuning needs training data and an epoch at least")
        tuning = self._tuning
        options = Pruning(epochs=epochs, learning_rate=learning_rate)
        kind = "channel" if per_channel else "tensor"
        path = tuning.kept / f"qat-{kind}-{tuning_key(options, _QAT_CODE)}.keras"
        model = tuning.again()
        if is_whole(path):
            model.load_weights(str(path))
        else:
            keras.utils.set_random_seed(tuning.seed)
            tune = partial(fine_tune, train=self.train, options=options, report=tuning.report, **self._how())
            quantisation_aware(model, tune, per_channel=per_channel)
            keep(path, model.save)
        notes = [f"{epochs} epochs of quantisation-aware fine-tuning, kernels rounded per {kind}"]
        return _TensorFlowOrigin(_program(model)), notes

    def _pruned(self, pruned: Pruned) -> _PrunedProgram:
        if pruned not in self._made:
            self._made[pruned] = self._prune(pruned)
        return self._made[pruned]

    def _prune(self, pruned: Pruned) -> _PrunedProgram:
        options = self._options(pruned)
        tuned = self.train is not None and options.epochs > 0
        smaller = self._tuning.again()
        if pruned.kind == "channels":
            smaller, notes = without_channels(smaller, pruned.keep, pruned.norm)
        else:
            notes = [_about(pruned, options.target)]
        path = self._tuning.kept / f"pruned-{pruned.label}-{tuning_key(options, _PRUNING_CODE)}.keras"
        if tuned and is_whole(path):
            smaller.load_weights(str(path))
        else:
            self._tune(smaller, pruned, options)
            if tuned:
                keep(path, smaller.save)
        share = 0.0 if pruned.kind == "channels" else zeros(smaller)
        if not tuned:
            notes.append(_NOT_ASKED if self.train is not None else _NO_DATA)
        else:
            gently = "" if pruned.kind == "channels" else ", zeros rising by a cubic schedule"
            notes.append(f"{options.epochs} epochs of fine-tuning{gently}")
        return _PrunedProgram(_program(smaller), share, tuple(notes))

    def _tune(self, model: Any, pruned: Pruned, options: Pruning) -> None:
        """Fine-tune in place, where there is something to train with; masks are set in any case."""
        tuning = self._tuning
        keras.utils.set_random_seed(tuning.seed)
        how = self._how()
        if pruned.kind != "channels":
            prune(model, self.train, options, tuning.report, pruned=pruned, **how)
        elif self.train is not None and options.epochs:
            fine_tune(model, self.train, options, tuning.report, **how)

    def _how(self) -> dict[str, Any]:
        """The arguments of `fine_tune` that depend on the model alone."""
        tuning = self._tuning
        return {"task": tuning.task, "loss": tuning.loss(), "vary": tuning.vary, "seed": tuning.seed}

    def _options(self, pruned: Pruned) -> Pruning:
        """The card's, with what was asked for in their place. Raises `CannotMake` where the card forbids it."""
        options = self._tuning.options
        if pruned.epochs is None and not options.epochs:
            raise CannotMake("the model card asks for no epochs of fine-tuning")
        asked = {"target": pruned.sparsity, "epochs": pruned.epochs}
        return options.model_copy(update={name: value for name, value in asked.items() if value is not None})


def tuning_key(options: Pruning, code: Sequence[str]) -> str:
    """Names what a fine-tuned model depends on beside its source: the options and the modules that tune."""
    here = Path(__file__).parent
    content = options.model_dump_json().encode() + b"".join((here / f"{name}.py").read_bytes() for name in code)
    return hashlib.sha256(content).hexdigest()[:12]


def _about(pruned: Pruned, target: float) -> str:
    if pruned.kind == "n:m":
        return f"the {pruned.n} largest of every {pruned.m} weights kept along the inputs of every kernel with as many"
    return f"magnitude pruning to {target:.0%} of every kernel"


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
