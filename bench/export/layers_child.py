"""The process that compares layers: `python -m bench.export.layers_child`. Takes one job, answers with one table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from bench.confine import refusal
from bench.wire import end_with_parent, receive, send, take_over

if TYPE_CHECKING:
    from bench.export.layers import LayerJob, LayerTable, Recorder
    from bench.record.artifact import Artifact


def main() -> None:
    """Compare what stands on standard input."""
    incoming, outgoing = take_over()
    frame = receive(incoming)
    if not frame:
        return
    # While there is one thread, and before anything that was given is read.
    refused = refusal(frame, "no model is run")
    # After the streams are safe: whatever these import may print.
    import msgspec

    from bench.export.layers import LayerJob, LayerTable
    from bench.export.work import first_line
    from bench.record import codec

    end_with_parent(incoming)
    job = codec.unpack(frame, LayerJob)
    table = LayerTable(variant=job.artifact.variant, format=job.artifact.format, reason=refused)
    if refused is None:
        try:
            table = _table(job)
        except Exception as error:  # runtimes fail in ways of their own, and the table says so
            reason = f"its tensors could not be compared: {first_line(error)}"
            table = msgspec.structs.replace(table, reason=reason)
    send(outgoing, codec.pack(table))
    outgoing.flush()
    os._exit(0)


def _table(job: LayerJob) -> LayerTable:
    import numpy as np

    from bench.export.layers import compare
    from bench.export.origin import feeds

    with np.load(job.inputs, allow_pickle=False) as archive:
        arrays = [archive[str(at)][: job.examples] for at in range(len(job.artifact.inputs))]
    reference = _recorder(Path(job.reference_path), job.reference)
    variant = _recorder(Path(job.artifact_path), job.artifact)
    return compare(reference, variant, feeds(arrays, job.artifact.inputs), job)


def _recorder(path: Path, artifact: Artifact) -> Recorder:
    if artifact.format == "onnx":
        from bench.export.layers_onnx import OnnxRecorder

        return OnnxRecorder(path, artifact)
    from bench.export.layers_tflite import TfliteRecorder

    return TfliteRecorder(path, artifact)


if __name__ == "__main__":
    main()
