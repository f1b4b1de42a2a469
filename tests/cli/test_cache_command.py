"""`bench cache`: what people type and what they are told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from bench.cli.amounts import seconds, size
from bench.errors import UserError
from tests.conftest import bench

Env = dict[str, str]


@pytest.fixture
def env(tmp_path: Path) -> Env:
    """A cache with an old and a new bundle."""
    cache = tmp_path / "cache"
    for key, age_s in (("a" * 24, 40 * 86_400), ("b" * 24, 60)):
        folder = cache / "bundles" / key
        folder.mkdir(parents=True)
        artifacts = [{"variant": "fp32", "format": "onnx"}, {"variant": "fp32", "format": "tflite"}]
        (folder / "bundle.json").write_text(json.dumps({"model": {"name": f"net{key[0]}"}, "artifacts": artifacts}))
        os.utime(folder, (time.time() - age_s,) * 2)
    return {"BENCH_CACHE_DIR": str(cache)}


def keys(env: Env, cwd: Path) -> list[str]:
    done = bench("cache", "ls", "--json", cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bytes"] == sum(entry["bytes"] for entry in found["entries"])
    return [entry["key"] for entry in found["entries"]]


def test_the_list_names_model_variants_and_age(env, tmp_path):
    told = bench("cache", "ls", cwd=tmp_path, env=env).stdout
    assert "neta" in told
    assert "fp32 onnx+tflite" in told
    assert "2 entries" in told
    assert keys(env, tmp_path) == ["b" * 24, "a" * 24], "the last used first"


def test_removing_says_what_went_and_how_much(env, tmp_path):
    done = bench("cache", "rm", "neta", cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert "removed: bundle neta" in done.stdout
    assert "freed:" in done.stdout
    assert keys(env, tmp_path) == ["b" * 24]
    assert bench("cache", "rm", "--all", cwd=tmp_path, env=env).returncode == 0
    assert keys(env, tmp_path) == []


def test_collecting_by_age_and_a_dry_run(env, tmp_path):
    would = bench("cache", "gc", "--older-than", "30d", "--dry-run", cwd=tmp_path, env=env)
    assert "would be removed: bundle neta" in would.stdout
    assert len(keys(env, tmp_path)) == 2
    done = bench("cache", "gc", "--older-than", "30d", "--json", cwd=tmp_path, env=env)
    assert [entry["model"] for entry in json.loads(done.stdout)["removed"]] == ["neta"]
    assert bench("cache", "gc", "--max-size", "0", cwd=tmp_path, env=env).returncode == 0
    assert keys(env, tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rm",), "--all"),
        (("rm", "neta", "--all"), "--all"),
        (("rm", "netaa"), "did you mean 'neta'?"),
        (("gc", "--older-than", "30"), "'30'"),
        (("gc", "--older-than", "-3d"), "'-3d'"),
        (("gc", "--max-size", "5 bananas"), "bananas"),
        (("gc", "--max-size", "-1"), "'-1'"),
    ],
)
def test_bad_input_is_a_message_and_exit_code_2_and_removes_nothing(env, tmp_path, arguments, said):
    done = bench("cache", *arguments, cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert said in done.stderr
    assert "to do:" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(keys(env, tmp_path)) == 2


def test_amounts():
    assert seconds("1.5h", "x") == 5400
    assert seconds(" 2w ", "x") == 14 * seconds("1d", "x")
    assert size("5GB", "x") == 5_000_000_000
    assert size("1.5 KiB", "x") == 1536
    for text in ("", "d", "1y", "1e3d", "nan d", "١d 2"):
        with pytest.raises(UserError):
            seconds(text, "x")
    for text in ("", "GB", "1 XB", "1;", "5GB and more", "9e9GB"):
        with pytest.raises(UserError):
            size(text, "x")
