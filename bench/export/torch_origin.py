"""A program that torch.export saved: converted to ONNX, and run by PyTorch for reference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import UserError
from bench.export.onnx_origin import OnnxOrigin
from bench.export.origin import Array, Feed
from bench.export.pruned import Pruned

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_Call = Callable[[Feed], list[Array]]


class TorchOrigin(OnnxOrigin):
    """The ONNX file that PyTorch makes of the program; its outputs are those of the program itself."""

    def __init__(self, path: Path, scratch: Path, seed: int) -> None:
        """Load and convert.

        Raises:
            UserError: PyTorch does not load or convert it, or it has other inputs and outputs than its ONNX file.
        """
        import torch

        # Its exporter tells of every optional package that is missing.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = _load(path)
        made = scratch / "program.onnx"
        try:
            torch.onnx.export(program, f=str(made), dynamo=True, external_data=False, verbose=False)
        except Exception as error:  # the exporter's exceptions have no common base class
            raise UserError(
                f"PyTorch cannot convert the program to ONNX: {_first_line(error)}",
                where=str(path),
                remedy="see what torch.onnx.export(program, dynamo=True) says of it, or give an .onnx file",
            ) from error
        super().__init__(made, seed)
        self._call = _caller(program, len(self.inputs), path)
        self._note = f"converted by PyTorch {torch.__version__.partition('+')[0]}"

    def run(self, feed: Feed) -> list[Array]:
        """See `Origin.run`: by PyTorch on the CPU."""
        try:
            made = self._call(feed)
        except Exception as error:  # as above
            raise UserError(
                f"the program does not run on these inputs: {_first_line(error)}",
                remedy="describe them with --inputs, or give some with --data",
            ) from error
        if len(made) != len(self.outputs):
            raise UserError(
                f"the program gives {len(made)} tensors and its ONNX file {len(self.outputs)}",
                remedy="export a program whose outputs are tensors, each given once",
            )
        return made

    def float_onnx(self, to: Path, *, pruned: Pruned | None = None) -> list[str]:
        """See `OnnxOrigin.float_onnx`."""
        return [self._note, *super().float_onnx(to, pruned=pruned)]


def _load(path: Path) -> ExportedProgram:
    import torch

    try:
        return torch.export.load(path)
    except Exception as error:  # as above
        raise UserError(
            f"PyTorch {torch.__version__.partition('+')[0]} cannot load the program: {_first_line(error)}",
            where=str(path),
            remedy="save it again with torch.export.save in a PyTorch like this one",
        ) from error


def _caller(program: ExportedProgram, inputs: int, path: Path) -> _Call:
    """The program as a function of its tensors, in their order. Raises `UserError` where it takes anything else."""
    import torch
    from torch.utils import _pytree

    module = program.module()
    layout = program.call_spec.in_spec
    if layout is None or layout.num_leaves != inputs:
        raise UserError(
            f"the program takes {'nothing' if layout is None else layout.num_leaves} and its ONNX file {inputs} inputs",
            where=str(path),
            remedy="export a program whose arguments are all tensors",
        )

    def call(feed: Feed) -> list[Array]:
        # A tensor shares the array's memory, and PyTorch does not take what it may not write to.
        tensors = [torch.from_numpy(np.array(array)) for array in feed]
        args, kwargs = _pytree.tree_unflatten(tensors, layout)
        with torch.no_grad():
            made: list[Any] = _pytree.tree_leaves(module(*args, **kwargs))
        return [tensor.detach().numpy() for tensor in made if isinstance(tensor, torch.Tensor)]

    return call


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:240]
