"""The choice of layers that stay float, measured on the calibration data of a workshop; no model format is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.export import exclusion
from bench.export.origin import Array

if TYPE_CHECKING:
    from bench.export.workshop import Workshop

Outputs = Callable[[Sequence[str] | None, Sequence[Array]], list[Array]]
"""The outputs on some inputs of the file with these layers left float; of the float file itself where it is None."""

_NOISE_EXAMPLES = 64
"""Layers are chosen by a mean over whole outputs, which settles on fewer examples than a share of decisions does."""


def choose(
    shop: Workshop,
    layers: Sequence[str],
    exclude: str,
    max_loss: float,
    outputs: Outputs,
    also: Mapping[str, Sequence[str]] | None = None,
) -> tuple[tuple[str, ...], list[str]]:
    """The layers that `exclude` leaves float (names, or "auto"), and notes. `also` gives further names of layers.

    Raises:
        CannotMake: there is too little calibration data, a name fits no layer, or nothing keeps to `max_loss`.
    """
    examples = len(shop.calibration())
    columns = shop.material.calibration or ()
    reference = outputs(None, columns)
    task = shop.card.task if shop.card is not None else None
    decisions = exclusion.decides(reference, task=task, labels=shop.material.labels)

    def measured(left_float: Sequence[str], given: Sequence[Array]) -> list[Array]:
        # A word for each, as a search may take longer than an export may be silent.
        shop.report(f"measuring int8 with {len(left_float)} of {len(layers)} layers left float", passing=True)
        return outputs(left_float, given)

    def loss_of(left_float: Sequence[str]) -> float:
        return exclusion.loss(reference, measured(left_float, columns), decisions=decisions)

    def at_most(loss: float) -> float:
        return exclusion.shown(loss, examples) if decisions else loss

    if exclude == exclusion.AUTO:
        if decisions:
            exclusion.check_examples(examples, max_loss)
        step = max(1, examples // _NOISE_EXAMPLES)
        few = [column[::step] for column in columns]
        expected = [output[::step] for output in reference]

        def noise_of(left_float: Sequence[str]) -> float:
            return exclusion.noise(expected, measured(left_float, few))

        shop.report(f"measuring how much each of {len(layers)} layers loses in int8")
        found = exclusion.smallest_exclusion(layers, noise_of, loss_of, max_loss, at_most)
    else:
        names = exclusion.named(exclude, layers, also)
        losses = {count: loss_of(names[:count]) for count in (0, len(names))}
        found = exclusion.Exclusion(tuple(names), losses, at_most(losses[len(names)]))
    notes = exclusion.about(found, len(layers), examples, decisions=decisions)
    if exclude == exclusion.AUTO and decisions and found.layers:
        notes.append("the layers were chosen on these examples: on others the loss can be over that bound")
    return found.layers, notes
