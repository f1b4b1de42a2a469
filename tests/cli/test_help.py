"""`bench --help` answers at once and imports nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from bench import __version__
from bench.machine.environment import read_environment
from bench.record.observation import SensorState
from bench.runner.examine import _conditions, examine
from tests.conftest import bench


def test_help_imports_neither_numpy_nor_onnx_nor_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bench", "--help"], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert "typer" in imported
    heavy = {"numpy", "onnx", "onnxruntime", "tensorflow", "polars", "scipy", "pydantic", "psutil", "ai_edge_litert"}
    assert not heavy & imported


@pytest.mark.alone
def test_help_takes_little_longer_than_python_itself() -> None:
    # Where coverage is measured, it would begin in these processes too.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}

    def best(*arguments: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], env=plain, capture_output=True, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    # The promise is 0.3 s on two quiet cores; in units of this machine, that is some twenty bare starts.
    assert best("-m", "bench", "--help") < 20 * best("-S", "-c", "pass") + 0.1


def test_help_shows_commands_and_examples(tmp_path: Path) -> None:
    told = bench("--help", cwd=tmp_path).stdout
    for word in ("run", "show", "list", "export", "doctor", "Examples", "bench run --model my.onnx"):
        assert word in told


def test_a_process_that_imports_the_command_does_not_run_it() -> None:
    """As those do that `multiprocessing` starts from it."""
    code = "import bench.__main__ as there; print(there.main.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"main\n"


def test_version(tmp_path: Path) -> None:
    assert bench("--version", cwd=tmp_path).stdout.strip() == f"counterpoise {__version__}"


@pytest.mark.parametrize("what", ["models", "variants", "runtimes", "scenarios", "sensors", "suites", "runs"])
def test_everything_that_can_be_listed_is_listed(tmp_path: Path, what: str) -> None:
    done = bench("list", what, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)
    assert lines if what != "runs" else lines == []
    assert bench("list", what, cwd=tmp_path).returncode == 0


def test_what_is_not_available_is_listed_with_the_reason(tmp_path: Path) -> None:
    lines = {
        line["runtime"]: line["here"] for line in json.loads(bench("list", "runtimes", "--json", cwd=tmp_path).stdout)
    }
    assert lines["onnxruntime-cpu"] == "yes"
    assert lines["onnxruntime-cuda"] == "yes" or lines["onnxruntime-cuda"].startswith("no: this build of ONNX Runtime")


def test_an_unknown_command_or_option_exits_with_2(tmp_path: Path) -> None:
    assert bench("rum", cwd=tmp_path).returncode == 2
    assert bench("run", "--sed", "1", cwd=tmp_path).returncode == 2
    assert bench("list", "modells", cwd=tmp_path).returncode == 2


def test_the_doctor_says_what_can_be_measured_and_what_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It takes seconds, and is shown in two ways.
    examined = examine()
    monkeypatch.setattr("bench.runner.examine.examine", lambda: examined)
    found = json.loads(bench("doctor", "--json", cwd=tmp_path).stdout)
    assert found["noise"]["timer_overhead_ns"] > 0
    assert found["environment"]["cores_usable"]
    for sensor in found["sensors"]:
        assert sensor["available"] or sensor["reason"]
    assert "sensors" in bench("doctor", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("found", "advised"),
    [
        ({}, ""),
        ({"cores_usable": (0,)}, "there is one core"),
        ({"cpu_quota_cores": 1.5}, "the container may use 1.5 cores"),
        ({"governor": "powersave"}, "the CPU governor is powersave: set it to performance"),
        ({"virtualisation": "kvm"}, "this is a virtual machine"),
    ],
)
def test_what_stands_in_the_way_of_a_figure_is_told_and_nothing_else(found: dict[str, object], advised: str) -> None:
    quiet = {"cores_usable": (0, 1), "cpu_quota_cores": None, "governor": "performance", "virtualisation": None}
    machine = msgspec.structs.replace(read_environment(), **(quiet | found))
    counter = SensorState(sensor="rapl", source="x", period_s=0.1, available=True, quantities={})
    told = _conditions(machine, (counter,))
    assert "".join(told).startswith(advised)
    assert len(told) == bool(advised)
    absent = msgspec.structs.replace(counter, available=False, reason="no such counter")
    assert _conditions(machine, (absent,))[len(told) :] == [
        "energy cannot be measured here (rapl: no such counter): use a machine with a counter for energy figures"
    ]
