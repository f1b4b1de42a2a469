"""LiteRT with several inputs and outputs, what it refuses, and the library behind its profiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.record.artifact import Artifact, Recipe, TensorSpec
from bench.runtimes.base import Opening, SessionError
from bench.runtimes.litert_native import NativeModel
from bench.runtimes.profile import profile
from bench.runtimes.table import open_session, unavailable
from tests.runtimes.pairs import paired

pytestmark = pytest.mark.skipif(unavailable("litert-builtin") is not None, reason="LiteRT is not installed")
A, B = np.array([[1, 2, 3, 4]], np.float32), np.array([[10, 20, 30, 40]], np.float32)


def opening(
    path: Path, provider: str, inputs: str = "ba", outputs: tuple[str, ...] = ("sub", "add"), **options: str
) -> Opening:
    """The specification names its tensors in another order than the file."""
    specs = {name: TensorSpec(name=name, dtype="float32", shape=(None, 4)) for name in (*inputs, *outputs)}
    artifact = Artifact(
        model="m",
        variant="fp32",
        format="tflite",
        recipe=Recipe("fp32"),
        path=path.name,
        sha256="0" * 64,
        bytes=path.stat().st_size,
        inputs=tuple(specs[name] for name in inputs),
        outputs=tuple(specs[name] for name in outputs),
    )
    shapes = [(1, 4)] * len(inputs)
    return Opening(path=path, artifact=artifact, provider=provider, threads=1, shapes=shapes, options=options)


@pytest.mark.parametrize("provider", ["xnnpack", "builtin", "compiled-cpu"])
def test_tensors_are_matched_by_name_whatever_their_order_in_the_file(tmp_path: Path, provider: str) -> None:
    path = paired(tmp_path / "pairs.tflite", "ADD", "SUB")
    session = open_session("litert", opening(path, provider))
    difference, total = session.run([B, A])
    np.testing.assert_array_equal(difference, A - B)
    np.testing.assert_array_equal(total, A + B)
    # The timed call gives the same, as bare buffers where these are all that the runtime has.
    called = session.call(session.prepare([B, A]))
    assert isinstance(called, list)
    np.testing.assert_array_equal([np.ravel(values) for values in called], [np.ravel(A - B), np.ravel(A + B)])
    session.close()


@pytest.mark.parametrize("provider", ["xnnpack", "compiled-cpu"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "said"),
    [
        ("a", ("sub", "add"), "the file has 2 inputs, its specification 1"),
        ("ac", ("sub", "add"), r"the file has no inputs \['c'\]; it has \['a', 'b'\]"),
        ("ba", ("sub", "mul"), r"the file has no outputs \['mul'\]; it has \['add', 'sub'\]"),
    ],
)
def test_a_file_that_is_not_as_its_specification_says_is_refused(
    tmp_path: Path, provider: str, inputs: str, outputs: tuple[str, ...], said: str
) -> None:
    path = paired(tmp_path / "pairs.tflite", "ADD", "SUB")
    with pytest.raises(SessionError, match=said):
        open_session("litert", opening(path, provider, inputs, outputs))


def test_a_delegate_that_takes_no_operator_fails_the_case(tmp_path: Path) -> None:
    path = paired(tmp_path / "pairs.tflite", "FLOOR_MOD", "FLOOR_DIV")
    session = open_session("litert", opening(path, "xnnpack", outputs=("floor_mod", "floor_div")))
    with pytest.raises(SessionError, match="XNNPACK was asked for and took none of the 2 operators"):
        session.placement()


def test_the_profiler_does_not_see_into_a_gpu(tmp_path: Path) -> None:
    path = paired(tmp_path / "pairs.tflite", "ADD")
    found = profile("litert", opening(path, "compiled-gpu", outputs=("add",)), iter(()), 0.01)
    assert (found.target, found.operators) == ("litert-compiled-gpu", ())
    assert found.reason == "LiteRT's profiler does not see into a GPU delegate"


def test_a_profiler_that_saw_no_inference_recorded_nothing(tmp_path: Path) -> None:
    model = NativeModel(paired(tmp_path / "pairs.tflite", "ADD"), kernels="builtin", threads=1)
    model.start()
    with pytest.raises(SessionError, match="recorded nothing"):
        model.events()


STUB = """
#define CALL(name) int name(void) { return 0; }
CALL(LiteRtCreateEnvironment) CALL(LiteRtCreateModelFromFile) CALL(LiteRtCreateOptions)
CALL(LiteRtSetOptionsHardwareAccelerators) CALL(LiteRtCreateOpaqueOptions) CALL(LiteRtAddOpaqueOptions)
CALL(LiteRtCreateCompiledModel) CALL(LiteRtGetMainModelSubgraphIndex) CALL(LiteRtGetModelSubgraph)
CALL(LiteRtCompiledModelGetProfiler) CALL(LiteRtStopProfiler) CALL(LiteRtGetProfilerEvents)
int LiteRtStartProfiler(void) { return 3; }
int LiteRtGetNumProfilerEvents(void *profiler, int *count) { *count = 2; return 0; }
"""


class TestAnotherLibrary:
    """Not the LiteRT that the structures were written for."""

    def test_no_library_for_this_system(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "freebsd14")
        with pytest.raises(SessionError, match="holds no library with a profiler"):
            NativeModel(tmp_path, kernels="builtin", threads=1)

    def test_without_the_functions(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", lambda path: object())
        with pytest.raises(SessionError, match="has no LiteRtCreateEnvironment, which its profiler needs"):
            NativeModel(tmp_path, kernels="builtin", threads=1)

    def test_events_in_another_layout_are_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler to build the stub library with")
        (tmp_path / "stub.c").write_text(STUB)
        stub = tmp_path / "stub.so"
        subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", stub, tmp_path / "stub.c"], check=True)
        library = ctypes.CDLL(str(stub))
        monkeypatch.setattr(ctypes, "CDLL", lambda path: library)
        model = NativeModel(tmp_path, kernels="builtin", threads=1)
        with pytest.raises(SessionError, match="lays out the events of its profiler in a way that is not known"):
            model.events()
        with pytest.raises(SessionError, match="LiteRtStartProfiler failed with status 3"):
            model.start()
