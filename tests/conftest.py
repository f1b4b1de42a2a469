"""What tests of every floor share: data of the project's own, a cache of exports, and one real run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.record.artifact import Bundle
from bench.record.codec import from_json


@pytest.fixture(scope="session", autouse=True)
def export_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of exports for this session: what one test has exported, the next one finds."""
    folder = Path(os.environ.setdefault("BENCH_CACHE_DIR", str(tmp_path_factory.mktemp("cache"))))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets and models that BENCH_DATA_DIR names."""
    given = os.environ.get("BENCH_DATA_DIR")
    if not given:
        pytest.skip("BENCH_DATA_DIR is not set: it names a folder of real data sets and models")
    return Path(given)


def bench(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
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
def quick_run(tmp_path_factory: pytest.TempPathFactory, export_cache: Path) -> dict[str, Any]:
    """The main job, once a session: what `bench run --json` prints, with its working folder under `cwd`."""
    del export_cache
    cwd = tmp_path_factory.mktemp("quick")
    done = bench("run", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "cwd": str(cwd), "stderr": done.stderr}


@pytest.fixture(scope="session")
def digits_bundle(tmp_path_factory: pytest.TempPathFactory, export_cache: Path) -> tuple[Path, Bundle]:
    """The digits network as a bundle on disk, with fp32 and int8 for both runtimes."""
    del export_cache
    folder = tmp_path_factory.mktemp("bundle") / "digits"
    done = bench("export", "mnist_cnn@digits", "--variants", "fp32,int8", "-o", str(folder), cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    return folder, from_json((folder / "bundle.json").read_bytes(), Bundle)
