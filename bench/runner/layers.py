"""The layers of a bundle's variants beside those of its float32 files."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import msgspec

from bench.export.bundle import open_bundle
from bench.export.layers import LayerJob, LayerTable
from bench.process import ChildProcess, describe_exit
from bench.quality.parity import NOISE, precision_of
from bench.record.artifact import Artifact
from bench.record.codec import pack, unpack
from bench.record.observation import Confinement
from bench.training.report import Report
from bench.wire import WireError

BASELINE = "fp32"
EXAMPLES = 16
"""Evaluation inputs that each layer is compared on: its figures are over all of a tensor's values, which are many."""
TIMEOUT_S = 300.0


def layer_tables(path: Path, progress: Report, examples: int = EXAMPLES, *, network: bool = True) -> list[LayerTable]:
    """A table for each variant of the bundle at `path` but fp32 itself, or why there is none.

    Each is made in a process of its own, so that a runtime which crashes on a file costs only its own table,
    and, unless `network`, in one without network.

    Raises:
        UserError: it is not a bundle.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder, bundle = open_bundle(path, Path(scratch))
        # The built-in one last, so that it stands where there is a variant of the user's on top of it too.
        ordered = sorted(bundle.artifacts, key=lambda artifact: artifact.variant == BASELINE)
        floats = {artifact.format: artifact for artifact in ordered if artifact.base == BASELINE}
        tables = []
        for artifact in bundle.artifacts:
            reference = floats.get(artifact.format)
            if artifact == reference:
                continue
            progress(f"comparing the layers of {artifact.format} {artifact.variant}", passing=True)
            precision = precision_of(artifact)
            if reference is None:
                tables.append(_none(artifact, f"there is no {artifact.format} {BASELINE} in the bundle beside it"))
            elif precision is None:
                tables.append(_none(artifact, "it is another function on purpose, or a file of unknown precision"))
            else:
                job = LayerJob(
                    reference=reference,
                    reference_path=str((folder / reference.path).resolve()),
                    artifact=artifact,
                    artifact_path=str((folder / artifact.path).resolve()),
                    inputs=str((folder / bundle.data.inputs).resolve()),
                    examples=min(examples, bundle.data.examples),
                    expected_db=-10 * math.log10(NOISE[precision]),
                    confinement=Confinement(network=network),
                )
                tables.append(_compared(job))
        return tables


def _compared(job: LayerJob) -> LayerTable:
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch,
        ChildProcess("bench.export.layers_child", environment={"TMPDIR": scratch}, folder=scratch) as child,
    ):
        child.send(pack(job))
        try:
            frame = child.receive(TIMEOUT_S)
        except TimeoutError:
            return _none(job.artifact, f"the comparison was not over after {TIMEOUT_S:g} s")
        except WireError as error:
            return _none(job.artifact, f"the comparison ended: {error}")
        # After its answer it ends by itself.
        ending = child.end()
        if frame is None:
            return _none(job.artifact, describe_exit(ending, "comparing layers"))
        try:
            return unpack(frame, LayerTable)
        except msgspec.MsgspecError as error:
            return _none(job.artifact, f"the comparison sent something unreadable: {error}")


def _none(artifact: Artifact, reason: str) -> LayerTable:
    return LayerTable(variant=artifact.variant, format=artifact.format, reason=reason)
