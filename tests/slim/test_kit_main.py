"""What a kit does step by step, in this process; with a Python that only pretends where it would install or measure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bench
from bench.runner import kit as kits
from bench.runner import kit_main
from bench.runner.kit import make_kit

pytest.importorskip("polars", reason="the host's side of it needs the full install")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the Python that pretends is a shell script")

BUNDLE = Path(__file__).parent / "data" / "line.zip"
PYTHON = """#!/bin/sh
echo "$@" >> "{log}"
case "$2" in
venv)
    for last; do :; done
    mkdir -p "$last/bin"
    cp "$0" "$last/bin/python"
    {venv}
    ;;
pip) {pip} ;;
bench) {bench} ;;
esac
"""


REAL = sys.executable
Pretend = Callable[..., Path]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A kit takes over how this process ends: give it back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[str]]:
    """What Python was asked to do."""
    path = tmp_path / "log"
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: object) -> Pretend:
    """Makes the running Python one that does, in the shell, what is given for each of its modules."""

    def make(*, venv: str = "", pip: str = "", bench: str = "") -> Path:
        path = tmp_path / "python"
        path.write_text(PYTHON.format(log=tmp_path / "log", venv=venv, pip=pip, bench=bench))
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return path

    return make


@pytest.fixture
def needy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kit that needs what is nowhere."""
    monkeypatch.setattr(kits, "NEEDS", ("nowhere>=1",))
    make_kit(BUNDLE, tmp_path / "kit.pyz")
    return tmp_path / "kit.pyz"


def started(kit: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `python3 KIT WORDS` in the folder of the kit."""
    monkeypatch.chdir(kit.parent)
    monkeypatch.setattr(sys, "argv", [str(kit), *words])
    with pytest.raises(SystemExit) as ended:
        kit_main.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def started_apart(kit: Path, python: Path, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, which can be sent signals; `python` is the one that pretends."""
    code = f"{before}\nimport sys; sys.executable = sys.argv.pop(1); del sys.argv[0]\n"
    return subprocess.run(
        [REAL, "-c", f"{code}from bench.runner.kit_main import main; main()", str(python), str(kit), *words],
        cwd=kit.parent,
        env={**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def finished(results: Path, name: str, status: str | None, *files: str) -> Path:
    """A folder of a run."""
    run = results / name
    run.mkdir(parents=True)
    (run / "manifest.json").write_text("{" if status is None else json.dumps({"status": status}))
    for file in files:
        (run / file).write_text(file)
    return run


def test_what_is_not_there_is_installed_once_and_the_bundle_run_with_it(
    needy: Path, pretend: Pretend, log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(bench="exit 3")
    assert started(needy, monkeypatch, "--seed", "7") == 3
    place = needy.parent / "counterpoise"
    (unpacked,) = place.glob("kit-*")
    venv, pip, run = log()
    assert venv == f"-m venv --clear {place / 'venv'}"
    assert pip.endswith("--quiet nowhere>=1")
    assert run == f"-m bench run {unpacked / 'bundle.zip'} --out {place / 'results'} --seed 7"
    assert (unpacked / "bundle.zip").read_bytes() == BUNDLE.read_bytes()
    written = (unpacked / "bundle.zip").stat().st_mtime_ns
    assert started(needy, monkeypatch, "--resume=some", "--only", "x") == 3
    assert log()[3:] == [f"-m bench run --out {place / 'results'} --resume=some --only x"]
    assert (unpacked / "bundle.zip").stat().st_mtime_ns == written


def test_where_nothing_shall_be_installed_the_python_at_hand_runs_it(
    needy: Path, pretend: Pretend, log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend()
    assert started(needy, monkeypatch, "--no-install", "--into", "here") == 0
    (run,) = log()
    assert run.startswith(f"-m bench run {needy.parent / 'here'}")


def test_an_environment_that_sees_the_system_gets_only_what_the_system_lacks(
    tmp_path: Path, pretend: Pretend, log: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    pretend()
    python = kit_main._environment(tmp_path / "venv", ["numpy>=1", "nowhere>=1"], True)
    assert python == str(tmp_path / "venv" / "bin" / "python")
    venv, pip = log()
    assert "--system-site-packages" in venv
    assert pip.endswith("--quiet nowhere>=1")


def test_what_pip_could_not_install_is_tried_again(
    tmp_path: Path, pretend: Pretend, log: Callable[[], list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    pretend(pip="exit 1")
    with pytest.raises(SystemExit) as refused:
        kit_main._environment(tmp_path / "venv", ["nowhere>=1"], False)
    assert refused.value.code == kit_main.BAD_INPUT
    told = capfd.readouterr().err
    assert "error: pip could not install it" in told
    assert "PIP_FIND_LINKS" in told
    pretend()
    kit_main._environment(tmp_path / "venv", ["nowhere>=1"], False)
    assert [line.split()[1] for line in log()] == ["venv", "pip"] * 2


SIGNALS = {
    # The run is sent it too, by the terminal, and decides how it ends.
    "an interrupt": ("sleep 0.4; kill -INT $PPID; sleep 0.2; exit 130", 130),
    "a polite end": ("trap 'exit 9' TERM; sleep 0.4; kill -TERM $PPID; while :; do sleep 0.05; done", 9),
    "the end of a session": ("trap 'exit 9' TERM; sleep 0.4; kill -HUP $PPID; while :; do sleep 0.05; done", 9),
    "the end of one that nohup has it ignore": ("trap 'exit 9' TERM; sleep 0.4; kill -HUP $PPID; sleep 0.2; exit 3", 3),
    "a kill of the run": ("kill -KILL $$", 128 + signal.SIGKILL),
}


@pytest.mark.parametrize("what", SIGNALS)
def test_how_a_run_ends_is_the_runs_to_say(what: str, needy: Path, pretend: Pretend) -> None:
    run, code = SIGNALS[what]
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" if "nohup" in what else ""
    done = started_apart(needy, pretend(bench=run), "--no-install", before=nohup)
    assert done.returncode == code, done.stderr


def test_an_interrupt_while_it_installs_ends_it(needy: Path, pretend: Pretend) -> None:
    done = started_apart(needy, pretend(pip="sleep 0.4; kill -INT $PPID; exec sleep 9"))
    assert done.returncode == kit_main.INTERRUPTED
    assert done.stderr.endswith("interrupted: run it again\n")


def test_each_run_that_came_to_an_end_is_packed_and_each_that_can_go_on_is_named(
    needy: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend()
    place = needy.parent / "counterpoise"
    done = finished(place / "results", "done", "complete", "transit.json")
    (done / "journal").mkdir()
    (done / "journal" / "a.json").write_text("a")
    (done / ".hidden").write_text("not sent")
    finished(place / "results", "early", "interrupted", "cases.parquet")
    finished(place / "results", "none", "interrupted")
    finished(place / "results", "now", "running", "transit.json")
    finished(place / "results", "spoiled", None, "transit.json")
    assert started(needy, monkeypatch, "--no-install") == 0
    told = capfd.readouterr().err
    assert {path.name for path in place.glob("*.zip")} == {"done.zip", "early.zip"}
    with zipfile.ZipFile(place / "done.zip") as packed:
        assert set(packed.namelist()) == {"done/manifest.json", "done/transit.json", "done/journal/a.json"}
    for name in ("early", "none", "now", "spoiled"):
        assert f"not ended: {name}; --resume {name} goes on with it" in told
    assert "not ended: done" not in told


def test_a_run_that_cannot_be_packed_is_to_be_copied_as_it_is(
    needy: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend()
    place = needy.parent / "counterpoise"
    run = finished(place / "results", "done", "complete", "transit.json")
    (place / "done.zip").mkdir()
    assert started(needy, monkeypatch, "--no-install") == kit_main.BAD_INPUT
    assert f"not packed: {run}: Is a directory; copy the folder as it is" in capfd.readouterr().err


def test_what_a_kit_is_not_given_and_where_it_cannot_work(
    needy: Path, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pretend()
    assert started(needy, monkeypatch, "--out=x") == 2
    assert "give that in the place of --out" in capfd.readouterr().err
    (needy.parent / "taken").write_text("mine")
    assert started(needy, monkeypatch, "--into", "taken") == 2
    told = capfd.readouterr().err
    assert "error: the system refused: Not a directory" in told
    assert "choose --into DIR" in told


def test_a_kit_without_its_bundles_index_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "kit.pyz", "w") as kit:
        kit.writestr("other", "x")
    assert started(tmp_path / "kit.pyz", monkeypatch) == 2
    told = capfd.readouterr().err
    assert "error: the kit is damaged: " in told
    assert "to do: copy it again" in told
