"""Bad input gets one clear message with place and remedy, exit code 2, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import bench
from tests.kept_runs import keep, keep_small, observed, row_of

pytestmark = pytest.mark.timeout(600)


def refused(*arguments: str, cwd: Path) -> str:
    done = bench(*arguments, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    runs = list(cwd.glob("results/*/*"))
    assert runs == [], "nothing is left half-written"
    return done.stderr


def identity(path: Path, domain: str = "", operator: str = "Relu") -> Path:
    node = helper.make_node(operator, ["x"], ["y"], domain=domain)
    shape = ["n", 4]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    imports = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def typed(*arguments: str, without: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in an install that lacks a module."""
    code = f"import sys; sys.modules[{without!r}] = None; from bench.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_a_package_that_is_not_installed_is_named_and_a_missing_part_of_this_one_is_a_fault(tmp_path: Path) -> None:
    keep_small(tmp_path / "results", "20260101-000000-s-0001")
    done = typed("query", "SELECT name FROM cases", without="polars", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "this needs polars, which this install does not have" in done.stderr
    assert "Traceback" not in done.stderr
    done = typed("show", without="bench.report.table", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_what_would_be_lost_without_a_package_is_not_begun(tmp_path: Path) -> None:
    done = typed("import", "run.zip", without="scipy", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "this needs scipy, which this install does not have" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(tmp_path: Path) -> None:
    seen = [observed(f"v{at}", 80.0) for at in range(70)]
    keep(tmp_path / "results", "20260101-000000-s-0001", list(map(row_of, seen)), seen)
    with subprocess.Popen(
        [sys.executable, "-m", "bench", "show", "--json"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_a_fleet_is_asked_for_targets_by_name(tmp_path: Path) -> None:
    said = refused("fleet", "run", "--scheduler", "tcp://127.0.0.1:9", "--target", "mine.toml", cwd=tmp_path)
    assert "'mine.toml' is a file" in said
    assert "give the name of the profile" in said


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such model file" in refused("run", "--model", "none.onnx", cwd=tmp_path)


@pytest.mark.parametrize("name", ["x.onnx", "x.tflite", "x.keras", "x.h5"])
def test_a_file_that_is_not_a_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"just some text, no model")
    said = refused("run", "--model", name, cwd=tmp_path)
    assert name in said
    assert "to do:" in said


def test_a_truncated_onnx(tmp_path: Path) -> None:
    path = identity(tmp_path / "x.onnx")
    path.write_bytes(path.read_bytes()[:-30])
    assert "x.onnx" in refused("run", "--model", "x.onnx", cwd=tmp_path)


def test_an_onnx_with_an_unknown_custom_operator(tmp_path: Path) -> None:
    identity(tmp_path / "x.onnx", domain="my.company", operator="Frobnicate")
    said = refused("run", "--model", "x.onnx", cwd=tmp_path)
    assert "Frobnicate" in said
    assert "my.company" in said


@pytest.mark.parametrize(
    ("arguments", "said", "near"),
    [
        (("run", "quik"), "unknown suite 'quik'", "quick"),
        (("run", "--model", "mnist_cn"), "unknown model 'mnist_cn'", "mnist_cnn"),
        (("export", "mnist_cnn@digits", "--variants", "fp23", "-o", "b"), "unknown variant 'fp23'", "fp32"),
        (("export", "mnist_cnn@digits", "--formats", "onx", "-o", "b"), "unknown format 'onx'", "onnx"),
        (("run", "--resume", "2026"), "there are no runs", ""),
        (("show", "latest"), "there are no runs", ""),
        (("run", "--only", "nothing-like-it"), "no case matches nothing-like-it", ""),
    ],
)
def test_an_unknown_name(tmp_path: Path, arguments: tuple[str, ...], said: str, near: str) -> None:
    told = refused(*arguments, cwd=tmp_path)
    assert said in told
    if near:
        assert f"did you mean '{near}'?" in told


def test_an_unknown_runtime_provider_and_key_in_a_suite_file(tmp_path: Path) -> None:
    base = "name = 's'\n[[matrix]]\nmodels = ['mnist_cnn@digits']\nvariants = ['fp32']\n"
    for text, said in (
        (base + "runtimes = ['onnxrutime-cpu']", "did you mean 'onnxruntime-cpu'?"),
        (base + "runtimes = ['onnxruntime-cuba']", "did you mean 'onnxruntime-cuda'?"),
        (base + "runtime = ['onnxruntime-cpu']", "did you mean 'runtimes'?"),
    ):
        (tmp_path / "s.toml").write_text(text)
        told = refused("run", "s.toml", cwd=tmp_path)
        assert said in told
        assert "matrix[0]" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("{ graph_optimisation = 'all' }", "did you mean 'graph_optimization'?"),
        ("{ graph_optimization = 'most' }", "'most' is not one of 'none', 'basic', 'extended', 'all'"),
        ("{ arena = 1 }", "arena = 1 is not one of True, False"),
        ("{ streams = 2 }", "unknown option 'streams'"),
    ],
)
def test_an_option_that_nobody_knows_or_with_a_wrong_value(tmp_path: Path, options: str, said: str) -> None:
    (tmp_path / "s.toml").write_text(
        "name = 's'\n[[matrix]]\nmodels = ['mnist_cnn@digits']\nvariants = ['fp32']\nruntimes = ['onnxruntime-cpu']\n"
        f"options = {options}\n"
    )
    told = refused("run", "s.toml", cwd=tmp_path)
    assert said in told
    assert "matrix[0].options" in told


@pytest.mark.parametrize(
    "more", [("quick",), ("--model", "mnist_cnn@digits"), ("--only", "int8"), ("--seed", "3"), ("--dry-run",)]
)
def test_a_resumed_run_takes_nothing_new(tmp_path: Path, more: tuple[str, ...]) -> None:
    assert "--resume goes on with the run as it was" in refused("run", "--resume", "latest", *more, cwd=tmp_path)


def test_a_bundle_takes_no_other_model(tmp_path: Path, digits_bundle: tuple[Path, object]) -> None:
    told = refused("run", str(digits_bundle[0]), "--model", "mnist_cnn@digits", cwd=tmp_path)
    assert "a bundle brings its own model" in told


def test_a_bundle_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    told = refused("export", "linear_regression", "--variants", "fp32", "-o", "file/b.zip", cwd=tmp_path)
    assert "file" in told
    assert "to do:" in told


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": np.zeros((5, 4), "f4"), "y": np.zeros(4, "i8")}, "y"),
        ({"x": np.zeros((5, 3), "f4"), "y": np.zeros(5, "i8")}, "x"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2, "i8")}, "x"),
        ({"y": np.zeros(5, "i8")}, "x"),
        ({"x": np.array([{}, {}], dtype=object), "y": np.zeros(2, "i8")}, "x"),
    ],
)
def test_data_of_the_wrong_shape_or_dtype(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    identity(tmp_path / "x.onnx")
    np.savez(tmp_path / "d.npz", **arrays)  # type: ignore[arg-type]
    told = refused("run", "--model", "x.onnx", "--data", "d.npz", cwd=tmp_path)
    assert "d.npz" in told
    assert said in told


@pytest.mark.skipif(os.name != "posix", reason="a file where a folder should be is refused elsewhere in other words")
def test_a_results_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file")
    told = refused("run", "--out", "blocked", cwd=tmp_path)
    assert "cannot write there" in told
    assert "--out DIR" in told


def test_a_full_disk_ends_the_run_with_a_message_and_keeps_it_resumable(tmp_path: Path, small_disk: Path) -> None:
    suite = tmp_path / "s.toml"
    suite.write_text(
        "name='s'\n[measure]\nmin_s=0.1\nmax_s=0.2\nwarmup_max_s=0.2\n[[matrix]]\nmodels=['mnist_cnn@digits']\n"
        "variants=['fp32','int8']\nruntimes=['onnxruntime-cpu','litert-xnnpack']"
    )
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        free = os.statvfs(small_disk)
        file.write(b"\0" * (free.f_bavail * free.f_frsize - 96 * 1024))
    done = bench("run", str(suite), "--out", str(small_disk), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(small_disk.rglob("*.part")), "nothing is left half-written"
    filler.unlink()
    again = bench("run", "--resume", "latest", "--out", str(small_disk), cwd=tmp_path)
    assert again.returncode == 0, again.stderr
