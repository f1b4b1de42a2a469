"""Which layers stay float in an int8 model: how far outputs are off, the ranking, and the fewest that must stay.

Nothing here knows a model format. Reference outputs are those of the float model on calibration examples: the
choice never sees evaluation data.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.export.errors import CannotMake
from bench.quality.parity import parity
from bench.stats.proportion import wilson

Array = npt.NDArray[Any]

NONE = ""
AUTO = "auto"
"""Values of the option `exclude`: no layer, or those that the measured loss asks for. Others are names."""

_DECISION = 0.5  # of a single unit, as in `bench.quality.classification`
_MEASURED_ANEW = 40
_SUM_OFF = 1e-3  # a softmax in float32 sums to 1 within this


@dataclass(frozen=True)
class Exclusion:
    """Layers to leave float, in the order of their choice, and the loss by how many of them are (0 among them)."""

    layers: tuple[str, ...]
    losses: dict[int, float]
    at_most: float
    """A bound of the last of them, as `shown` gives it where it is a share; on the examples that chose the layers."""

    @property
    def before(self) -> float:
        """The loss with every layer quantised."""
        return self.losses[0]

    @property
    def after(self) -> float:
        """The loss with these layers excluded."""
        return self.losses[len(self.layers)]


def decides(reference: Sequence[Array], *, task: str | None = None, labels: Array | None = None) -> bool:
    """Whether the model's answer is a class, so that top-1 agreement is what counts.

    A card's `task` says so; without one, whole numbers as labels or outputs that are probabilities (rows of two or
    more non-negative numbers that sum to 1).
    """
    if task is not None:
        return task == "classification"
    if labels is not None:
        return labels.ndim == 1 and labels.dtype.kind in "iub"
    first = np.asarray(reference[0], dtype=np.float64)
    rows = first.ndim >= 2 and first.shape[-1] >= 2
    return rows and bool((first >= 0).all() and (np.abs(first.sum(axis=-1) - 1) <= _SUM_OFF).all())


def loss(reference: Sequence[Array], outputs: Sequence[Array], *, decisions: bool) -> float:
    """How much is lost against the reference, 0 (nothing) and up; arrays (N, ...), one a model output.

    With `decisions`: the share of examples that the first output decides otherwise. Else 1 less the smallest cosine of
    an example, or the ratio of the norms of difference and reference where outputs have single units, whose
    direction is only a sign. 1 where an output is not finite and the reference is.

    Raises:
        ValueError: counts or shapes differ, or there is no example.
    """
    if decisions:
        seen = parity(outputs[0], reference[0])
        share = seen.argmax_agreement
        if share is None:
            same = (np.asarray(outputs[0]) > _DECISION) == (np.asarray(reference[0]) > _DECISION)
            share = float((same & np.isfinite(outputs[0])).mean())
        return 1 - share
    seen = parity(list(outputs), list(reference))
    if seen.unmatched:
        return 1.0
    return noise(reference, outputs) if seen.cosine is None else 1 - seen.cosine


def shown(share: float, examples: int) -> float:
    """Wilson's one-sided 95 % bound of a share of differing decisions, seen on so many examples.

    Of a choice that was made on the same examples, and looked at after every step, it promises less than 95 %.
    """
    return wilson(round(share * examples), examples, 0.9).high


def check_examples(examples: int, max_loss: float) -> None:
    """Raise `CannotMake` where not even a loss of 0 on so many examples could be `shown` to keep to `max_loss`."""
    floor = shown(0, examples)
    if floor <= max_loss:
        return
    # Without a difference the bound is z² / (n + z²).
    square = shown(0, 1) / (1 - shown(0, 1))
    needed = f"it takes {math.ceil(square / max_loss - square):,}" if max_loss else "no number of them shows 0"
    raise CannotMake(
        f"{examples} calibration examples show a loss of no less than {floor:.4g}, whatever stays float: over "
        f"max_loss = {max_loss:g} ({needed})"
    )


def noise(reference: Sequence[Array], outputs: Sequence[Array]) -> float:
    """The norm of the difference over that of the reference; over several outputs, the largest.

    Finer than `loss`, whose steps are whole examples: layers are chosen by it. Infinite where an output is not
    finite and the reference is.

    Raises:
        ValueError: counts or shapes differ, or there is no example.
    """
    seen = parity(list(outputs), list(reference))
    return float("inf") if seen.unmatched else float(10 ** (-seen.sqnr_db / 20))


def smallest_exclusion(
    layers: Sequence[str],
    noise_of: Callable[[Sequence[str]], float],
    loss_of: Callable[[Sequence[str]], float],
    max_loss: float,
    at_most: Callable[[float], float] = float,
) -> Exclusion:
    """Few layers to leave float so that the loss is at most `max_loss`, found one after another.

    `noise_of` and `loss_of` quantise all but the given layers and measure. Each step leaves that layer float without
    which the others are least noisy; what a layer does depends on what is left float already, so that every step
    measures anew (with more than 40 layers the first step's order stands). At the end, every layer that the bound can
    do without is quantised after all. `at_most` bounds a loss that was seen on a
    sample: the bound must keep to `max_loss`.

    Raises:
        CannotMake: not even leaving all layers float holds.
    """
    chosen: list[str] = []
    order: list[str] = []
    losses: dict[int, float] = {}
    while True:
        losses[len(chosen)] = loss_of(chosen)
        bound = at_most(losses[len(chosen)])
        if bound <= max_loss:
            break
        rest = [layer for layer in layers if layer not in chosen]
        if not rest:
            raise CannotMake(
                f"with all {len(layers)} layers left float the loss on the calibration data is "
                f"{losses[len(layers)]:.4g}, which shows no less than {bound:.4g}: over max_loss = {max_loss:g} "
                "(more calibration examples show less)"
            )
        if not order or len(layers) <= _MEASURED_ANEW:
            order = sorted(rest, key=lambda layer: noise_of([*chosen, layer]))
        chosen.append(order.pop(0))
    # A layer that was chosen early may not be needed now that later ones are float.
    for layer in chosen[:-1]:
        fewer = [other for other in chosen if other != layer]
        loss = loss_of(fewer)
        if at_most(loss) <= max_loss:
            chosen, losses[len(fewer)], bound = fewer, loss, at_most(loss)
    return Exclusion(tuple(chosen), losses, bound)


def named(text: str, layers: Sequence[str], also: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """The layers that a list of names or patterns (`*`, `?`) with commas between means, in the model's order.

    `also` gives further names of a layer.

    Raises:
        CannotMake: one of them fits no layer.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    names = {layer: (layer, *(also or {}).get(layer, ())) for layer in layers}

    def fits(layer: str, pattern: str) -> bool:
        # A name may hold brackets, which a pattern reads as a choice of characters.
        return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for name in names[layer])

    for pattern in wanted:
        if not any(fits(layer, pattern) for layer in layers):
            raise CannotMake(f"exclude: no layer is called {pattern!r}; there are {', '.join(layers)}")
    return [layer for layer in layers if any(fits(layer, pattern) for pattern in wanted)]


def about(found: Exclusion, total: int, examples: int, *, decisions: bool) -> list[str]:
    """Notes: what stays float, the losses before and after, and how many of `total` layers remain int8."""
    what = "decisions that differ from the float model's" if decisions else "1 - cosine with the float model's outputs"
    where = f"on {examples} calibration examples ({what})"
    bound = f" (95 % bound {found.at_most:.4g})" if decisions else ""
    if not found.layers:
        return [f"all {total} layers are int8: loss {found.before:.4g}{bound} {where}"]
    return [
        f"left float: {', '.join(found.layers)}; {total - len(found.layers)} of {total} layers are int8",
        f"loss {found.before:.4g} with every layer in int8, {found.after:.4g}{bound} with these left float, {where}",
    ]
