"""The road of a target that can run nothing but Python: one file there, a run folder back, the same rows."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.optional import NO_INTERVAL
from bench.report.files import write_summaries
from bench.runner import kit as kits
from bench.runner import kit_main
from bench.runner.adopt import Adopted, adopt
from bench.runner.kit import NEEDS, make_kit
from bench.runner.rows import row_of
from bench.store import journal, transit
from bench.store.manifest import read_manifest
from tests.conftest import bench
from tests.slim.pretend import without

pytest.importorskip("polars", reason="the host's side of it needs the full install")

BUNDLE = Path(__file__).parent / "data" / "line.zip"
"""A line as a bundle: `bench export linear_regression@line --variants fp32,int8`."""
NOT_THERE = ("polars", "scipy", "onnx", "tensorflow", "keras", "sklearn", "altair", "jinja2")
SLIM = Path(__file__).parents[2] / "packaging" / "runtime" / "pyproject.toml"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a kit was run by a Python that has only what the slim install has."""
    folder = tmp_path_factory.mktemp("target")
    kit = make_kit(BUNDLE, folder / "kit.pyz")
    assert kit.artifacts == 4
    done = subprocess.run(
        [sys.executable, "kit.pyz", "--no-install", "--only", "*/fp32/onnxruntime-cpu/*"],
        cwd=folder,
        env=without(NOT_THERE, folder / "site"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert NO_INTERVAL in done.stdout
    assert "to bring home" in done.stderr
    return folder / "counterpoise"


@pytest.fixture(scope="module")
def home(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Adopted:
    (packed,) = target.glob("*.zip")
    return adopt(packed, tmp_path_factory.mktemp("home"), write_summaries)


def test_the_target_keeps_what_was_seen_and_no_table(target: Path) -> None:
    (run,) = (target / "results").iterdir()
    assert transit.check(run, run).run_id == run.name
    assert not list(run.glob("*.parquet"))
    (row,) = transit.read_rows(run)
    figure = row.metrics["p50_latency"]
    assert figure.value is not None
    assert figure.low is None
    assert figure.how.endswith(NO_INTERVAL)
    assert row.metrics["accuracy"].value == pytest.approx(0.999, abs=0.001)
    assert {"summary.md", "summary.csv"} <= {path.name for path in run.iterdir()}


def test_the_row_at_home_is_that_of_the_same_observations(target: Path, home: Adopted) -> None:
    (run,) = (target / "results").iterdir()
    manifest = read_manifest(run)
    (there,) = transit.read_rows(run)
    seen = {(o.case.id, o.invocation): o for o in journal.read(run)}
    made = row_of(there.case, seen, manifest=manifest, entry=manifest.models[0], artifact=there.artifact)
    (row,) = home.run.rows
    assert row.metrics == made.metrics
    assert row.metrics["p50_latency"].low is not None
    assert row.metrics["p50_latency"].value == there.metrics["p50_latency"].value
    assert row.artifact == there.artifact
    assert home.run.manifest.environment == manifest.environment


def test_the_commands_tell_what_they_made(target: Path, tmp_path: Path) -> None:
    made = bench("remote", str(BUNDLE), "-o", "kit.pyz", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "linear_regression@line, 4 artifacts" in made.stdout
    (packed,) = target.glob("*.zip")
    taken = bench("import", str(packed), "--json", cwd=tmp_path)
    assert taken.returncode == 0, taken.stderr
    told = json.loads(taken.stdout)
    assert (told["new"], told["cases"], told["run"]) == (True, 1, packed.stem)
    again = bench("import", str(packed), cwd=tmp_path)
    assert "nothing was written" in again.stdout
    shown = bench("show", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout)["run_id"] == packed.stem


def test_the_same_bundle_makes_the_same_kit(tmp_path: Path) -> None:
    make_kit(BUNDLE, tmp_path / "a.pyz")
    first = (tmp_path / "a.pyz").read_bytes()
    make_kit(BUNDLE, tmp_path / "a.pyz")
    assert (tmp_path / "a.pyz").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "a.pyz") as kit:
        names = kit.namelist()
        assert kit.read(kit_main.BUNDLE) == BUNDLE.read_bytes()
    assert "app/bench/worker/child.py" in names
    assert "app/bench/_data/hardware_profiles/generic-cpu.toml" in names
    assert not [name for name in names if "__pycache__" in name]


def test_a_kit_takes_no_place_of_anything_else(tmp_path: Path) -> None:
    (tmp_path / "mine.pyz").write_text("mine")
    with pytest.raises(UserError, match="not a kit"):
        make_kit(BUNDLE, tmp_path / "mine.pyz")
    with pytest.raises(UserError, match="one file for Python"):
        make_kit(BUNDLE, tmp_path / "kit.zip")
    (tmp_path / "b.zip").write_text("no bundle")
    with pytest.raises(UserError):
        make_kit(tmp_path / "b.zip", tmp_path / "kit.pyz")
    assert not (tmp_path / "kit.pyz").exists()
    with pytest.raises(UserError, match="cannot write there"):
        make_kit(BUNDLE, tmp_path / "b.zip" / "kit.pyz")


def test_a_bundle_too_large_for_a_file_that_python_starts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kits, "LARGEST_BYTES", 1000)
    with pytest.raises(UserError, match="holds a bundle of"):
        make_kit(BUNDLE, tmp_path / "kit.pyz")
    assert not (tmp_path / "kit.pyz").exists()


def test_an_old_python_can_read_how_a_kit_starts(kit: Path) -> None:
    with zipfile.ZipFile(kit) as packed:
        start = packed.read("__main__.py").decode()
    for words in ("annotations", 'f"', "->", "print"):
        assert words not in start
    told = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.version_info = (2, 7)\n{start}"], capture_output=True, check=False
    )
    assert told.returncode == 2
    assert b"needs Python 3.11 or newer, and this is 2.7" in told.stderr


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kit") / "kit.pyz"
    make_kit(BUNDLE, path)
    return path


def run_kit(kit: Path, cwd: Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """The kit, with all that it needs at hand."""
    command = [sys.executable, str(kit), "--no-install", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **more)


@pytest.mark.parametrize("member", ["kit.json", "app/bench/files.py", "bundle.zip"])
def test_a_damaged_kit_says_so(member: str, kit: Path, tmp_path: Path) -> None:
    content = bytearray(kit.read_bytes())
    with zipfile.ZipFile(kit) as packed:
        entry = packed.getinfo(member)
    content[entry.header_offset + 30 + len(member) + entry.compress_size // 2] ^= 0xFF
    (tmp_path / "kit.pyz").write_bytes(content)
    done = run_kit(tmp_path / "kit.pyz", tmp_path)
    assert done.returncode == 2
    assert "the kit is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_is_told_and_the_next_try_unpacks_what_is_missing(kit: Path, tmp_path: Path) -> None:
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    done = run_kit(kit, tmp_path, "nonsense", preexec_fn=little_room)
    assert done.returncode == 2
    assert "error: the system refused: File too large" in done.stderr
    again = run_kit(kit, tmp_path, "--only", "nothing")
    assert again.returncode == 2
    assert "nothing" in again.stderr
    (unpacked,) = (tmp_path / "counterpoise").glob("kit-*")
    assert (unpacked / "bundle.zip").read_bytes() == BUNDLE.read_bytes()


def test_a_kit_takes_no_folder_of_runs_and_no_file_to_work_in(kit: Path, tmp_path: Path) -> None:
    done = run_kit(kit, tmp_path, "--out", "x")
    assert done.returncode == 2
    assert "--into" in done.stderr
    (tmp_path / "taken").write_text("mine")
    done = run_kit(kit, tmp_path, "--into", "taken")
    assert done.returncode == 2
    assert "Not a directory" in done.stderr


def test_a_polite_end_keeps_what_is_finished_and_it_can_go_on(kit: Path, tmp_path: Path) -> None:
    env = without(NOT_THERE, tmp_path / "site")
    started = subprocess.Popen(
        [sys.executable, str(kit), "--no-install", "--only", "*/int8/onnxruntime-cpu/*"],
        cwd=tmp_path,
        env=env,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    place = tmp_path / "counterpoise"
    for _ in range(600):
        if list(place.glob("results/*/journal/.lock")):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    # To the kit alone, as the end of an SSH session sends it.
    os.kill(started.pid, signal.SIGHUP)
    told = started.communicate(timeout=60)[1]
    assert started.returncode == 130
    (run,) = (place / "results").iterdir()
    assert f"--resume {run.name} goes on" in told
    transit.unseal(run)  # as if it had been killed before it said that it has ended
    (place / f"{run.name}.zip").unlink()
    done = run_kit(kit, tmp_path, "--resume", run.name, env=env)
    assert done.returncode == 0, done.stderr
    assert len(adopt(place / f"{run.name}.zip", tmp_path / "home", write_summaries).run.rows) == 1


def test_runs_are_packed_once_and_only_when_they_have_ended(
    target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = (target / "results").iterdir()
    here = tmp_path / run.name
    shutil.copytree(run, here)
    for path in here.rglob("*"):
        os.utime(path, (0, 0))  # a board without a clock of its own
    kit_main._pack(here, tmp_path)
    assert "to bring home" in capsys.readouterr().err
    kit_main._pack(here, tmp_path)
    assert capsys.readouterr().err == ""
    with zipfile.ZipFile(tmp_path / f"{run.name}.zip") as packed:
        assert packed.testzip() is None
    assert adopt(tmp_path / f"{run.name}.zip", tmp_path / "home", write_summaries).new
    (here / "summary.md").write_text("changed")
    kit_main._pack(here, tmp_path)
    assert "to bring home" in capsys.readouterr().err


def test_any_build_of_a_runtime_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board's vendor publishes ONNX Runtime under a name of its own."""
    for name, version in (("vendors-runtime", "9.9.1"), ("otherwise", "2.0rc1")):
        info = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text("onnxruntime\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert kit_main._lacking(["onnxruntime>=9.9", "otherwise>=2.0"]) == []
    assert kit_main._lacking(["onnxruntime>=9.10", "otherwise>=2.1", "nowhere>=1"]) == [
        "onnxruntime>=9.10",
        "otherwise>=2.1",
        "nowhere>=1",
    ]


def test_a_python_without_venv_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(SystemExit) as refused:
        kit_main._environment(tmp_path / "venv", ["nowhere>=1"], False)
    assert refused.value.code == 2
    assert "python3-venv" in capsys.readouterr().err


@pytest.mark.trials
def test_without_a_network_a_folder_of_wheels_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    with pytest.raises(SystemExit) as refused:
        kit_main._environment(tmp_path / "venv", ["something>=1"], False)
    assert refused.value.code == 2
    assert "PIP_FIND_LINKS" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "wheels" / "something-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("something.py", "")
        wheel.writestr("something-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: something\nVersion: 1.0\n")
        wheel.writestr(
            "something-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("something-1.0.dist-info/RECORD", "")
    python = kit_main._environment(tmp_path / "venv", ["something>=1"], False)
    assert subprocess.run([python, "-c", "import something"], check=False).returncode == 0
    assert "installing" in capsys.readouterr().err
    # The second time it is there; where it was made otherwise it is made anew.
    assert kit_main._environment(tmp_path / "venv", ["something>=1"], False) == python
    assert capsys.readouterr().err == ""
    kit_main._environment(tmp_path / "venv", ["something>=1"], True)
    assert "installing" in capsys.readouterr().err


def test_a_kit_installs_what_the_slim_install_has() -> None:
    assert list(NEEDS) == tomllib.loads(SLIM.read_text(encoding="utf-8"))["project"]["dependencies"]
