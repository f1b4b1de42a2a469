"""LiteRT: the Interpreter with and without XNNPACK, and the newer CompiledModel."""

from __future__ import annotations

import ctypes.util
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.record.artifact import TensorSpec
from bench.record.observation import Placement
from bench.runtimes.base import Array, Opening, Request, SessionError

_INVOKE_ONLY = "invoke only: inputs are set before and outputs are not read"
_LOADERS = ("vulkan", "OpenCL", "Metal")


def unavailable(provider: str) -> str | None:
    """Why the provider cannot be asked for here, or None."""
    if provider == "compiled-gpu" and not any(ctypes.util.find_library(name) for name in _LOADERS):
        return "no GPU driver library that LiteRT could use was found (Vulkan, OpenCL or Metal)"
    return None


def open_session(opening: Opening) -> InterpreterSession | CompiledSession:
    """See `bench.runtimes.table.open_session`."""
    if opening.provider.startswith("compiled-"):
        return CompiledSession(opening)
    return InterpreterSession(opening)


def file_order(opening: Opening) -> list[int]:
    """Where each input of the specification stands among the inputs of the file."""
    from ai_edge_litert.interpreter import Interpreter

    given = Interpreter(model_path=str(opening.path)).get_input_details()
    return _order([details["name"] for details in given], opening.artifact.inputs, "inputs")


class InterpreterSession:
    """`Interpreter`, with the XNNPACK delegate (`xnnpack`) or with built-in kernels only (`builtin`)."""

    scope = "host-to-host: set_tensor, invoke and get_tensor in the model's data type"

    def __init__(self, opening: Opening) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._delegated = opening.provider == "xnnpack"
        self._threads = opening.threads
        resolver = OpResolverType.BUILTIN if self._delegated else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter = Interpreter(
                model_path=str(opening.path), num_threads=opening.threads, experimental_op_resolver_type=resolver
            )
            given = self._interpreter.get_input_details()
            self._inputs = _indices(given, opening.artifact.inputs, "inputs")
            for index, shape in zip(self._inputs, opening.shapes, strict=True):
                current = next(tuple(d["shape"]) for d in given if d["index"] == index)
                if current != shape:
                    self._interpreter.resize_tensor_input(index, shape)
            self._interpreter.allocate_tensors()
        except SessionError:
            raise
        except (RuntimeError, ValueError) as error:
            raise SessionError(f"LiteRT cannot load {Path(opening.path).name}: {error}") from error
        self._outputs = _indices(self._interpreter.get_output_details(), opening.artifact.outputs, "outputs")
        self._single = len(self._inputs) == len(self._outputs) == 1
        self._invoke_only = opening.options.get("scope") == "invoke"
        if self._invoke_only:
            self.scope = _INVOKE_ONLY
        self.call = self._bound()

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`; with the scope `invoke` the inputs are set here."""
        if self._invoke_only:
            self._set(feeds)
            return None
        return feeds[0] if self._single else list(zip(self._inputs, feeds, strict=True))

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        self._set(feeds)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def _set(self, feeds: Sequence[Array]) -> None:
        for index, values in zip(self._inputs, feeds, strict=True):
            self._interpreter.set_tensor(index, values)

    def _bound(self) -> Callable[[Request], object]:
        interpreter, outputs = self._interpreter, self._outputs
        set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
        if self._invoke_only:

            def call_invoke(_: Request) -> object:
                return invoke()

            return call_invoke
        if self._single:
            # The usual shape of a model, without two loops inside the timed call.
            source, target = self._inputs[0], outputs[0]

            def call_single(feed: Request) -> object:
                set_tensor(source, feed)
                invoke()
                return get_tensor(target)

            return call_single

        def call(pairs: Request) -> object:
            for index, values in pairs:
                set_tensor(index, values)
            invoke()
            return [get_tensor(index) for index in outputs]

        return call

    def placement(self) -> Placement:
        """Operators that a delegate took over, found by walking back from each delegate node to its inputs.

        Raises:
            SessionError: XNNPACK was asked for and took no operator.
        """
        nodes = self._interpreter._get_ops_details()  # the only view of the execution plan that LiteRT's Python has
        taken = _delegated_operators(nodes)
        total = sum(node["op_name"] != "DELEGATE" for node in nodes)
        if self._delegated and not taken:
            raise SessionError(f"XNNPACK was asked for and took none of the {total} operators")
        counts = {"XNNPACK": taken, "builtin": total - taken}
        return Placement(
            provider="XNNPACK" if self._delegated else "builtin",
            nodes={name: count for name, count in counts.items() if count},
            evidence="LiteRT Interpreter operator list after allocation",
        )

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`."""
        return {"runtime_version": version("ai-edge-litert"), "intra_op_threads": self._threads}

    def close(self) -> None:
        """See `Session.close`."""
        del self.call, self._interpreter


class CompiledSession:
    """`CompiledModel` on CPU or GPU."""

    scope = "host-to-host: buffer write, run_by_index and buffer read in the model's data type"

    def __init__(self, opening: Opening) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator
        from ai_edge_litert.options import Options

        self._device = opening.provider.removeprefix("compiled-")
        self._threads = opening.threads
        options = Options.create()
        accelerator = HardwareAccelerator.GPU if self._device == "gpu" else HardwareAccelerator.CPU
        options.hardware_accelerators = accelerator
        options.cpu_options.num_threads = opening.threads
        try:
            self._model = CompiledModel.from_file(str(opening.path), options=options)
            signature = next(iter(self._model.get_signature_list()))
            names = self._model.get_signature_list()[signature]
            details = self._model.get_input_tensor_details(signature)
            self._input_order = _order(list(names["inputs"]), opening.artifact.inputs, "inputs")
            for position, shape in zip(self._input_order, opening.shapes, strict=True):
                if tuple(details[names["inputs"][position]]["shape"]) != shape:
                    self._model.resize_input_tensor(position, shape, strict=False)
            self._in = self._model.create_input_buffers(0)
            self._out = self._model.create_output_buffers(0)
            self._output_order = _order(list(names["outputs"]), opening.artifact.outputs, "outputs")
            shapes = self._model.get_output_tensor_details(signature)
            self._reads = [
                (self._out[position], *_layout(shapes[names["outputs"][position]])) for position in self._output_order
            ]
        except SessionError:
            raise
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise SessionError(f"LiteRT CompiledModel on {self._device} refused the model: {reason}") from error
        self._single = len(self._in) == len(self._out) == 1
        self._invoke_only = opening.options.get("scope") == "invoke"
        if self._invoke_only:
            self.scope = _INVOKE_ONLY
        self.call = self._bound()

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`; a buffer takes one dimension, of which a reshape makes a view."""
        if self._invoke_only:
            self._write(feeds)
            return None
        flat = [feed.reshape(-1) for feed in feeds]
        if self._single:
            return flat[0]
        return [(self._in[at], values) for at, values in zip(self._input_order, flat, strict=True)]

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        self._write(feeds)
        self._model.run_by_index(0, self._in, self._out)
        return [np.array(source.read(size, kind)).reshape(shape) for source, size, kind, shape in self._reads]

    def _write(self, feeds: Sequence[Array]) -> None:
        for at, feed in zip(self._input_order, feeds, strict=True):
            self._in[at].write(feed.reshape(-1))

    def _bound(self) -> Callable[[Request], object]:
        run, inputs, outputs, reads = self._model.run_by_index, self._in, self._out, self._reads
        if self._invoke_only:

            def call_invoke(_: Request) -> object:
                return run(0, inputs, outputs)

            return call_invoke
        if self._single:
            write, (result, count, dtype, _) = inputs[0].write, reads[0]
            read = result.read

            def call_single(values: Request) -> object:
                write(values)
                run(0, inputs, outputs)
                return read(count, dtype)

            return call_single

        def call(pairs: Request) -> object:
            for target, given in pairs:
                target.write(given)
            run(0, inputs, outputs)
            return [source.read(size, kind) for source, size, kind, _ in reads]

        return call

    def placement(self) -> Placement:
        """Whether the accelerator holds the whole graph, as LiteRT tells.

        Raises:
            SessionError: the GPU was asked for and does not hold the whole graph.
        """
        whole = bool(self._model.is_fully_accelerated())
        if self._device == "gpu" and not whole:
            raise SessionError(
                "the GPU was asked for and does not hold the whole graph (is_fully_accelerated() is false)"
            )
        return Placement(
            provider=f"CompiledModel {self._device.upper()}",
            nodes={},
            evidence=f"LiteRT CompiledModel.is_fully_accelerated() = {str(whole).lower()}",
        )

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`."""
        return {"runtime_version": version("ai-edge-litert"), "intra_op_threads": self._threads}

    def close(self) -> None:
        """See `Session.close`."""
        del self.call
        self._model.close()


def _delegated_operators(nodes: Sequence[dict[str, Any]]) -> int:
    """How many operators stand between the inputs and the outputs of the delegate nodes."""
    made_by = {int(tensor): node for node in nodes if node["op_name"] != "DELEGATE" for tensor in node["outputs"]}
    taken: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        edges = {int(tensor) for tensor in delegate["inputs"]}
        waiting = [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            tensor = waiting.pop()
            node = made_by.get(tensor)
            if tensor in edges or node is None or node["index"] in taken:
                continue
            taken.add(node["index"])
            waiting.extend(int(source) for source in node["inputs"])
    return len(taken)


def _order(names: Sequence[str], specs: Sequence[TensorSpec], kind: str) -> list[int]:
    """Where each tensor of the specification stands in the file's own list."""
    if len(names) != len(specs):
        raise SessionError(f"the file has {len(names)} {kind}, its specification {len(specs)}")
    if len(names) == 1:
        return [0]
    missing = [spec.name for spec in specs if spec.name not in names]
    if missing:
        raise SessionError(f"the file has no {kind} {missing}; it has {list(names)}")
    return [list(names).index(spec.name) for spec in specs]


def _indices(details: Sequence[dict[str, Any]], specs: Sequence[TensorSpec], kind: str) -> list[int]:
    order = _order([d["name"] for d in details], specs, kind)
    return [int(details[position]["index"]) for position in order]


def _layout(details: dict[str, Any]) -> tuple[int, Any, tuple[int, ...]]:
    shape = tuple(int(axis) for axis in details["shape"])
    return int(np.prod(shape)), np.dtype(details["dtype"]).type, shape
