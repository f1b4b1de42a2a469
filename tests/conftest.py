"""What tests of every floor share: data of the project's own, a cache of exports, and one real run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

from bench.record.artifact import Bundle
from bench.record.codec import from_json
from bench.suite.load import builtin_suites

# A time limit of an example would be a limit of the machine's load.
hypothesis.settings.register_profile("steady", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
# For mutation testing (--hypothesis-profile=mutation): few examples, the same ones for every mutant.
hypothesis.settings.register_profile(
    "mutation", hypothesis.settings.get_profile("steady"), max_examples=15, derandomize=True, database=None
)
hypothesis.settings.load_profile("steady")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Of several workers (pytest -n) none is at a test while another one is at one that is marked `alone`."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    import fcntl

    shared = Path(item.config._tmp_path_factory.getbasetemp()).parent  # type: ignore[attr-defined]
    alone = item.get_closest_marker("alone") is not None
    with (shared / "turn").open("w") as turn, (shared / "others").open("w") as others:
        # Who waits to be alone keeps the turn, so that no other test can begin before it.
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(others, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(turn, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session and of all its workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def export_cache(shared: Path) -> Path:
    """A cache of exports for this session: what one test has exported, the next one finds."""
    folder = Path(os.environ.setdefault("BENCH_CACHE_DIR", str(shared / "cache")))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets and models that BENCH_DATA_DIR names."""
    given = os.environ.get("BENCH_DATA_DIR")
    if not given:
        pytest.skip("BENCH_DATA_DIR is not set: it names a folder of real data sets and models")
    return Path(given)


def bench(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, but in this process: to start one takes longer than most commands do."""
    from typer.testing import CliRunner

    from bench.cli.main import app

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(cwd)
        patched.setattr(sys, "argv", ["bench", *arguments])
        for name, value in (env or {}).items():
            patched.setenv(name, value)
        done = CliRunner().invoke(app, arguments, prog_name="bench")
    crash = done.exception if isinstance(done.exception, Exception) else None
    told = done.stderr + "".join(traceback.format_exception(crash) if crash else ())
    return subprocess.CompletedProcess(["bench", *arguments], done.exit_code, done.stdout, told)


def bench_process(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="session")
def brief_quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in suite "quick", each case measured for a moment."""
    text = builtin_suites()["quick"].read_text()
    for name, seconds in {"warmup_min_s": 0.05, "warmup_max_s": 0.3, "min_s": 0.2, "max_s": 0.5}.items():
        text, times = re.subn(rf"^{name} = .*$", f"{name} = {seconds}", text, flags=re.MULTILINE)
        assert times == 1, name
    path = tmp_path_factory.mktemp("suite") / "quick.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def quick_run(shared: Path, export_cache: Path, brief_quick: Path) -> dict[str, Any]:
    """The main job, once a session: what `bench run --json` prints, with its working folder under `cwd`."""
    del export_cache
    cwd = shared / "quick"
    told = cwd / "told.json"
    with FileLock(f"{cwd}.lock"):
        if not told.is_file():
            cwd.mkdir(exist_ok=True)
            done = bench_process("run", str(brief_quick), "--json", cwd=cwd)
            assert done.returncode == 0, done.stderr
            told.write_text(json.dumps({**json.loads(done.stdout), "cwd": str(cwd), "stderr": done.stderr}))
    return json.loads(told.read_text())


@pytest.fixture(scope="session")
def digits_bundle(tmp_path_factory: pytest.TempPathFactory, export_cache: Path) -> tuple[Path, Bundle]:
    """The digits network as a bundle on disk, with fp32 and int8 for both runtimes."""
    del export_cache
    folder = tmp_path_factory.mktemp("bundle") / "digits"
    done = bench("export", "mnist_cnn@digits", "--variants", "fp32,int8", "-o", str(folder), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder, from_json((folder / "bundle.json").read_bytes(), Bundle)
