"""OpenVINO's own runtime on an ONNX file (not ONNX Runtime's OpenVINO provider). Optional."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from bench.record.observation import Placement
from bench.runtimes.base import Array, Opening, Request, SessionError


@cache
def _core() -> ov.Core:
    """The only one of this process.

    Its CPU plugin gives the thread a stack for signals and frees it in the end. Of two cores, the one that is made
    first and goes first has that of the other set again when this is freed: the next signal then ends the process.
    """
    return ov.Core()


def unavailable(provider: str) -> str | None:
    """Why the device cannot be asked for here, or None."""
    devices = _core().available_devices
    wanted = provider.upper()
    if any(device.split(".")[0] == wanted for device in devices):
        return None
    return f"OpenVINO {ov.__version__} finds no {wanted} here (it has {', '.join(devices) or 'none'})"


class OpenVinoSession:
    """A compiled model with one infer request: one stream, as latency asks for."""

    scope = "host-to-host: infer() from arrays in the model's data type to arrays, inputs and outputs shared"

    def __init__(self, opening: Opening, more: Mapping[str, str] | None = None) -> None:
        """`more` are further properties of the compiled model."""
        self._invoke_only = opening.options.get("scope") == "invoke"
        if self._invoke_only:
            self.scope = "invoke only: inputs are set before, outputs stay in the request's tensors"
        self._device = opening.provider.upper()
        settings = {"NUM_STREAMS": "1", **(more or {})}
        if self._device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = str(opening.threads)
        try:
            core = _core()
            model = core.read_model(str(opening.path))
            by_name = {port.get_any_name(): port for port in model.inputs}
            names = [spec.name for spec in opening.artifact.inputs]
            model.reshape({by_name[name]: list(shape) for name, shape in zip(names, opening.shapes, strict=True)})
            self._compiled = core.compile_model(model, self._device, settings)
        except (RuntimeError, KeyError) as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise SessionError(f"OpenVINO cannot load {Path(opening.path).name}: {first}") from error
        order = [port.get_any_name() for port in self._compiled.inputs]
        self._inputs = [order.index(name) for name in names]
        self._outputs = [self._compiled.output(spec.name) for spec in opening.artifact.outputs]
        self._request = self._compiled.create_infer_request()
        self._targets = [self._request.get_input_tensor(at).data for at in self._inputs] if self._invoke_only else []
        self.call = self._bound()

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`; with the scope `invoke` the inputs are set here."""
        if self._invoke_only:
            # Into the request's own tensors: another tensor for each call would have to be bound in the call.
            for target, feed in zip(self._targets, feeds, strict=True):
                np.copyto(target, feed)
            return None
        return dict(zip(self._inputs, feeds, strict=True))

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        found = self._request.infer(dict(zip(self._inputs, feeds, strict=True)), share_inputs=True)
        return [np.array(found[port]) for port in self._outputs]

    def placement(self) -> Placement:
        """The devices that execute the compiled graph, and its operators by layer type."""
        devices = [str(device) for device in self._compiled.get_property("EXECUTION_DEVICES")]
        if not any(device.split(".")[0] == self._device for device in devices):
            raise SessionError(f"OpenVINO {self._device} was asked for and {', '.join(devices)} executes the graph")
        nodes = self._compiled.get_runtime_model().get_ordered_ops()
        kinds = Counter(node.get_rt_info()["layerType"].astype(str) for node in nodes)
        executed = sum(count for kind, count in kinds.items() if kind not in ("Const", "Input", "Output"))
        return Placement(
            provider=f"OpenVINO {self._device}",
            nodes={f"OpenVINO {self._device}": executed},
            evidence="OpenVINO EXECUTION_DEVICES and the runtime model's execution graph",
        )

    @property
    def device(self) -> str:
        """The device that was asked for, as OpenVINO names it."""
        return self._device

    def counters(self) -> list[Any]:
        """The performance counters of the last inference; for those the property PERF_COUNT has to be set."""
        found: list[Any] = self._request.profiling_info
        return found

    def latency_ns(self) -> float:
        """How long the last inference took by OpenVINO's own clock, ns."""
        return float(self._request.latency) * 1e6

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`."""
        return {
            "runtime_version": ov.__version__,
            # A property of the CPU plugin alone.
            "intra_op_threads": int(self._compiled.get_property("INFERENCE_NUM_THREADS"))
            if self._device == "CPU"
            else None,
            "inference_precision": str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()),
        }

    def close(self) -> None:
        """See `Session.close`."""
        del self.call, self._targets, self._request, self._compiled

    def _bound(self) -> Callable[[Request], object]:
        infer = self._request.infer
        if self._invoke_only:

            def call_invoke(_: Request) -> object:
                return infer(share_outputs=True)

            return call_invoke

        def call(feeds: Request) -> object:
            return infer(feeds, share_inputs=True, share_outputs=True)

        return call


def open_session(opening: Opening) -> OpenVinoSession:
    """See `bench.runtimes.table.open_session`."""
    return OpenVinoSession(opening)
