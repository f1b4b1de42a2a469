"""The cache: what its keys cover, what lies in it, and that cleaning never pulls anything from under a process."""

from __future__ import annotations

import ast
import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.export.cache import CODE, NOT_DECIDING, bundle_key, tool_versions
from bench.export.clean import collect, remove
from bench.export.contents import FLEET, PEAKS, entries
from bench.export.errors import ExportError
from bench.export.prepare import prepare
from bench.export.uses import lock_of, mark_used, used_by_others
from bench.export.variants import VARIANTS
from bench.fleet import station
from bench.runner.peaks import machine
from bench.zoo.code import PACKAGE, code_files
from bench.zoo.find import find

FP32 = [("fp32", "onnx")]
DAY = 86_400.0


def _silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    pass


def write_model(path: Path, scale: float = 1.0) -> Path:
    """An ONNX file that exports in a second: y = x @ w."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], list(scale * np.arange(8.0)))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one real export."""
    folder = tmp_path_factory.mktemp("filled")
    prepare(find(str(write_model(folder / "tiny.onnx"))), FP32, cache=folder / "c", progress=_silent)
    return folder / "c"


@pytest.fixture
def cache(filled: Path, tmp_path: Path) -> Path:
    """A copy of that cache that may be spoilt."""
    return Path(shutil.copytree(filled, tmp_path / "c", ignore=shutil.ignore_patterns("in-use")))


def fake(cache: Path, name: str, *, size: int = 1000, age: float = 0.0, model: str = "m") -> Path:
    """A bundle as it lies in the cache, of `size` bytes and last used `age` seconds ago."""
    folder = cache / "bundles" / name
    folder.mkdir(parents=True)
    index = msgspec.json.encode({"model": {"name": model}, "artifacts": [{"variant": "fp32", "format": "onnx"}]})
    (folder / "bundle.json").write_bytes(index)
    (folder / "a.onnx").write_bytes(bytes(size - len(index)))
    used(folder, age)
    return folder


def used(folder: Path, age: float) -> None:
    os.utime(folder, (time.time() - age,) * 2)


def there(cache: Path) -> set[str]:
    return {entry.key for entry in entries(cache)}


# What the keys cover


def test_the_place_of_a_file_and_its_dates_are_not_in_its_key(tmp_path):
    first = write_model(tmp_path / "a" / "m.onnx")
    second = tmp_path / "b" / "m.onnx"
    second.parent.mkdir()
    shutil.copyfile(first, second)
    os.utime(second, (0, 0))
    assert bundle_key(find(str(first)), None, 0) == bundle_key(find(str(second)), None, 0)


def test_the_external_data_of_a_file_are_in_its_key(tmp_path):
    path = write_model(tmp_path / "m.onnx")
    model = onnx.load(str(path))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((4, 2), np.float32), "w"))
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    before = bundle_key(find(str(path)), None, 0)
    data = bytearray((tmp_path / "w.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "w.bin").write_bytes(bytes(data))
    assert bundle_key(find(str(path)), None, 0) != before


def test_a_module_of_the_export_is_in_the_key_or_known_to_decide_nothing():
    """All that the export child can import, found in the sources."""
    roots = ["bench.export.child", "bench.export.zoo_origin"]
    roots += [maker.partition(":")[0] for spec in VARIANTS.values() for maker in spec.makers.values()]
    hashed = {file.relative_to(PACKAGE).as_posix() for file in code_files(CODE, NOT_DECIDING)}
    carries_and_checks = {"wire.py", "files.py", "errors.py", "__init__.py", "suite/__init__.py", "suite/validate.py"}
    carries_and_checks |= {"confine.py", "record/observation.py"}
    carries_and_checks.add("suite/tune.py")  # the ranges of a search
    reached = {file.relative_to(PACKAGE).as_posix() for file in _closure(roots)}
    left = {
        name
        for name in reached - hashed - NOT_DECIDING - carries_and_checks
        # Intervals: the index keeps the values of metrics alone.
        if not name.startswith("stats/") and name != "record/__init__.py"
    }
    assert not left
    decides = ("export/quantize.py", "export/work.py", "training/fit.py", "zoo/audio.py", "quality/parity.py")
    assert {*decides, "stats/proportion.py"} <= hashed


def test_a_zoo_model_has_no_key_with_data_of_the_users(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((1, 4)))
    with pytest.raises(ExportError, match="brings its own data"):
        bundle_key(find("mnist_cnn@digits"), tmp_path / "d.npz", 0)


def test_the_packages_that_an_onnx_export_imports_itself_are_in_its_key():
    assert {"onnx-ir", "ml_dtypes", "scipy", "onnxslim"} <= set(tool_versions("onnx"))


def test_what_is_said_to_decide_nothing_exists():
    assert {name for name in NOT_DECIDING if not (PACKAGE / name).is_file()} == set()


def _closure(roots: list[str]) -> set[Path]:
    """The files of all modules of this package that these import, now or in a function."""
    todo, seen = list(roots), set()
    while todo:
        spec = importlib.util.find_spec(todo.pop())
        if spec is None or spec.origin is None or Path(spec.origin) in seen:
            continue
        seen.add(Path(spec.origin))
        for node in ast.walk(_AtRunTime().visit(ast.parse(Path(spec.origin).read_text()))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench"):
                todo.append(str(node.module))
                todo += [f"{node.module}.{name.name}" for name in node.names if _is_module(node.module, name.name)]
    return seen


class _AtRunTime(ast.NodeTransformer):
    """Without what is imported for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        only_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if only_types else self.generic_visit(node)


def _is_module(package: str | None, name: str) -> bool:
    place = PACKAGE.parent / str(package).replace(".", "/") / name
    return place.is_dir() or place.with_suffix(".py").is_file()


# What lies there


def test_an_export_is_listed_with_its_model_variants_and_bytes(cache):
    (entry,) = entries(cache)
    assert (entry.kind, entry.model, entry.unfinished) == ("bundle", "tiny", False)
    assert [(made.variant, made.format) for made in entry.variants] == FP32
    files = [path for path in (cache / entry.path).rglob("*") if path.is_file()]
    files.append(cache / "logs" / f"{entry.key}.log")
    assert entry.bytes == sum(path.stat().st_size for path in files) > 0


def test_weights_downloads_and_logs_are_listed_too(cache):
    (cache / "trained" / "net@small-0123abcd").mkdir(parents=True)
    (cache / "trained" / "net@small-0123abcd" / "model.keras").write_bytes(b"w" * 10)
    (cache / "data" / "mnist").mkdir(parents=True)
    (cache / "data" / "mnist" / "images.gz").write_bytes(b"d" * 20)
    (cache / "logs" / "gone.log").write_bytes(b"l" * 30)
    found = {(entry.kind, entry.model, entry.key, entry.bytes) for entry in entries(cache)}
    assert {("weights", "net@small", "0123abcd", 10), ("data", "", "mnist", 20), ("log", "", "gone", 30)} <= found


@pytest.fixture
def sent(cache) -> Path:
    """A bundle that a fleet sent, another one that is on its way in, one that broke off, and peaks of two machines."""
    folder = cache / FLEET / ("f" * 64)
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text('{"model": {"name": "sent"}, "artifacts": []}')
    for name, age in ((".on-its-way.zip", 60), (".broken-off.zip", 2 * DAY)):
        (cache / FLEET / name).write_bytes(b"p" * 40)
        used(cache / FLEET / name, age)
    (cache / FLEET / ".unpacking").mkdir()
    (cache / PEAKS).mkdir()
    for key, age in (("1" * 24, 0), ("2" * 24, 40 * DAY)):
        (cache / PEAKS / f"{key}.json").write_text("{}")
        used(cache / PEAKS / f"{key}.json", age)
        (cache / PEAKS / f"{key}.lock").touch()
    return cache


def test_what_a_fleet_sent_and_peaks_are_listed(sent):
    assert (FLEET, PEAKS) == (station.FOLDER, machine.FOLDER)
    found = {(entry.kind, entry.model, entry.key, entry.unfinished) for entry in entries(sent)}
    assert {entry for entry in found if entry[0] != "bundle"} == {
        ("fleet", "sent", "f" * 64, False),
        ("fleet", "?", ".broken-off.zip", True),
        ("peaks", "", "1" * 24, False),
        ("peaks", "", "2" * 24, False),
    }


def test_what_a_fleet_sent_and_peaks_are_removed_with_their_locks(sent):
    (done,) = remove(sent, ["sent"]).removed
    assert done.kind == "fleet"
    assert [gone.key for gone in collect(sent, older_than_s=30 * DAY).removed] == [".broken-off.zip", "2" * 24]
    assert {path.name for path in (sent / PEAKS).iterdir()} == {f"{'1' * 24}.json", f"{'1' * 24}.lock"}
    remove(sent, [], everything=True)
    assert {path.name for path in (sent / FLEET).iterdir()} == {".on-its-way.zip", ".unpacking"}
    assert list((sent / PEAKS).iterdir()) == []


def test_a_bundle_that_a_worker_measures_stays(sent, monkeypatch):
    code = "import os, sys; from bench.fleet import station; station._bundle('f' * 64); print(0, flush=True); input()"
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "BENCH_CACHE_DIR": str(sent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stdout.readline() == "0\n"
        (kept,) = remove(sent, ["sent"]).kept
        assert "uses it" in kept.reason
        worker.communicate("\n", timeout=60)
    assert remove(sent, ["sent"]).kept == ()
    monkeypatch.setenv("BENCH_CACHE_DIR", str(sent))
    with pytest.raises(station.Broken, match="no longer in"):
        station._bundle("f" * 64)


def test_a_cache_that_is_not_there_is_empty(tmp_path):
    assert entries(tmp_path / "none") == []
    assert remove(tmp_path / "none", [], everything=True).freed == 0


def test_every_use_moves_an_export_to_the_top(cache, tmp_path):
    fake(cache, "f" * 24)
    (mine,) = [entry for entry in entries(cache) if entry.model == "tiny"]
    used(cache / mine.path, 5 * DAY)
    assert entries(cache)[-1].model == "tiny"
    prepare(find(str(write_model(tmp_path / "tiny.onnx"))), FP32, cache=cache, progress=_silent)
    assert entries(cache)[0].model == "tiny"


# Removing


def test_a_key_its_start_or_a_model_is_removed_with_its_log_and_lock(cache):
    fake(cache, "a" * 24, model="net@small")
    fake(cache, "b" * 24, model="net@large")
    fake(cache, "c" * 24, model="other")
    (tiny,) = [entry for entry in entries(cache) if entry.model == "tiny"]
    done = remove(cache, [tiny.key[:8]])
    assert [entry.key for entry in done.removed] == [tiny.key]
    assert done.freed == tiny.bytes
    assert not list(cache.rglob(f"{tiny.key}*"))
    assert {entry.key for entry in remove(cache, ["net"]).removed} == {"a" * 24, "b" * 24}
    assert remove(cache, [], everything=True).left == 0


@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_removes_no_download_and_no_log(cache, name):
    (cache / "data" / "mnist").mkdir(parents=True)
    (cache / "logs" / "gone.log").write_text("x")
    before = there(cache)
    with pytest.raises(UserError, match="blank"):
        remove(cache, [name])
    assert there(cache) == before >= {"mnist", "gone"}


@pytest.mark.parametrize(
    ("names", "everything"), [((), False), (("tiny",), True), (("nothing",), False), (("aaaa",), False)]
)
def test_what_names_nothing_or_too_much_is_refused(cache, names, everything):
    fake(cache, "a" * 24)
    fake(cache, "a" * 23 + "b")
    before = there(cache)
    with pytest.raises(UserError):
        remove(cache, names, everything=everything)
    assert there(cache) == before


def test_a_link_in_the_cache_is_left_alone(cache, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("keep")
    (cache / "bundles" / "link").symlink_to(tmp_path / "mine")
    remove(cache, [], everything=True)
    assert (tmp_path / "mine" / "file").read_text() == "keep"


# Collecting


def test_what_is_of_no_use_goes_and_what_can_go_on_stays(cache):
    (cache / "bundles" / "half" / "artifacts").mkdir(parents=True)
    (cache / "bundles" / "gone.lock").touch()
    (cache / "logs" / "gone.log").write_text("x")
    (cache / "trained" / "net-0a").mkdir(parents=True)
    (cache / "trained" / "net-0b").mkdir()
    (cache / "trained" / "net-0b" / "progress.json").write_text("{}")
    (cache / "data" / "set").mkdir(parents=True)
    (cache / "data" / "set" / "file.part").write_text("x")
    would = collect(cache, dry_run=True)
    assert {"half", "gone", "0a"} <= there(cache), "a dry run removes nothing"
    done = collect(cache)
    assert {entry.key for entry in done.removed} == {entry.key for entry in would.removed} == {"half", "gone", "0a"}
    assert done.locks == would.locks == 1
    assert {entry.model for entry in entries(cache)} == {"tiny", "net", ""}


def test_only_what_was_not_used_for_so_long_goes(cache):
    fake(cache, "a" * 24, age=31 * DAY)
    fake(cache, "b" * 24, age=29 * DAY)
    done = collect(cache, older_than_s=30 * DAY)
    assert [entry.key for entry in done.removed] == ["a" * 24]
    assert "b" * 24 in there(cache)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(200, 5000), min_size=1, max_size=8),
    limit=st.integers(0, 20_000),
    data=st.data(),
)
def test_the_least_recently_used_goes_first_and_no_more_than_needed(tmp_path, sizes, limit, data):
    cache = tmp_path / "lru"
    shutil.rmtree(cache, ignore_errors=True)
    ages = data.draw(st.permutations(range(len(sizes))))
    for at, (size, age) in enumerate(zip(sizes, ages, strict=True)):
        fake(cache, f"{at:024}", size=size, age=100.0 * (age + 1))
    before = {entry.key: entry for entry in entries(cache)}
    done = collect(cache, max_bytes=limit)
    left = entries(cache)
    assert done.left == sum(entry.bytes for entry in left) <= limit
    oldest_left = min((entry.used for entry in left), default=float("inf"))
    assert all(before[entry.key].used < oldest_left for entry in done.removed)
    if done.removed:
        last = max(done.removed, key=lambda entry: entry.used)
        assert done.left + last.bytes > limit, "the last one had to go"


def test_a_download_goes_with_its_locks_and_locks_of_no_download_go_too(cache):
    for name in (
        "mnist/images.gz",
        "mnist/images.gz.lock",
        "cifar/half.gz.part",
        "cifar/half.gz.lock",
        "old/x.gz.lock",
    ):
        (cache / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (cache / "data" / name).touch()
    before = collect(cache).locks
    assert not (cache / "data" / "old" / "x.gz.lock").exists()
    assert (before, collect(cache).locks) == (1, 0), "what is being fetched keeps its lock"
    assert remove(cache, ["mnist"]).removed
    assert not (cache / "data" / "mnist").exists()


# Two processes


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (shutil.rmtree, "it is gone already"),
        (lambda path: os.utime(path, (time.time() + 9, time.time() + 9)), "it was used meanwhile"),
        (None, "the system refused: Permission denied"),
    ],
)
def test_what_changes_while_the_cache_is_cleaned_stays(cache, monkeypatch, happens, reason):
    """Another process is at the second entry, or keeps it, while the first one is removed."""
    fake(cache, "a" * 24)
    fake(cache, "b" * 24)
    gone = shutil.rmtree

    def meanwhile(path):
        if happens is None and path.name == "b" * 24:
            raise PermissionError(errno.EACCES, "Permission denied")
        gone(path)
        if happens is not None:
            happens(path.with_name("b" * 24))

    monkeypatch.setattr(shutil, "rmtree", meanwhile)
    done = remove(cache, ["a" * 24, "b" * 24])
    assert [entry.key for entry in done.removed] == ["a" * 24]
    assert [(kept.entry.key, kept.reason) for kept in done.kept] == [("b" * 24, reason)]


def test_what_another_process_works_on_stays(cache):
    fake(cache, "a" * 24, age=90 * DAY)
    with FileLock(cache / "bundles" / ("a" * 24 + ".lock")):
        done = remove(cache, ["a" * 24])
        assert "another process" in done.kept[0].reason
        assert collect(cache, max_bytes=0).kept
        assert "a" * 24 in there(cache)
    assert remove(cache, ["a" * 24]).freed > 0


def test_names_with_dots_have_locks_of_their_own(cache):
    for model in ("net.v1", "net.v2"):
        (cache / "trained" / f"{model}@x-0b").mkdir(parents=True)
    with FileLock(lock_of(cache / "trained" / "net.v1@x-0b")):
        assert [entry.model for entry in remove(cache, ["net.v1@x", "net.v2@x"]).removed] == ["net.v2@x"]


def test_a_training_that_outlived_its_parent_keeps_its_folder(cache):
    folder = cache / "trained" / "net-0b"
    folder.mkdir(parents=True)
    with FileLock(folder / ".training.lock"):
        assert remove(cache, ["net"]).kept
    assert not remove(cache, ["net"]).kept


PREPARE = """
import sys
from pathlib import Path
from bench.export.prepare import prepare
from bench.zoo.find import find
told = []
tell = lambda text, *more, **named: told.append(text)
folder = prepare(find(sys.argv[1]), [("fp32", "onnx")], cache=Path(sys.argv[2]), progress=tell)
print(sum("converting" in text for text in told), flush=True)
sys.stdin.readline()
assert (folder / "bundle.json").is_file() and list(folder.glob("artifacts/*.onnx")), "it was cleaned away"
"""


@pytest.fixture
def user(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that takes an export from a cache and keeps using it until it gets a line."""
    model = write_model(tmp_path / "tiny.onnx")
    started = []

    def start(cache: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREPARE, str(model), str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def test_what_a_running_process_uses_stays_until_it_ends(cache, user):
    process = user(cache)
    assert process.stdout.readline() == "0\n", "the copy of the cache has it"
    (entry,) = entries(cache)
    assert entry.in_use
    assert "uses it" in remove(cache, ["tiny"]).kept[0].reason
    assert "uses it" in collect(cache, older_than_s=0).kept[0].reason
    assert collect(cache, max_bytes=0).removed == ()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not entries(cache)[0].in_use
    assert [gone.model for gone in remove(cache, ["tiny"]).removed] == ["tiny"]
    assert list((cache / "in-use").iterdir()) == [], "nothing is left of a killed process"


def test_what_is_in_use_counts_as_kept_where_a_size_is_asked_for(cache, user):
    process = user(cache)
    process.stdout.readline()
    (mine,) = entries(cache)
    used(cache / mine.path, 9 * DAY)
    fake(cache, "a" * 24, age=DAY)
    fake(cache, "b" * 24)
    done = collect(cache, older_than_s=8 * DAY, max_bytes=mine.bytes + 1500)
    assert ([entry.key for entry in done.removed], [kept.entry.model for kept in done.kept]) == (["a" * 24], ["tiny"])


def test_a_reader_finds_the_list_of_before_whole_while_it_is_written_anew(cache):
    for name in "ab":
        (cache / "data" / name).mkdir(parents=True)
    mark_used(cache, cache / "data" / "a")
    (own,) = cache.glob("in-use/*.txt")
    before = own.read_text()
    with own.open() as reader:
        mark_used(cache, cache / "data" / "b")
        assert reader.read() == before
    (cache / "in-use" / ".half.txt").touch()
    assert used_by_others(cache) == set()
    assert (cache / "in-use" / ".half.txt").exists(), "another process is about to put it in place"


def test_a_process_that_ends_leaves_no_list(cache, user):
    process = user(cache)
    process.communicate("go\n")
    assert process.returncode == 0
    assert list((cache / "in-use").iterdir()) == []


def test_two_processes_at_once_export_once(tmp_path, user):
    both = [user(tmp_path / "c") for _ in range(2)]
    told = [process.communicate("go\n") for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sorted(int(out) for out, _ in told) == [0, 1]


def test_cleaning_while_others_export_breaks_neither(tmp_path, user):
    """Whatever the moment: who gets an export has it until the end."""
    cache = tmp_path / "c"
    users = [user(cache) for _ in range(3)]
    holding = 0
    while holding < len(users) and all(process.poll() is None for process in users):
        holding = len(list(cache.glob("in-use/[!.]*.txt")))
        collect(cache, max_bytes=0)
        remove(cache, [], everything=True)
    told = [process.communicate("go\n") for process in users]
    assert [process.returncode for process in users] == [0, 0, 0], told
    remove(cache, [], everything=True)
    assert entries(cache) == []


def test_a_use_is_noted_for_downloads_too_and_paths_elsewhere_are_not(cache, tmp_path):
    (cache / "data" / "set" / "deep").mkdir(parents=True)
    used(cache / "data" / "set", 9 * DAY)
    mark_used(cache, str(cache / "data" / "set" / "deep" / "file"), None, tmp_path / "elsewhere" / "file")
    (entry,) = [entry for entry in entries(cache) if entry.kind == "data"]
    assert time.time() - entry.used < DAY
    assert not (tmp_path / "elsewhere").exists()
