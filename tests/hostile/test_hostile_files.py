"""Bundles, data of the user and addresses of the local pages: used, or refused with what is wrong and where."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.export.bundle import open_bundle
from bench.record.artifact import TensorSpec
from bench.zoo.hashing import file_sha256
from bench.zoo.userdata import read
from tests.conftest import bench
from tests.hostile.spoiled import as_json, damaged, few, spoiled, value_or_refusal
from tests.hostile.test_hostile_records import KEPT, RUN
from tests.serve.conftest import Client, served

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle that was really made, as a folder."""
    with zipfile.ZipFile(KEPT / "bundle.zip") as packed:
        packed.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


@few(150)
@given(data=st.data())
def test_an_index_of_a_bundle_is_read_or_refused(bundle: Path, data: st.DataObject) -> None:
    with zipfile.ZipFile(KEPT / "bundle.zip") as packed:
        content = packed.read("bundle.json")
    spoilt = data.draw(damaged(content) | spoiled(json.loads(content)).map(as_json))
    (bundle / "bundle.json").write_bytes(spoilt)
    opened = value_or_refusal(lambda: open_bundle(bundle, bundle.parent / "scratch"), bundle.name)
    if opened is not None:
        assert all((bundle / artifact.path).is_file() for artifact in opened[1].artifacts)


def test_a_bundle_that_lost_its_beginning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes((KEPT / "bundle.zip").read_bytes()[2_000:])
    assert value_or_refusal(lambda: open_bundle(path, tmp_path / "scratch"), path.name) is None


def _replaced(bundle: Path, name: str, content: bytes) -> None:
    """Put other content in a file of the bundle, with its checksum: whoever made the bundle wanted it so."""
    (bundle / name).write_bytes(content)
    index = json.loads((bundle / "bundle.json").read_bytes())
    index["files"][name] = file_sha256(bundle / name)
    for artifact in index["artifacts"]:
        if artifact["path"] == name:
            artifact["sha256"] = index["files"][name]
    (bundle / "bundle.json").write_bytes(as_json(index))


def _npy(array: object) -> bytes:
    to = io.BytesIO()
    np.save(to, array, allow_pickle=True)  # type: ignore[arg-type]
    return to.getvalue()


def _npz(**arrays: object) -> bytes:
    to = io.BytesIO()
    np.savez(to, **arrays)  # type: ignore[arg-type]
    return to.getvalue()


EXAMPLES = 60
MADE: dict[str, tuple[str, bytes]] = {
    "labels that are objects": ("data/labels.npy", _npy(np.array([{}], dtype=object))),
    "labels that are noise": ("data/labels.npy", b"noise"),
    "labels of another length": ("data/labels.npy", _npy(np.zeros(3))),
    "labels that are text": ("data/labels.npy", _npy(np.array(["a"] * EXAMPLES))),
    "labels that are not finite": ("data/labels.npy", _npy(np.full(EXAMPLES, np.nan))),
    "inputs of another name": ("data/inputs.npz", _npz(x=np.zeros((EXAMPLES, 1), "f4"))),
    "inputs of another shape": ("data/inputs.npz", _npz(**{"0": np.zeros((EXAMPLES, 7), "f4")})),
    "no inputs": ("data/inputs.npz", _npz(**{"0": np.zeros((0, 1), "f4")})),
    "inputs that are objects": ("data/inputs.npz", _npz(**{"0": np.array([{}], dtype=object)})),
    "a reference that is text": ("data/reference.npz", _npz(**{"0": np.array(["a"])})),
    "a model that is noise": ("artifacts/linear_regression@line-fp32.onnx", b"\x08\x07noise"),
}
RUN_AND_FAIL = ["labels that are not finite", "inputs of another shape", "a model that is noise"]


@pytest.mark.parametrize("what", [what for what in MADE if what not in RUN_AND_FAIL])
def test_a_bundle_with_arrays_made_wrong_is_refused(what: str, bundle: Path) -> None:
    _replaced(bundle, *MADE[what])
    assert value_or_refusal(lambda: open_bundle(bundle, bundle.parent / "scratch"), bundle.name) is None


@pytest.mark.slow
@pytest.mark.parametrize("what", RUN_AND_FAIL)
def test_a_bundle_with_a_file_made_wrong_ends_in_a_message_or_a_row_with_its_reason(what: str, bundle: Path) -> None:
    _replaced(bundle, *MADE[what])
    done = bench("run", str(bundle), "--only", "fp32/onnxruntime-cpu", "--json", cwd=bundle.parent)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1, 2), done.stderr
    if done.returncode == 1:
        (row,) = json.loads(done.stdout)["cases"]
        assert row["failure"]["reason"]


# Data of the user

SPEC = TensorSpec(name="x", shape=(None, 4), dtype="float32")
WHOLE = _npz(x=np.zeros((5, 4), "f4"), y=np.zeros(5, "i8"), calibration=np.zeros((2, 4), "f4"))


@few(150)
@given(data=st.data())
def test_damaged_data_are_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(data.draw(damaged(WHOLE)))
    value_or_refusal(lambda: read(path, [SPEC]), path.name)
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "x.npy").write_bytes(data.draw(damaged(_npy(np.zeros((5, 4), "f4")))))
    value_or_refusal(lambda: read(folder, [SPEC]), folder.name)


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin-1")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 5_000 + "\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",), }\n",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<V99999999999', 'fortran_order': False, 'shape': (1,), }\n",
        "__import__('os').system('true')\n",
        "\0" * 100,
    ],
)
def test_an_array_with_an_absurd_head_is_refused(header: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(_header(header))
    assert value_or_refusal(lambda: read(tmp_path, [SPEC]), tmp_path.name) is None


@few(60)
@given(
    name=st.sampled_from(["x", "y", "calibration", "train_x", "x:x", "z", ""]),
    array=st.sampled_from(
        [
            *(np.zeros(()), np.zeros((0, 4), "f4"), np.full((5, 4), np.nan, "f4"), np.full((5, 4), 1e308)),
            *(np.zeros((5, 4), "c8"), np.array(["a"] * 5), np.zeros((5, 4), "M8[s]"), np.zeros((5, 4, 1), "f2")),
            *(np.zeros((5, 4), ">f4"), np.zeros(5, [("a", "f4")]), np.zeros((5, 4), bool), np.zeros((1,) * 20)),
        ]
    ),
)
def test_data_of_absurd_arrays_are_read_or_refused(tmp_path: Path, name: str, array: np.ndarray) -> None:
    path = tmp_path / "d.npz"
    arrays = {"x": np.zeros((5, 4), "f4"), "y": np.zeros(5, "i8"), name: array}
    path.write_bytes(_npz(**arrays))
    value_or_refusal(lambda: read(path, [SPEC]), path.name)


# The local pages


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Client]]:
    """The pages over a run and a baseline; called in a test, so that one server serves all examples of it."""
    results = tmp_path_factory.mktemp("served") / "results"
    shutil.copytree(KEPT / RUN, results / RUN)
    shutil.copytree(KEPT / "baselines", results / "baselines")
    context = served(results)
    client = context.__enter__()
    try:
        yield lambda: client
    finally:
        context.__exit__(None, None, None)


WORDS = ["", RUN, "baseline:main", "../../etc/passwd", "%00", "\0", "é", "x" * 3_000, "[", "*", "\ud800", "<b>", "'\""]
word = st.sampled_from(WORDS) | st.text(max_size=8)


def _quoted(text: str) -> str:
    return quote(text.encode(errors="surrogatepass"), safe="/%")


@few(50)
@given(
    path=st.sampled_from(["/", "/runs/{}", "/runs/{}.json", "/compare", "/compare.json", "/{}", "/runs/{}/..", "//{}"]),
    named=word.filter(lambda name: name != RUN),  # its report takes seconds to draw, and is in other tests
    query=st.dictionaries(
        st.sampled_from(["before", "after", "only", "normalise_by", "allow", "sort", "order", "text"]), word, max_size=4
    ),
)
def test_an_address_of_the_pages_is_answered_without_a_fault_of_the_server(
    page: Callable[[], Client], path: str, named: str, query: dict[str, str]
) -> None:
    asked = "&".join(f"{key}={_quoted(value)}" for key, value in query.items())
    answer = page().get(f"{path.format(_quoted(named))}?{asked}")
    assert answer.status in (200, 400, 404, 422), (path, named, query)
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    "path", ["/%", "/%zz", "/?%", "/runs/%2e%2e%2f%2e%2e", "/" + "a/" * 2_000, "/?" + "a=1&" * 2_000]
)
def test_an_awkward_address_is_answered(page: Callable[[], Client], path: str) -> None:
    assert page().get(path).status in (200, 400, 404, 414)
    assert page().get("/", method="TRACE").status in (400, 405)
