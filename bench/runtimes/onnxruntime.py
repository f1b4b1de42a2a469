"""ONNX Runtime, on every execution provider that it lists."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort

from bench.record.observation import Placement
from bench.runtimes.base import Array, Opening, Request, SessionError
from bench.runtimes.table import RUNTIMES

_CPU = "CPUExecutionProvider"
_LEVELS = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_MODES = {"sequential": ort.ExecutionMode.ORT_SEQUENTIAL, "parallel": ort.ExecutionMode.ORT_PARALLEL}
_DEVICES = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "cuda"}
"""Where the inputs and outputs of a provider can be bound, as ONNX Runtime names the device."""
_TRANSFERS = 50
# ONNX Runtime's own key: with it, get_provider_graph_assignment_info() tells which provider took which node.
_RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"


def unavailable(provider: str) -> str | None:
    """Why the provider cannot be asked for here, or None."""
    wanted = RUNTIMES["onnxruntime"].providers[provider]
    if wanted in ort.get_available_providers():
        return None
    return f"this build of ONNX Runtime {ort.__version__} does not have {wanted}"


class OrtSession:
    """An `InferenceSession` with its placement read back."""

    scope = "host-to-host: session.run() from arrays in the model's data type to arrays"

    def __init__(self, opening: Opening) -> None:
        self.wanted = RUNTIMES["onnxruntime"].providers[opening.provider]
        reason = unavailable(opening.provider)
        if reason:
            raise SessionError(reason)
        self._options = self.settings(opening)
        providers = [self.wanted] if self.wanted == _CPU else [self.wanted, _CPU]
        try:
            self._session = ort.InferenceSession(str(opening.path), self._options, providers=providers)
        except Exception as error:
            raise SessionError(f"ONNX Runtime cannot load {Path(opening.path).name}: {_first_line(error)}") from error
        by_name = {given.name for given in self._session.get_inputs()}
        self._inputs = [spec.name for spec in opening.artifact.inputs]
        self._outputs = [spec.name for spec in opening.artifact.outputs]
        if set(self._inputs) != by_name:
            raise SessionError(f"the file's inputs {sorted(by_name)} are not those of its specification {self._inputs}")

        self.call = self._bound()

    def settings(self, opening: Opening) -> Any:
        """The `SessionOptions` that the case asks for."""
        return _session_options(opening)

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`."""
        return dict(zip(self._inputs, feeds, strict=True))

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        outputs: list[Array] = self._session.run(self._outputs, self.prepare(feeds))
        return outputs

    def _bound(self) -> Callable[[Request], object]:
        run, outputs = self._session.run, self._outputs

        def call(named: Request) -> object:
            return run(outputs, named)

        return call

    def placement(self) -> Placement:
        """Nodes by provider, from the session's own assignment record.

        Raises:
            SessionError: the provider that was asked for took no node.
        """
        nodes: dict[str, int] = {}
        for part in self._session.get_provider_graph_assignment_info():
            nodes[part.ep_name] = nodes.get(part.ep_name, 0) + len(part.get_nodes())
        if not nodes.get(self.wanted):
            held = ", ".join(f"{name} {count}" for name, count in nodes.items()) or "none recorded"
            raise SessionError(f"{self.wanted} was asked for and took no node of the graph (nodes by provider: {held})")
        return Placement(
            provider=self.wanted,
            nodes=nodes,
            evidence="ONNX Runtime get_provider_graph_assignment_info()",
        )

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`."""
        return {
            "runtime_version": ort.__version__,
            "providers": self._session.get_providers(),
            "intra_op_threads": self._options.intra_op_num_threads,
            "inter_op_threads": self._options.inter_op_num_threads,
            "execution_mode": str(self._options.execution_mode).rsplit(".", maxsplit=1)[-1],
            "graph_optimization": str(self._options.graph_optimization_level).rsplit(".", maxsplit=1)[-1],
            "arena": self._options.enable_cpu_mem_arena,
        }

    def close(self) -> None:
        """See `Session.close`."""
        del self.call, self._session


class BoundSession(OrtSession):
    """With option `io_binding`: inputs lie on the device before the call, outputs stay there.

    Each request has a binding of its own, so that several threads may call at once.
    """

    def __init__(self, opening: Opening) -> None:
        if opening.provider not in _DEVICES:
            raise SessionError(
                f"io_binding is not known to work with {opening.provider} (it is with {', '.join(_DEVICES)})"
            )
        self._device = _DEVICES[opening.provider]
        self.scope = f"device only ({self._device}): bound run and output synchronisation; transfers apart"
        self._last: tuple[Sequence[Array], Any] | None = None
        super().__init__(opening)

    def prepare(self, feeds: Sequence[Array]) -> Request:
        """See `Session.prepare`: here the inputs are copied to the device, which is not timed."""
        binding = self._session.io_binding()
        for name, values in zip(self._inputs, feeds, strict=True):
            binding.bind_ortvalue_input(name, self._on_device(values))
        for name in self._outputs:
            binding.bind_output(name, self._device)
        self._last = feeds, binding
        return binding

    def run(self, feeds: Sequence[Array]) -> list[Array]:
        """See `Session.run`."""
        binding = self.prepare(feeds)
        self.call(binding)
        outputs: list[Array] = binding.copy_outputs_to_cpu()
        return outputs

    def facts(self) -> dict[str, Any]:
        """See `Session.facts`; with the median time that inputs take to the device and outputs from it, s."""
        found = super().facts() | {"io_binding": True}
        if self._last is None:
            return found
        feeds, binding = self._last
        self.call(binding)
        return found | {
            "transfer_in_s": _median_s(lambda: [self._on_device(values) for values in feeds]),
            "transfer_out_s": _median_s(binding.copy_outputs_to_cpu),
        }

    def close(self) -> None:
        """See `Session.close`."""
        self._last = None
        super().close()

    def _on_device(self, values: Array) -> Any:
        return ort.OrtValue.ortvalue_from_numpy(values, self._device, 0)

    def _bound(self) -> Callable[[Request], object]:
        run = self._session.run_with_iobinding

        def call(binding: Request) -> object:
            run(binding)
            return binding.synchronize_outputs()

        return call


def open_session(opening: Opening) -> OrtSession:
    """See `bench.runtimes.table.open_session`."""
    return BoundSession(opening) if opening.options.get("io_binding") is True else OrtSession(opening)


def _median_s(action: Callable[[], object]) -> float:
    """The median time of `action`, s."""
    times = []
    for _ in range(_TRANSFERS):
        before = time.perf_counter_ns()
        action()
        times.append(time.perf_counter_ns() - before)
    return statistics.median(times) / 1e9


def _session_options(opening: Opening) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = opening.threads
    options.log_severity_level = 3
    options.add_session_config_entry(_RECORD_ASSIGNMENT, "1")
    given = opening.options
    options.execution_mode = _MODES[str(given.get("execution_mode", "sequential"))]
    options.inter_op_num_threads = _inter_op_threads(opening)
    if "graph_optimization" in given:
        options.graph_optimization_level = _LEVELS[str(given["graph_optimization"])]
    if "arena" in given:
        options.enable_cpu_mem_arena = given["arena"]
    if "spinning" in given:
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(given["spinning"])))
    return options


def _inter_op_threads(opening: Opening) -> int:
    """Threads that run branches of the graph side by side, which only the parallel mode does: as many as `threads`.

    Raises:
        SessionError: the option is not a whole number of one at least, or goes with the sequential mode.
    """
    parallel = opening.options.get("execution_mode") == "parallel"
    asked = opening.options.get("inter_op_threads")
    if asked is None:
        return opening.threads if parallel else 1
    if type(asked) is not int or asked < 1:
        raise SessionError(f"inter_op_threads = {asked!r} is not a whole number of one at least")
    if not parallel and asked > 1:
        raise SessionError('inter_op_threads is for execution_mode = "parallel"')
    return asked


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
