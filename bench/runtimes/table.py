"""The table of runtimes: a line each, imported only when a case opens one."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from bench.record.case import Option

if TYPE_CHECKING:
    from bench.runtimes.base import Opening, Session


class RuntimeSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A runtime as pure data.

    `providers` maps the short name to what it is. `needs` is the module to have, and `imports` names the one that a
    provider's session imports, where that is another. `options` are those it knows, with the values that each may take
    (none listed: the session checks); `defaults` what some of them are where they are not given. `on_gpu` are the
    providers that compute on a GPU. `thread_safe` is True where several threads may call one session at once.
    `measures_model` is False for a runtime that computes nothing, whose outputs have no quality. `profiler` is the
    module that reads the runtime's own profiler of operators, None where it has none.
    """

    name: str
    title: str
    module: str
    formats: frozenset[str]
    providers: dict[str, str]
    needs: str
    extra: str
    imports: dict[str, str] = {}
    options: dict[str, tuple[Option, ...]] = {}
    defaults: dict[str, Option] = {}
    on_gpu: frozenset[str] = frozenset()
    thread_safe: bool = False
    measures_model: bool = True
    profiler: str | None = None

    def imported(self, provider: str) -> str:
        """The module whose import a fresh process pays for before it can open a session."""
        return self.imports.get(provider, self.needs)


_SCOPES: tuple[Option, ...] = ("call", "invoke")

RUNTIMES: dict[str, RuntimeSpec] = {
    spec.name: spec
    for spec in (
        RuntimeSpec(
            name="onnxruntime",
            title="ONNX Runtime",
            module="bench.runtimes.onnxruntime",
            formats=frozenset({"onnx"}),
            providers={
                "cpu": "CPUExecutionProvider",
                "cuda": "CUDAExecutionProvider",
                "tensorrt": "TensorrtExecutionProvider",
                "openvino": "OpenVINOExecutionProvider",
                "directml": "DmlExecutionProvider",
                "coreml": "CoreMLExecutionProvider",
                "xnnpack": "XnnpackExecutionProvider",
                "rocm": "ROCMExecutionProvider",
                "migraphx": "MIGraphXExecutionProvider",
                "qnn": "QNNExecutionProvider",
                "webgpu": "WebGpuExecutionProvider",
            },
            needs="onnxruntime",
            extra="onnxruntime (or onnxruntime-gpu, onnxruntime-openvino, onnxruntime-directml)",
            options={
                "graph_optimization": ("none", "basic", "extended", "all"),
                "arena": (True, False),
                "spinning": (True, False),
                "io_binding": (True, False),
                "execution_mode": ("sequential", "parallel"),
                "inter_op_threads": (),
            },
            defaults={
                "graph_optimization": "all",
                "arena": True,
                "spinning": True,
                "io_binding": False,
                "execution_mode": "sequential",
            },
            on_gpu=frozenset({"cuda", "tensorrt", "directml", "rocm", "migraphx", "webgpu"}),
            thread_safe=True,
            profiler="bench.runtimes.profile_onnxruntime",
        ),
        RuntimeSpec(
            name="litert",
            title="LiteRT",
            module="bench.runtimes.litert",
            formats=frozenset({"tflite"}),
            providers={
                "xnnpack": "Interpreter with the XNNPACK delegate",
                "builtin": "Interpreter with built-in kernels, no delegate",
                "compiled-cpu": "CompiledModel on CPU",
                "compiled-gpu": "CompiledModel on GPU",
            },
            needs="ai_edge_litert",
            extra="ai-edge-litert",
            options={"scope": _SCOPES},
            defaults={"scope": "call"},
            on_gpu=frozenset({"compiled-gpu"}),
            profiler="bench.runtimes.profile_litert",
            imports={
                "xnnpack": "ai_edge_litert.interpreter",
                "builtin": "ai_edge_litert.interpreter",
                "compiled-cpu": "ai_edge_litert.compiled_model",
                "compiled-gpu": "ai_edge_litert.compiled_model",
            },
        ),
        RuntimeSpec(
            name="openvino",
            title="OpenVINO",
            module="bench.runtimes.openvino",
            formats=frozenset({"onnx"}),
            providers={"cpu": "CPU plugin", "gpu": "GPU plugin", "npu": "NPU plugin"},
            needs="openvino",
            extra="openvino",
            options={"scope": _SCOPES},
            defaults={"scope": "call"},
            on_gpu=frozenset({"gpu"}),
            profiler="bench.runtimes.profile_openvino",
        ),
        RuntimeSpec(
            name="slowed",
            title="ONNX Runtime made slower by the option slowdown (for the self-test)",
            module="bench.runtimes.slowed",
            formats=frozenset({"onnx"}),
            providers={"cpu": "CPUExecutionProvider"},
            needs="onnxruntime",
            extra="onnxruntime",
            options={"slowdown": ()},
            thread_safe=True,
        ),
        RuntimeSpec(
            name="null",
            title="Null (does nothing: measures the harness)",
            module="bench.runtimes.null",
            formats=frozenset({"onnx", "tflite"}),
            providers={"none": "returns at once"},
            needs="numpy",
            extra="numpy",
            thread_safe=True,
            measures_model=False,
        ),
    )
}


def targets() -> dict[str, frozenset[str]]:
    """Formats that each `runtime-provider` reads."""
    return {f"{spec.name}-{provider}": spec.formats for spec in RUNTIMES.values() for provider in spec.providers}


def option_fault(runtime: str, options: Mapping[str, Option]) -> str | None:
    """What is wrong with the value of an option that the runtime knows, as a sentence; None where nothing is."""
    for name, value in options.items():
        allowed = RUNTIMES[runtime].options.get(name, ())
        # `in` alone takes 1 for True.
        if allowed and not any(value == one and type(value) is type(one) for one in allowed):
            return f"{name} = {value!r} is not one of {', '.join(map(repr, allowed))}"
    return None


def unavailable(target: str) -> str | None:
    """Why `runtime-provider` cannot run on this machine; None where it can, as far as can be told without a model."""
    name, _, provider = target.partition("-")
    spec = RUNTIMES[name]
    if importlib.util.find_spec(spec.needs) is None:
        return f"{spec.title} is not installed (pip install {spec.extra.split(' ')[0]})"
    reason: str | None = importlib.import_module(spec.module).unavailable(provider)
    return reason


def make_ready(runtime: str, provider: str) -> None:
    """Import all that opening a session takes, so that loading an artifact is all that opening then does.

    Raises:
        SessionError: this machine does not have the provider.
    """
    from bench.runtimes.base import SessionError

    reason = importlib.import_module(RUNTIMES[runtime].module).unavailable(provider)
    if reason:
        raise SessionError(reason)


def open_session(runtime: str, opening: Opening) -> Session:
    """A session of the runtime. Raises `SessionError` where the runtime refuses the artifact or an option."""
    from bench.runtimes.base import SessionError

    spec = RUNTIMES[runtime]
    strange = [f"{name} = {value!r}" for name, value in sorted(opening.options.items()) if name not in spec.options]
    if strange:
        raise SessionError(
            f"{runtime} has no option {', '.join(strange)} (options: {', '.join(spec.options) or 'none'})"
        )
    wrong = option_fault(runtime, opening.options)
    if wrong:
        raise SessionError(f"{runtime}: {wrong}")
    session: Session = importlib.import_module(spec.module).open_session(opening)
    return session
