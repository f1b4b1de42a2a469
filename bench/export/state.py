"""The state of a model with memory, recorded while its source runs over examples in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from bench.errors import UserError
from bench.export.origin import Array, Feed, feeds
from bench.record.artifact import TensorSpec


def recorded(
    run: Callable[[Feed], list[Array]],
    arrays: Sequence[Array],
    specs: Sequence[TensorSpec],
    carried: Sequence[tuple[int, int]],
    starts: Collection[int],
) -> tuple[Array, ...]:
    """`arrays` with the states that the model itself gave, one an example.

    Args:
        run: one inference.
        arrays: one an input, axis 0 the examples; those of a state hold what a sequence starts with.
        specs: the inputs.
        carried: positions (input, output): the input gets what the output was in the example before.
        starts: the examples that begin a sequence; there a state stays as `arrays` has it.

    Raises:
        UserError: an output has not the shape of the state that it is to be.
    """
    filled = [array.copy() if at in {place for place, _ in carried} else array for at, array in enumerate(arrays)]
    last: list[Array] = []
    for example in range(len(arrays[0])):
        if example not in starts:
            for place, output in carried:
                _put(filled[place], example, last[output], specs[place].name)
        (feed,) = feeds([array[example : example + 1] for array in filled], specs)
        last = run(feed)
    return tuple(filled)


def _put(states: Array, example: int, value: Array, name: str) -> None:
    if value.size != states[example].size:
        raise UserError(
            f"the state {name!r} has the shape {list(states[example].shape)}, the model gives {list(np.shape(value))}",
            where=f"inputs.{name}",
            remedy="give the shape of the state in [inputs], or its axes in [axes]",
        )
    states[example] = value.reshape(states[example].shape)
