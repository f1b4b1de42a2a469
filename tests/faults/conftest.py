from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bench.record.artifact import Bundle
from bench.record.codec import from_json
from tests.faults.marked import Marked
from tests.sensors.conftest import gpus, nvml_library

__all__ = ["gpus", "nvml_library"]

HERE = Path(__file__).parent
LINE = HERE.parent / "slim" / "data" / "line.zip"
Start = Callable[..., Marked]

SUITE = """
name = "faults"
[measure]
warmup_min_s = 0.0
warmup_max_s = 0.05
min_s = 0.05
max_s = 0.1
min_samples = 10
{more}
[[matrix]]
models = ["linear_regression@line"]
variants = ["fp32"]
runtimes = {runtimes}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `bench` in the test's folder; whatever is left of it afterwards is ended."""
    started: list[Marked] = []

    def once(*arguments: str, env: Mapping[str, str] | None = None) -> Marked:
        started.append(Marked(*arguments, cwd=tmp_path, env=env))
        return started[-1]

    yield once
    for command in started:
        command.close()


@pytest.fixture(scope="session")
def line_suite(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Writes a suite of the smallest model, each case measured for a moment; gives its path."""

    def make(*runtimes: str, more: str = "") -> str:
        path = tmp_path_factory.mktemp("suite") / "faults.toml"
        path.write_text(SUITE.format(runtimes=list(runtimes or ("null-none", "onnxruntime-cpu")), more=more))
        return str(path)

    return make


class System:
    """A disk and clocks that do what `rules` says (see stub_system.c), for processes started with `env`."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._file = folder / "system.txt"
        self.rules()
        self.env = {"LD_PRELOAD": str(library), "STUB_SYSTEM": str(self._file)}

    def rules(self, *lines: str) -> None:
        """What holds from now on; replaced at once, as a process may be reading."""
        draft = self._file.with_suffix(".new")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self._file)


@pytest.fixture(scope="session")
def system_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on Linux to build the stub of disk and clocks with")
    library = tmp_path_factory.mktemp("system") / "stub_system.so"
    source = HERE / "stub_system.c"
    subprocess.run([compiler, "-w", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


@pytest.fixture
def system(system_library: Path, tmp_path: Path) -> System:
    return System(system_library, tmp_path)


@pytest.fixture(scope="session")
def line_bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """The smallest bundle there is, unpacked; nothing has to be exported for it."""
    folder = tmp_path_factory.mktemp("bundle")
    with zipfile.ZipFile(LINE) as archive:
        archive.extractall(folder)
    return folder, from_json((folder / "bundle.json").read_bytes(), Bundle)
