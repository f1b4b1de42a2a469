"""A TensorFlow function with named inputs and ordered outputs: the one form from which both formats are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from bench.errors import UserError
from bench.export.origin import Array, Feed
from bench.record.artifact import TensorSpec


class Program:
    """`call` takes one tensor an input and gives the outputs as a list. `variables` are what it reads.

    Outputs are called `output_0`, `output_1`, … in the order of the source.
    """

    def __init__(
        self, call: Callable[..., Sequence[Any]], inputs: Sequence[TensorSpec], variables: Sequence[Any]
    ) -> None:
        self.inputs = tuple(inputs)
        self.signature = [tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in inputs]
        self._variables = list(variables)

        def named(*tensors: Any) -> dict[str, Any]:
            return {f"output_{i}": tensor for i, tensor in enumerate(call(*tensors))}

        self.function = tf.function(named, input_signature=self.signature)
        self._concrete = self.function.get_concrete_function()
        made = self._concrete.structured_outputs
        self.outputs = tuple(tensor_spec(name, made[name]) for name in sorted(made, key=_number))

    def run(self, feed: Feed) -> list[Array]:
        """One inference."""
        made = self._concrete(*(tf.constant(array) for array in feed))
        return [np.asarray(made[spec.name].numpy()) for spec in self.outputs]

    def save(self, folder: Path) -> None:
        """Write a SavedModel whose only signature is this function."""
        module = tf.Module()
        # Tracked, or the converter leaves them as variables instead of constants.
        module.kept = self._variables
        module.run = self.function
        tf.saved_model.save(module, str(folder), signatures=self.function)


def tensor_spec(name: str, tensor: Any) -> TensorSpec:
    """The record of a TensorFlow or Keras tensor. Raises `UserError` for an unknown rank or a type without numbers."""
    rank_known = getattr(tensor.shape, "rank", 0) is not None
    dtype = tf.as_dtype(tensor.dtype)
    if not rank_known or not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        raise UserError(
            f"the tensor {name!r} has {'type ' + dtype.name if rank_known else 'no known rank'}",
            remedy="save the model with numeric tensors of a known rank",
        )
    shape = tuple(None if axis is None else int(axis) for axis in tuple(tensor.shape))
    return TensorSpec(name=name, dtype=dtype.name, shape=shape)


def model_inputs(model: Any) -> list[TensorSpec]:
    """The inputs of a Keras model, in its order, under tidy names."""
    names = tidy_names([tensor.name for tensor in model.inputs])
    return [tensor_spec(name, tensor) for name, tensor in zip(names, model.inputs, strict=True)]


def tidy_names(names: Sequence[str]) -> list[str]:
    """Input names as identifiers, unique; names that Keras made up become `input_0` and so on."""
    made_up = re.compile(r"^(keras_tensor|input_layer|input)(_\d+)?$")
    tidy: list[str] = []
    for i, name in enumerate(names):
        clean = re.sub(r"\W+", "_", name.split(":")[0]).strip("_")
        fits = bool(clean) and not made_up.match(clean) and not clean[0].isdigit() and clean not in tidy
        tidy.append(clean if fits else f"input_{i}")
    return tidy


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])
