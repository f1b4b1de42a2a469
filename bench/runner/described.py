"""Descriptions of inputs, from a suite or a file of their own to what the export takes."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.export.inputs import Descriptions, InputDescription
from bench.suite.schema import InputsFile, Suite
from bench.suite.validate import load_toml


def read_inputs_file(path: Path) -> InputsFile:
    """The tables `[axes]` and `[inputs]` in a file. Raises `UserError`."""
    return load_toml(path, InputsFile, kind="file of inputs")


def with_inputs(suite: Suite, file: str | None) -> Suite:
    """The suite with the descriptions in `file` in front of its own. Raises `UserError`."""
    if file is None:
        return suite
    given = read_inputs_file(Path(file))
    return suite.model_copy(update={"axes": suite.axes | given.axes, "inputs": suite.inputs | given.inputs})


def descriptions(given: InputsFile, where: str) -> Descriptions:
    """The tables as the export takes them; `where` they stand, for messages."""
    inputs = {name: msgspec.convert(said.model_dump(), InputDescription) for name, said in given.inputs.items()}
    return Descriptions(axes=dict(given.axes), inputs=inputs, where=where)
