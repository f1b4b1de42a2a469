from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Gpus:
    """The world that the stub NVML shows, and Python run in it."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.file = folder / "gpus.txt"
        self.world: dict[str, Any] = {}
        self.env = {
            "LD_LIBRARY_PATH": str(library.parent),
            "STUB_NVML": str(self.file),
            "PYTHONPATH": str(ROOT),
        }

    def show(self, **more: Any) -> None:
        """Add to the world; `d0_energy` is the key `0.energy`. Replaced at once, as the stub may be reading."""
        for key, value in more.items():
            name = key[1:].replace("_", ".") if key[1:2].isdigit() else key
            self.world[name] = value
        draft = self.file.with_suffix(".new")
        draft.write_text("".join(f"{k} {v}\n" for k, v in self.world.items() if v is not None))
        draft.replace(self.file)

    def device(self, index: int, **answers: Any) -> None:
        """A GPU that answers everything, but for what is given (None: not supported)."""
        usual = {
            "uuid": f"GPU-{index}{index}{index}{index}-stub",
            "name": "Stub 100",
            "energy": "rate 80000 20",
            "instant": 81000,
            "average": 79000,
            "power": 80000,
            "memory": 3 << 30,
            "utilisation": 37,
            "clock": 1410,
            "temperature": 55,
            "throttle": 4,
            "processes": "",
        }
        self.world["devices"] = max(self.world.get("devices", 0), index + 1)
        self.show(**{f"d{index}_{key}": value for key, value in (usual | answers).items()})

    def run(self, code: str, **env: str) -> Any:
        """What `code` leaves in `out`, run with `sensor` (a probed one, `why` its reason) and `values(readings)`."""
        script = """
            import json, os, sys, time
            from bench.sensors.nvml import NvmlSensor
            sensor = NvmlSensor()
            why = sensor.probe()
            def values(readings):
                return {f"{r.device} {r.quantity}": r.value for r in readings}
        """
        whole = textwrap.dedent(script) + textwrap.dedent(code) + "\nprint(json.dumps(out))\n"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
        done = subprocess.run(
            [sys.executable, "-c", whole],
            env=clean | self.env | env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on Linux to build the stub NVML with")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-w", "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "stub_nvml.c")], check=True
    )
    return library


@pytest.fixture
def gpus(nvml_library: Path, tmp_path: Path) -> Gpus:
    return Gpus(nvml_library, tmp_path)


class Machine:
    """A /proc and /sys of one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, content: object) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")
        return file


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("BENCH_SYSFS_ROOT", str(tmp_path))
    return Machine(tmp_path)


@pytest.fixture
def child() -> Iterator[Any]:
    """Start Python code as a child that is gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
