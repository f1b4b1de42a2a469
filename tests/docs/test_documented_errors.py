"""Every message of docs/errors.md is made by a command that is bad in that way, and says what the page says."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.conftest import bench
from tests.kept_runs import keep_small

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "tests" / "upgrade" / "v0.1.0"
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
DOCUMENTED = ROW.findall((ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))
SUITE = "name='s'\n[[matrix]]\nmodels=['mnist_cnn@digits']\nvariants=['fp32']\nruntimes=['onnxruntime-cpu']\n"
RUN = "20260101-000000-a"


def suite(text: str | bytes) -> Callable[[Path], None]:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda here: (here / "s.toml").write_bytes(content) and None


def spoilt(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda here: (here / "results" / RUN / name).write_bytes(content) and None


def model(here: Path) -> None:
    shape = ["n", 4]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), here / "x.onnx")


def data(array: np.ndarray | None) -> Callable[[Path], None]:
    def make(here: Path) -> None:
        model(here)
        if array is None:
            (here / "d.npz").write_bytes(b"noise")
        else:
            np.savez(here / "d.npz", x=array)

    return make


def bundle(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def make(here: Path) -> None:
        with zipfile.ZipFile(KEPT / "bundle.zip") as packed:
            packed.extractall(here / "bundle")
        change(here / "bundle")

    return make


def names_a_file_outside(folder: Path) -> None:
    index = json.loads((folder / "bundle.json").read_bytes())
    index["files"]["../x"] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(index))


def no_tables(here: Path) -> None:
    (here / "results" / RUN / "cases.parquet").unlink()


def newer(here: Path) -> None:
    path = here / "results" / RUN / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema": 999}))


def another_table(here: Path) -> None:
    folder = here / "results" / RUN
    shutil.copy(folder / "latencies.parquet", folder / "cases.parquet")


def nothing(here: Path) -> None:
    del here


def without_runs(here: Path) -> None:
    shutil.rmtree(here / "results")


def two_runs(here: Path) -> None:
    shutil.copytree(here / "results" / RUN, here / "results" / f"{RUN}b")


def profile_of_another_name(here: Path) -> None:
    (here / "hardware_profiles").mkdir()
    shutil.copy(KEPT / "target.toml", here / "hardware_profiles" / "mine.toml")


def damaged_baseline(here: Path) -> None:
    shutil.copytree(KEPT / "baselines", here / "results" / "baselines")
    for path in (here / "results" / "baselines" / "main").glob("*.json"):
        path.write_bytes(path.read_bytes()[:100])


GATE = ("gate", "baseline:main", "latest", "--max-regression", "size=0%")
RUN_SUITE = ("run", "s.toml", "--dry-run")
MADE_BY: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "unknown … '…'": (nothing, ("run", "quik")),
    "there are no runs in …": (without_runs, ("show",)),
    "'…' is the start of … runs": (two_runs, ("show", "2026")),
    "no case matches …": (nothing, ("run", "--only", "nothing-like-it")),
    "no baseline is named '…'": (nothing, ("compare", "baseline:main", "latest")),
    "'…' is not a name for a baseline": (nothing, ("baseline", "save", "../x", "latest")),
    "cannot read the latency '…'": (nothing, ("recommend", "latest", "--max-p99", "10")),
    "'…' is no rule": (nothing, ("gate", "latest", "latest", "--max-regression", "fast")),
    "'…' is no rule for …": (nothing, ("gate", "latest", "latest", "--max-regression", "p50_latency=fast")),
    "cannot read '…'": (nothing, ("export", "linear_regression", "--define", "x", "-o", "b")),
    "cannot read the suite: …": (nothing, ("run", "none.toml")),
    "the suite is not UTF-8 text": (suite("name = 'é'".encode("latin-1")), RUN_SUITE),
    "the suite is not valid TOML: …": (suite("name ="), RUN_SUITE),
    "the key '…' is missing": (suite("name = 's'"), RUN_SUITE),
    "unknown key '…'": (suite(SUITE + "threds = [1]"), RUN_SUITE),
    "min_s (…) is over max_s (…)": (suite("measure = { min_s = 9, max_s = 1 }\n" + SUITE), RUN_SUITE),
    "the suite names no model": (suite(SUITE.replace("'mnist_cnn@digits'", "")), RUN_SUITE),
    "the profile in it is called '…'": (profile_of_another_name, ("cost", "latest", "--profile", "mine")),
    "there is no such model file": (nothing, ("run", "--model", "none.onnx")),
    "the folder is not a model": (nothing, ("run", "--model", "results")),
    "there is no such data": (model, ("run", "--model", "x.onnx", "--data", "none.npz")),
    "the data cannot be read: …": (data(None), ("run", "--model", "x.onnx", "--data", "d.npz")),
    "the array has shape …, the model's input '…' takes …": (
        data(np.zeros((5, 3), "f4")),
        ("run", "--model", "x.onnx", "--data", "d.npz"),
    ),
    "the data holds Python objects (dtype object)": (
        data(np.array([{}], dtype=object)),
        ("run", "--model", "x.onnx", "--data", "d.npz"),
    ),
    "a bundle brings its own model and data": (bundle(nothing), ("run", "bundle", "--model", "mnist_cnn@digits")),
    "the bundle is not a whole zip archive: …": (
        lambda here: (here / "b.zip").write_bytes((KEPT / "bundle.zip").read_bytes()[:2_000]) and None,
        ("run", "b.zip"),
    ),
    "the bundle's file '…' is damaged": (
        bundle(lambda folder: (folder / "data" / "labels.npy").write_bytes(b"x") and None),
        ("run", "bundle"),
    ),
    "the bundle names the file '…', outside its own folder": (bundle(names_a_file_outside), ("run", "bundle")),
    "that place is taken by something that is not a bundle": (
        nothing,
        ("export", "linear_regression", "--variants", "fp32", "-o", "results"),
    ),
    "the run has no tables yet: …": (no_tables, ("compare", "latest", "latest")),
    "the manifest is damaged: …": (spoilt("manifest.json", b"{"), ("show",)),
    "the run was written by a newer version (…)": (newer, ("show",)),
    "cannot read the table: …": (spoilt("cases.parquet", b"noise"), ("show",)),
    "the table is not one that this version can read: …": (another_table, ("show",)),
    "the baseline is damaged: …": (damaged_baseline, GATE),
    "the file is not JSON: …": (
        lambda here: (here / "f.json").write_bytes(b"[") and None,
        ("compare", "./f.json", "latest"),
    ),
    "--resume goes on with the run as it was": (nothing, ("run", "quick", "--resume", "latest")),
    "a query only reads: …": (nothing, ("query", "DROP TABLE cases")),
    "the query cannot be done: …": (nothing, ("query", "SELECT nothing FROM cases")),
    "this is not a run: …": (bundle(nothing), ("import", "bundle")),
    "cannot write there: …": (
        lambda here: (here / "blocked").write_bytes(b"") and None,
        ("run", "quick", "--only", "fp32/onnxruntime-cpu", "--out", "blocked"),
    ),
    "'…' is no address of a scheduler": (nothing, ("fleet", "run", "quick", "--scheduler", "here")),
    "without TLS a fleet stays on this machine, …": (
        nothing,
        ("fleet", "run", "quick", "--scheduler", "tcp://192.0.2.1:8786"),
    ),
}
"""What to make in a folder that holds one small run, and the command that then says it."""
ELSEWHERE = {
    "the disk is full": "tests/cli/test_bad_input.py",
    "no scheduler answers: …": "tests/fleet/test_fleet_secure.py",
}
"""Messages that need more than a command: the file of the test that makes them."""


def test_the_page_and_this_table_list_the_same_messages() -> None:
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    assert set(DOCUMENTED) == {*MADE_BY, *ELSEWHERE}
    for message, path in ELSEWHERE.items():
        assert message.removesuffix(": …") in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("message", MADE_BY)
def test_a_documented_message_is_what_the_command_says(message: str, tmp_path: Path) -> None:
    keep_small(tmp_path / "results", RUN)
    make, words = MADE_BY[message]
    make(tmp_path)
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    pattern = ".+".join(map(re.escape, message.split("…")))
    assert re.search(f"^error: {pattern}", done.stderr, re.MULTILINE), done.stderr
    assert "\n  to do: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_message_has_where_and_what_to_do_as_the_page_says(tmp_path: Path) -> None:
    what, where, remedy = bench("run", "none.toml", cwd=tmp_path).stderr.splitlines()
    assert what.startswith("error: cannot read the suite: ")
    assert re.fullmatch(r"  where: .*none\.toml", where)
    assert remedy == "  to do: check the path"
