"""What a file says of itself, in either format."""

from __future__ import annotations

import msgspec

from bench.record.artifact import TensorSpec


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of `bench.record.artifact.Artifact`; None where the file does not tell."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int | None
    macs: int | None
    sparsity: float | None
    quantised_nodes: float | None
    quantised_macs: float | None
    operators: dict[str, int]
