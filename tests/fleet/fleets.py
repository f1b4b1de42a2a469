"""Fleets for tests: a tiny model, fake targets, and processes that are ended for certain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

SUITE = """
name = "tiny"
[measure]
warmup_min_s = 0.0
warmup_max_s = 0.1
min_s = 0.2
max_s = 0.3
min_samples = 10
[[matrix]]
models = ["tiny.onnx"]
variants = ["fp32"]
runtimes = ["onnxruntime-cpu"]
batch = [1, 2]
scenarios = ["single-stream", "offline"]
"""


def tiny_suite(folder: Path) -> Path:
    """A suite of four cases of a model of one product, each over in a moment."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.ones((4, 2), np.float32), "w")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / "tiny.onnx"
    )
    (folder / "tiny.toml").write_text(SUITE)
    return folder / "tiny.toml"


def fake_target(folder: Path, name: str) -> Path:
    """A hardware profile that fits any machine."""
    text = (Path(__file__).parents[2] / "hardware_profiles" / "generic-cpu.toml").read_text()
    path = folder / f"{name}.toml"
    path.write_text(text.replace('name = "generic-cpu"', f'name = "{name}"', 1))
    return path


class Processes:
    """Commands of `bench fleet` as processes, each with its output in a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[tuple[subprocess.Popen[bytes], Path]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process, _ in self._started:
            process.kill()
        for process, _ in self._started:
            process.wait()

    def start(self, *words: str) -> tuple[subprocess.Popen[bytes], Path]:
        """`bench fleet WORDS`, and the file of all that it prints."""
        log = self._folder / f"{len(self._started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "bench", "fleet", *words],
                cwd=self._folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self._started.append((process, log))
        return self._started[-1]

    def scheduler(self, port: int = 0) -> tuple[subprocess.Popen[bytes], str]:
        """A scheduler and its address."""
        process, log = self.start("scheduler", "--port", str(port), "--lost-after", "5")
        return process, until(lambda: found.group() if (found := re.search(r"tcp://\S+:\d+", log.read_text())) else "")

    def workers(self, address: str, targets: dict[str, Path | None]) -> list[subprocess.Popen[bytes]]:
        """Workers by name, each of which counts as a machine of its own; all have joined."""
        started = []
        for name, target in targets.items():
            named = () if target is None else ("--target", str(target))
            started.append(self.start("worker", address, "--name", name, "--machine", name, *named))
        until(lambda: all("joined" in log.read_text() for _, log in started))
        return [process for process, _ in started]


def until(seen: Callable[[], object], seconds: float = 60.0) -> str:
    """What `seen` gives once it is something; an `AssertionError` where it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = seen()
        if found:
            return str(found)
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def measures(process: subprocess.Popen[bytes]) -> bool:
    """Whether a worker is in the middle of a case."""
    children = psutil.Process(process.pid).children()
    return any("bench.worker.child" in child.cmdline() for child in children if child.is_running())


class Quiet:
    """Follows nothing; see `bench.runner.events.Events`."""

    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def watching(self, sight: object) -> None: ...
    def case(self, case: object, invocation: int) -> None: ...
    def progress(self, phase: str, samples: int, median_s: float | None) -> None: ...
    def done(self, row: object) -> None: ...
