"""Run every example of the evaluation data and keep what the model answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.record.artifact import Artifact, one_row_an_example
from bench.runtimes.base import Array, Session, SessionError, dequantise
from bench.worker import inputs


def write_outputs(
    session: Session, artifact: Artifact, examples: Path, wanted: Sequence[tuple[int, ...]], to: Path
) -> None:
    """Real-valued outputs as npz (keys "0", "1", …), axis 0 the examples; a filled-up last batch is cut.

    A model with memory runs in the order of its examples, on states that it gave itself.

    Raises:
        SessionError: an output is missing, or changes its data type or its shape from call to call.
    """
    given = inputs.read_inputs(examples)
    total = len(given[0])
    rows = one_row_an_example(artifact.inputs)
    parts: list[list[Array]] = [[] for _ in artifact.outputs]
    memory = inputs.read_memory(examples)
    steps = None if memory is None else inputs.Steps(artifact, given, wanted, memory)
    first: list[str] = []
    for feed in steps or inputs.batches(artifact, given, wanted):
        answers = [np.array(values) for values in session.run(feed)]
        first = first or _described(answers)
        _check(answers, artifact, first)
        made = [dequantise(values, spec) for spec, values in zip(artifact.outputs, answers, strict=True)]
        for kept, values in zip(parts, made if steps is None else steps.gave(made), strict=True):
            kept.append(values)
    arrays = {str(at): _joined(kept, rows=rows)[:total] for at, kept in enumerate(parts)}
    np.savez(to, allow_pickle=False, **arrays)


def _check(answers: Sequence[Array], artifact: Artifact, first: Sequence[str]) -> None:
    """Whether the answers of a call are what the artifact has, and like those of the `first` call."""
    if len(answers) != len(artifact.outputs):
        raise SessionError(f"a call gave {len(answers)} outputs, and the model has {len(artifact.outputs)}")
    for spec, before, now in zip(artifact.outputs, first, _described(answers), strict=True):
        if now != before:
            raise SessionError(f"the output {spec.name} changed from call to call: {before} at first, then {now}")


def _described(answers: Sequence[Array]) -> list[str]:
    return [f"{values.dtype} {values.shape}" for values in answers]


def _joined(parts: Sequence[Array], *, rows: bool) -> Array:
    """Batches one after the other; outputs of whole feeds, or without a batch axis, one above the other."""
    return np.concatenate(parts) if rows and parts[0].ndim else np.stack(parts)
