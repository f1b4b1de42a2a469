"""Pruning by masks in Keras: small weights become zero, by magnitude or N of every M, while the model is fine-tuned.

Keras 3 has no pruning API; this is a mask callback.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.export.errors import CannotMake
from bench.export.fine_tune import VaryOnce, fine_tune, steps_in
from bench.export.masks import SMALLEST, Array, smallest_of_each, smallest_out
from bench.export.pruned import Pruned
from bench.training.report import Report
from bench.zoo.card import Pruning
from bench.zoo.datasets.base import Split

_RAMP = 0.6  # share of the steps over which sparsity rises; the rest mends
_EVERY = 8  # steps between two choices of the mask


@dataclass(frozen=True)
class Masked:
    """A kernel and the mask it gets when `progress` (0..1) of the ramp is done."""

    kernel: Any
    mask: Callable[[Array, float], Array]


def cubic(progress: float, target: float) -> float:
    """What to take when `progress` (0..1) of the ramp is done: rises fast, then gently, to `target`.

    Zhu and Gupta 2017, To prune, or not to prune.
    """
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
    train: Split | None,
    options: Pruning,
    report: Report,
    *,
    pruned: Pruned | None = None,
    task: str | None = None,
    loss: Any = None,
    vary: VaryOnce | None = None,
    seed: int = 0,
) -> None:
    """Set weights of every prunable kernel to zero, in place, fine-tuning meanwhile for `options.epochs`.

    Which ones `pruned` says (None: by magnitude, to `options.target`). Without training data or epochs it is done
    in one shot. The other arguments are those of `fine_tune`.

    Raises:
        CannotMake: there is nothing to prune, or no loss is known for the training data.
    """
    masked = _masked(model, pruned or Pruned("magnitude"), options.target)
    if train is not None and options.epochs:
        ramp = max(1, int(_RAMP * steps_in(train, options.epochs)))
        kernels = [each.kernel for each in masked]
        fine_tune(
            model,
            train,
            options,
            report,
            task=task,
            loss=loss,
            vary=vary,
            seed=seed,
            callbacks=[_callback(masked, ramp)],
            state=lambda: f"zeros {_share(kernels):.1%}",
        )
    for each in masked:
        # A ramp longer than the training would end below the target.
        each.kernel.assign(each.kernel * each.mask(each.kernel.numpy(), 1.0))


def _masked(model: Any, pruned: Pruned, target: float) -> list[Masked]:
    kernels = prunable(model)
    if not kernels:
        total = sum(math.prod(w.shape) for w in model.trainable_weights if "kernel" in w.name)
        raise CannotMake(f"nothing to prune: no kernel has {SMALLEST} weights or more ({total} in all)")
    if pruned.kind == "magnitude":
        share = pruned.sparsity if pruned.sparsity is not None else target
        return [Masked(kernel, partial(_by_magnitude, target=share)) for kernel in kernels]
    reductions = {id(kernel): axis for kernel, axis in _reductions(model)}
    found = [
        Masked(kernel, partial(_of_each, n=pruned.n, m=pruned.m, axis=reductions[id(kernel)]))
        for kernel in kernels
        if id(kernel) in reductions and kernel.shape[reductions[id(kernel)]] >= pruned.m
    ]
    if not found:
        raise CannotMake(f"nothing to prune: no kernel sums over {pruned.m} inputs or more")
    return found


def _reductions(model: Any) -> Iterator[tuple[Any, int]]:
    """Kernels whose reduction axis is known, and that axis. Of a convolution it is that of the input channels."""
    import keras

    depthwise = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
    transposed = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
    convolutions = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    separable = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, separable):
            yield layer.pointwise_kernel, -2
            continue
        for weight in getattr(layer, "_trainable_variables", []):
            if "kernel" not in weight.name or isinstance(layer, depthwise):
                continue
            if isinstance(layer, transposed):
                yield weight, -1
            elif isinstance(layer, convolutions) or len(weight.shape) == 2:
                yield weight, -2


def _by_magnitude(weights: Array, progress: float, *, target: float) -> Array:
    return smallest_out(weights, cubic(progress, target))


def _of_each(weights: Array, progress: float, *, n: int, m: int, axis: int) -> Array:
    return smallest_of_each(weights, math.ceil(cubic(progress, m - n)), m, axis)


def _callback(masked: list[Masked], ramp: int) -> Any:
    import keras

    class Zeroing(keras.callbacks.Callback):  # type: ignore[misc]
        """Chooses masks while sparsity rises, and applies them after every step."""

        def __init__(self) -> None:
            super().__init__()
            self._step = 0
            self._masks: list[Any] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self._step += 1
            if not self._masks or (self._step <= ramp and (self._step % _EVERY == 0 or self._step == ramp)):
                self._masks = [each.mask(each.kernel.numpy(), self._step / ramp) for each in masked]
            for each, mask in zip(masked, self._masks, strict=True):
                each.kernel.assign(each.kernel * mask)

    return Zeroing()


def _share(kernels: list[Any]) -> float:
    count = sum(int(np.count_nonzero(kernel.numpy() == 0)) for kernel in kernels)
    return count / sum(int(math.prod(kernel.shape)) for kernel in kernels)
