"""Run every example of the evaluation data and keep what the model answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.record.artifact import Artifact, one_row_an_example
from bench.runtimes.base import Array, Session, dequantise
from bench.worker import inputs


def write_outputs(
    session: Session, artifact: Artifact, examples: Path, wanted: Sequence[tuple[int, ...]], to: Path
) -> None:
    """Real-valued outputs as npz (keys "0", "1", …), axis 0 the examples; a filled-up last batch is cut.

    A model with memory runs in the order of its examples, on states that it gave itself.
    """
    given = inputs.read_inputs(examples)
    total = len(given[0])
    rows = one_row_an_example(artifact.inputs)
    parts: list[list[Array]] = [[] for _ in artifact.outputs]
    memory = inputs.read_memory(examples)
    steps = None if memory is None else inputs.Steps(artifact, given, wanted, memory)
    for feed in steps or inputs.batches(artifact, given, wanted):
        made = [
            dequantise(np.array(values), spec) for spec, values in zip(artifact.outputs, session.run(feed), strict=True)
        ]
        for kept, values in zip(parts, made if steps is None else steps.gave(made), strict=True):
            kept.append(values)
    arrays = {str(at): _joined(kept, rows=rows)[:total] for at, kept in enumerate(parts)}
    np.savez(to, allow_pickle=False, **arrays)


def _joined(parts: Sequence[Array], *, rows: bool) -> Array:
    """Batches one after the other; outputs of whole feeds, or without a batch axis, one above the other."""
    return np.concatenate(parts) if rows and parts[0].ndim else np.stack(parts)
