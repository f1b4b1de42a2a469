"""The inputs that a case is fed with: a pool larger than the last-level cache, and the evaluation set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.machine.cpu import last_level_cache
from bench.record.artifact import STARTS_KEY, STATE_KEY, Artifact, one_row_an_example
from bench.runtimes.base import Array, SessionError, declared_shape, quantise

POOL_SHARE = 1.25
"""Pool over cache size: a pool that does not fit cannot be served from the cache."""
POOL_LIMIT = 512 * 2**20


def read_inputs(path: Path) -> list[Array]:
    """The arrays "0", "1", … of an npz, axis 0 the examples. Never unpickles."""
    with np.load(path, allow_pickle=False) as archive:
        return [
            archive[str(position)]
            for position in itertools.takewhile(lambda at: str(at) in archive.files, itertools.count())
        ]


@dataclass(frozen=True)
class Memory:
    """Which inputs get what which outputs gave in the example before, as positions; and where sequences begin."""

    carried: tuple[tuple[int, int], ...]
    starts: frozenset[int]


def read_memory(path: Path) -> Memory | None:
    """The memory of a model whose examples are steps of a sequence; None where every example stands alone."""
    with np.load(path, allow_pickle=False) as archive:
        if STATE_KEY not in archive.files:
            return None
        carried = tuple((int(place), int(source)) for place, source in archive[STATE_KEY])
        return Memory(carried, frozenset(int(at) for at in archive[STARTS_KEY]))


def shapes(artifact: Artifact, examples: Sequence[Array], batch: int) -> list[tuple[int, ...]]:
    """Concrete input shapes for `batch` examples: the declared ones, free axes as the examples have them.

    Raises:
        SessionError: the artifact cannot take that batch.
    """
    if not one_row_an_example(artifact.inputs):
        if batch != 1:
            raise SessionError(f"an input has no batch axis; batch {batch} cannot run")
        return [values.shape[1:] for values in examples]
    return [
        (*declared_shape(spec, batch)[:1], *values.shape[1:])
        for spec, values in zip(artifact.inputs, examples, strict=True)
    ]


def batches(artifact: Artifact, examples: Sequence[Array], wanted: Sequence[tuple[int, ...]]) -> Iterator[list[Array]]:
    """The examples in order, as feeds in the model's data types; the last batch is filled by repeating.

    Examples that are kept as float16 to save space are computed with as float32.
    """
    total = len(examples[0])
    rows = one_row_an_example(artifact.inputs)
    size = wanted[0][0] if rows else 1
    for start in range(0, total, size):
        chosen = np.arange(start, start + size) % total
        yield [
            quantise(_widened(values[chosen]).reshape(shape), spec)
            for spec, values, shape in zip(artifact.inputs, examples, wanted, strict=True)
        ]


class Steps:
    """The examples one at a time, in order, the model's own state going from step to step (free-running).

    A batch larger than one holds the same example in every row.
    """

    def __init__(
        self, artifact: Artifact, examples: Sequence[Array], wanted: Sequence[tuple[int, ...]], memory: Memory
    ) -> None:
        self._artifact, self._examples, self._wanted, self._memory = artifact, examples, wanted, memory
        self._rows = one_row_an_example(artifact.inputs)
        self._last: Sequence[Array] = ()

    def __iter__(self) -> Iterator[list[Array]]:
        for example in range(len(self._examples[0])):
            values = [array[example] for array in self._examples]
            if example not in self._memory.starts:
                for place, source in self._memory.carried:
                    values[place] = self._last[source].reshape(values[place].shape)
            yield [
                quantise(self._laid(value, shape), spec)
                for spec, value, shape in zip(self._artifact.inputs, values, self._wanted, strict=True)
            ]

    def gave(self, outputs: Sequence[Array]) -> list[Array]:
        """Take the real-valued outputs of the last feed; those of the one example."""
        self._last = [values[:1] if self._rows and values.ndim else values for values in outputs]
        return list(self._last)

    def _laid(self, value: Array, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(value, shape) if self._rows else value.reshape(shape)


def _widened(values: Array) -> Array:
    """float16 as float32: a division by the scale of an int8 input would round in float16 otherwise."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


class Pool:
    """Input buffers, one beside the other, together larger than the last-level cache where that is possible.

    The examples fill it in turn. One block of memory an input keeps the harness's own memory the same
    for every data type: a Python object for each buffer would weigh more than small inputs do.
    """

    def __init__(self, artifact: Artifact, examples: Sequence[Array], wanted: Sequence[tuple[int, ...]]) -> None:
        dtypes = [np.dtype(spec.dtype) for spec in artifact.inputs]
        one = sum(math.prod(shape) * dtype.itemsize for shape, dtype in zip(wanted, dtypes, strict=True))
        size = wanted[0][0] if one_row_an_example(artifact.inputs) else 1
        distinct = -(-len(examples[0]) // size)
        cache, source = last_level_cache()
        aim = -(-int(cache * POOL_SHARE) // one)
        self.count = max(1, min(max(distinct, aim), POOL_LIMIT // one))
        self._blocks = [np.empty((self.count, *shape), dtype) for shape, dtype in zip(wanted, dtypes, strict=True)]
        filled = 0
        for feed in itertools.islice(batches(artifact, examples, wanted), self.count):
            for block, values in zip(self._blocks, feed, strict=True):
                block[filled] = values
            filled += 1
        distinct = filled
        while filled < self.count:
            # What is there is doubled until the pool is full.
            more = min(filled, self.count - filled)
            for block in self._blocks:
                block[filled : filled + more] = block[:more]
            filled += more
        total = self.count * one
        verdict = "larger" if total > cache else "not larger"
        self.about = (
            f"{self.count:,} buffers of {distinct:,} distinct inputs, {total / 2**20:.1f} MiB, "
            f"{verdict} than the last-level cache of {cache / 2**20:.0f} MiB ({source})"
        )

    def __getitem__(self, position: int) -> list[Array]:
        """Views of the buffers at `position`, one an input; no byte of them is read."""
        return [block[position, ...] for block in self._blocks]
