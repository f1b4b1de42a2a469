"""Magnitude pruning with fine-tuning. Keras 3 has no pruning API; this is a mask callback."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.export import quantize
from bench.export.errors import CannotMake
from bench.export.onnx import copy_to
from bench.training.losses import given, usual_loss
from bench.training.report import Report
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Inputs, Split

if TYPE_CHECKING:
    from bench.export.variants import Options
    from bench.export.workshop import Workshop

VaryOnce = Callable[[np.random.Generator], Inputs]
"""The training inputs as one epoch sees them."""

SMALLEST = 32
"""A kernel with fewer weights is left alone: it saves nothing and may be all of a model."""

_RAMP = 0.6  # share of the steps over which sparsity rises; the rest mends
_EVERY = 8  # steps between two choices of the mask
_BATCH = 32


def onnx(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The pruned model as float32 ONNX."""
    path, notes = shop.float_onnx(pruned=True)
    copy_to(path, to)
    return [*notes, _about(shop)]


def tflite(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The pruned model as float32 TFLite."""
    return [*shop.origin.tflite(to, "fp32", pruned=True, calibration=[]), _about(shop)]


def onnx_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The pruned model as static QDQ int8 ONNX."""
    shop.origin.pruned_zeros()  # first, so that its reason is the one given
    return [*quantize.onnx_static(shop, to, options, pruned=True), _about(shop)]


def tflite_int8(shop: Workshop, to: Path, options: Options) -> list[str]:
    """The pruned model as full-integer TFLite."""
    shop.origin.pruned_zeros()  # first, so that its reason is the one given
    return [*quantize.tflite_static(shop, to, options, pruned=True), _about(shop)]


def pruning_key(options: Pruning) -> str:
    """Names what a pruned model depends on beside its dense one: the options and this code."""
    content = options.model_dump_json().encode() + Path(__file__).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def cubic(progress: float, target: float) -> float:
    """The share of zeros when `progress` (0..1) of the ramp is done: rises fast, then gently, to `target`."""
    return target * (1 - (1 - min(max(progress, 0.0), 1.0)) ** 3)


def prunable(model: Any) -> list[Any]:
    """The kernels that can be pruned: matrices and convolutions of at least `SMALLEST` weights."""
    kernels = [
        weight
        for weight in model.trainable_weights
        if "kernel" in weight.name and len(weight.shape) >= 2 and math.prod(weight.shape) >= SMALLEST
    ]
    return list({id(kernel): kernel for kernel in kernels}.values())


def zeros(model: Any) -> float:
    """The share of zeros among all kernels, small ones included."""
    return _share([weight for weight in model.weights if "kernel" in weight.name and len(weight.shape) >= 2])


def prune(
    model: Any,
    train: Split,
    options: Pruning,
    report: Report,
    *,
    task: str | None = None,
    loss: Any = None,
    vary: VaryOnce | None = None,
    seed: int = 0,
) -> None:
    """Set the smallest `options.target` of every prunable kernel to zero, in place, fine-tuning meanwhile.

    `task` is that of a model card, `loss` its own or that of a compiled model (see `_loss`). `vary` gives the
    inputs of each epoch, as in training.

    Raises:
        CannotMake: there is nothing to prune, or no loss is known for the training data.
    """
    import keras

    kernels = prunable(model)
    if not kernels:
        total = sum(math.prod(w.shape) for w in model.trainable_weights if "kernel" in w.name)
        raise CannotMake(f"nothing to prune: no kernel has {SMALLEST} weights or more ({total} in all)")
    if not options.epochs:
        raise CannotMake("the model card asks for no epochs of fine-tuning")
    steps = options.epochs * -(-len(train) // _BATCH)
    mask = _callback(kernels, options.target, max(1, int(_RAMP * steps)))
    rate = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=_loss(model, train, task, loss))
    targets = train.inputs[0] if task == "reconstruction" else train.labels
    rng = np.random.default_rng(seed)
    for epoch in range(options.epochs):
        inputs = given(train.inputs if vary is None else vary(rng))
        seen = model.fit(inputs, targets, batch_size=_BATCH, verbose=0, callbacks=[mask]).history
        share = _share(kernels)
        done = (epoch + 1) / options.epochs
        report(f"pruning epoch {epoch + 1}/{options.epochs}, loss {seen['loss'][0]:.4f}, zeros {share:.1%}", done)
    for kernel in kernels:
        # A ramp longer than the training would end below the target.
        kernel.assign(kernel * _mask(kernel.numpy(), options.target))


def _callback(kernels: list[Any], target: float, ramp: int) -> Any:
    import keras

    class Magnitude(keras.callbacks.Callback):  # type: ignore[misc]
        """Chooses masks while sparsity rises, and applies them after every step."""

        def __init__(self) -> None:
            super().__init__()
            self._step = 0
            self._masks: list[Any] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self._step += 1
            if not self._masks or (self._step <= ramp and (self._step % _EVERY == 0 or self._step == ramp)):
                share = cubic(self._step / ramp, target)
                self._masks = [_mask(kernel.numpy(), share) for kernel in kernels]
            for kernel, mask in zip(kernels, self._masks, strict=True):
                kernel.assign(kernel * mask)

    return Magnitude()


def _mask(weights: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, Any]:
    """Ones and zeros: exactly the smallest `share` of the weights (rounded up) are zero."""
    flat = np.abs(weights).reshape(-1)
    mask = np.ones(flat.size, dtype=weights.dtype)
    mask[np.argsort(flat, kind="stable")[: math.ceil(share * flat.size)]] = 0
    return mask.reshape(weights.shape)


def _share(kernels: list[Any]) -> float:
    count = sum(int(np.count_nonzero(kernel.numpy() == 0)) for kernel in kernels)
    return count / sum(int(math.prod(kernel.shape)) for kernel in kernels)


def _loss(model: Any, train: Split, task: str | None, given: Any) -> Any:
    """A zoo model's own loss or the usual one of its task. Of a user's model: what class numbers ask for, else
    the loss that it was compiled with (which may want one-hot labels), else what the labels allow.
    """
    classes = train.labels is not None and train.labels.ndim == 1 and train.labels.dtype.kind in "iu"
    loss = given if given is not None and not (task is None and classes) else usual_loss(model, train, task)
    if loss is None and given is None:
        raise CannotMake("fine-tuning needs a loss: compile the model before it is saved")
    return given if loss is None else loss


def _about(shop: Workshop) -> str:
    options = shop.card.pruning if shop.card is not None else Pruning()
    return (
        f"magnitude pruning to {options.target:.0%} of every kernel, cubic schedule, "
        f"{options.epochs} epochs of fine-tuning"
    )
