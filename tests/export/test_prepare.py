"""The cache: what is there is not made again, what is damaged is, and a child's troubles stay its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bench.errors import UserError
from bench.export.bundle import read_index
from bench.export.cache import bundle_key, cache_dir
from bench.export.errors import ExportError
from bench.export.inputs import Descriptions
from bench.export.prepare import prepare
from bench.zoo.find import find
from bench.zoo.hashing import file_sha256


def _silent(text: str, share: float | None = None, *, passing: bool = False) -> None:
    pass


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An ONNX file that exports in a second: y = x @ w."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.5, -1, 2, 0.25, 1, 1, -0.75, 3])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))
    return path


@pytest.fixture
def no_child(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a process was started")

    return lambda: monkeypatch.setattr(subprocess, "Popen", refuse)


FP32 = [("fp32", "onnx")]


def test_a_second_call_starts_nothing(tiny, tmp_path, no_child):
    wanted = [*FP32, ("pruned", "onnx"), ("fp32", "tflite")]
    first = prepare(find(str(tiny)), wanted, cache=tmp_path / "c", progress=_silent)
    no_child()
    start = time.perf_counter()
    assert prepare(find(str(tiny)), wanted, cache=tmp_path / "c", progress=_silent) == first
    assert time.perf_counter() - start < 0.5
    assert {u.format for u in read_index(first).unavailable} == {"onnx", "tflite"}


def test_a_further_variant_is_added_to_the_same_folder(tiny, tmp_path):
    source = find(str(tiny))
    first = prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    stamp = (first / read_index(first).artifacts[0].path).stat().st_mtime_ns
    second = prepare(source, [*FP32, ("fp16", "onnx")], cache=tmp_path / "c", progress=_silent)
    assert second == first
    assert {a.variant for a in read_index(second).artifacts} == {"fp32", "fp16"}
    assert (first / read_index(first).artifacts[0].path).stat().st_mtime_ns == stamp


def test_a_damaged_artifact_is_made_again(tiny, tmp_path):
    source = find(str(tiny))
    folder = prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    artifact = read_index(folder).artifacts[0]
    (folder / artifact.path).write_bytes(b"rot")
    prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    again = read_index(folder).artifacts[0]
    assert file_sha256(folder / again.path) == again.sha256 == artifact.sha256


def test_damaged_evaluation_data_is_made_again(tiny, tmp_path):
    source = find(str(tiny))
    folder = prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    data = folder / read_index(folder).data.inputs
    data.write_bytes(data.read_bytes()[:100])
    prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    bundle = read_index(folder)
    assert all(file_sha256(folder / name) == digest for name, digest in bundle.files.items())


def test_a_broken_index_is_made_again(tiny, tmp_path):
    source = find(str(tiny))
    folder = prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    (folder / "bundle.json").write_text("{")
    prepare(source, FP32, cache=tmp_path / "c", progress=_silent)
    assert read_index(folder).artifacts


def test_seed_data_and_content_have_folders_of_their_own(tiny, tmp_path):
    source = find(str(tiny))
    assert bundle_key(source, None, 0) != bundle_key(source, None, 1)
    before = source.sha256
    model = onnx.load(str(tiny))
    model.producer_version = "2"
    onnx.save(model, str(tiny))
    assert find(str(tiny)).sha256 != before


def test_the_key_needs_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); from bench.zoo.find import find; "
        "from bench.export.cache import bundle_key; bundle_key(find('mnist_cnn@digits'), None, 0); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'onnxruntime', 'numpy.linalg'} & set(sys.modules); "
        "print(sorted(heavy - {'numpy.linalg'}), time.perf_counter() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    heavy, seconds = done.stdout.rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 2.0


def test_the_variant_table_is_light():
    code = "import sys; import bench.export.variants; print({'numpy', 'onnx', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_two_at_once_export_once(tiny, tmp_path, monkeypatch):
    started: list[int] = []
    real = subprocess.Popen

    def counted(*args, **kwargs):
        started.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", counted)
    source = find(str(tiny))
    threads = [
        threading.Thread(target=prepare, args=(source, FP32), kwargs={"cache": tmp_path / "c", "progress": _silent})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1


def test_a_hung_export_is_stopped(tiny, tmp_path):
    start = time.monotonic()
    with pytest.raises(ExportError, match=r"over 0.05 s"):
        prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent, timeout_s=0.05)
    assert time.monotonic() - start < 10


def _stand_in(tmp_path: Path, body: str) -> Path:
    """A package `bench` whose child does `body` instead of its work, over the real one."""
    script = tmp_path / "stand_in.py"
    script.write_text(
        "import os, signal, sys\n"
        "from bench.export import work as real\n"
        "from bench.export import child\n"
        f"{body}\n"
        "child.main()\n"
    )
    return script


def _with_child(monkeypatch, script: Path) -> None:
    real = subprocess.Popen

    def swapped(command, **kwargs):
        return real([sys.executable, "-P", str(script)], **kwargs)

    monkeypatch.setattr(subprocess, "Popen", swapped)


def test_a_crash_in_one_variant_costs_only_that_variant(tiny, tmp_path, monkeypatch):
    body = (
        "made = real._made\n"
        "def crash(shop, wanted):\n"
        "    if wanted.variant == 'fp16':\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return made(shop, wanted)\n"
        "real._made = crash"
    )
    _with_child(monkeypatch, _stand_in(tmp_path, body))
    wanted = [("fp16", "onnx"), ("fp32", "onnx"), ("int8-dynamic", "onnx")]
    folder = prepare(find(str(tiny)), wanted, cache=tmp_path / "c", progress=_silent)
    bundle = read_index(folder)
    assert {a.variant for a in bundle.artifacts} == {"fp32", "int8-dynamic"}
    assert "SIGSEGV" in bundle.unavailable[0].reason
    # A crash may have been the machine's fault: the next call tries again.
    monkeypatch.undo()
    prepare(find(str(tiny)), wanted, cache=tmp_path / "c", progress=_silent)
    assert {a.variant for a in read_index(folder).artifacts} == {"fp32", "fp16", "int8-dynamic"}


def test_a_crash_outside_any_variant_is_an_export_error_with_the_tail_of_its_output(tiny, tmp_path, monkeypatch):
    body = (
        "def gone(*a):\n"
        "    print('last words', file=sys.stderr, flush=True)\n"
        "    os._exit(3)\n"
        "real.open_workshop = gone"
    )
    _with_child(monkeypatch, _stand_in(tmp_path, body))
    with pytest.raises(ExportError, match="exit code 3") as raised:
        prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent)
    assert "last words" in raised.value.tail


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        ("raise RuntimeError('out of order')", "the export of tiny failed: RuntimeError: out of order"),
        ("return None", "finished without a word about onnx fp32"),
        ("say(msg.Missing(missed))", "spoke of a variant before it described the model"),
        ("say('good morning')", "the export process ended with exit code"),
    ],
)
def test_a_child_that_breaks_its_promise_is_an_export_error(tiny, tmp_path, monkeypatch, work, reason):
    body = (
        "from bench.export import messages as msg\n"
        "from bench.record.artifact import Recipe, Unavailable\n"
        "missed = Unavailable(variant='fp32', format='onnx', reason='no', recipe=Recipe('fp32'))\n"
        "def work(request, say):\n"
        f"    {work}\n"
        "real.work = work"
    )
    _with_child(monkeypatch, _stand_in(tmp_path, body))
    with pytest.raises(ExportError, match=reason):
        prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent)


def test_what_a_killed_export_left_half_written_goes(tiny, tmp_path, no_child):
    folder = prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent)
    half = folder / "artifacts" / ".tiny-fp16.onnx.part"
    half.write_bytes(b"half")
    no_child()
    assert prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent) == folder
    assert not half.exists()


def test_an_exception_in_one_variant_is_its_reason(tiny, tmp_path, monkeypatch):
    body = (
        "made = real._made\n"
        "def fail(shop, wanted):\n"
        "    if wanted.variant == 'fp16':\n"
        "        raise ValueError('no such operator')\n"
        "    return made(shop, wanted)\n"
        "real._made = fail"
    )
    _with_child(monkeypatch, _stand_in(tmp_path, body))
    folder = prepare(find(str(tiny)), [("fp16", "onnx"), *FP32], cache=tmp_path / "c", progress=_silent)
    bundle = read_index(folder)
    assert bundle.unavailable[0].reason == "the converter failed: ValueError: no such operator"
    assert [a.variant for a in bundle.artifacts] == ["fp32"]


def test_what_is_not_made_of_such_a_file_says_why(tiny, tmp_path):
    asked = [("source", "onnx"), ("int16x8", "onnx")]
    folder = prepare(find(str(tiny)), asked, cache=tmp_path / "c", progress=_silent)
    assert {missed.variant: missed.reason for missed in read_index(folder).unavailable} == {
        "source": "the model is float32: ask for fp32",
        "int16x8": "int16x8 is not made in onnx",
    }


def test_an_unknown_variant_names_the_nearest(tiny, tmp_path):
    with pytest.raises(UserError, match="int9") as raised:
        prepare(find(str(tiny)), [("int9", "onnx")], cache=tmp_path / "c", progress=_silent)
    assert "'int8'" in str(raised.value)


def test_a_zoo_model_takes_no_data(tmp_path):
    with pytest.raises(UserError, match="its own data"):
        prepare(find("mnist_cnn@digits"), FP32, data=tmp_path / "d.npz", cache=tmp_path / "c", progress=_silent)


def test_the_inputs_of_a_zoo_model_are_not_described(tmp_path):
    described = Descriptions(axes={"n": 2}, where="inputs.toml")
    with pytest.raises(UserError, match="brings its own data") as raised:
        prepare(find("mnist_cnn@digits"), FP32, inputs=described, cache=tmp_path / "c", progress=_silent)
    assert raised.value.where == "inputs.toml"


def test_an_install_that_only_runs_bundles_says_what_it_lacks(tiny, tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxslim" else there(name))
    with pytest.raises(UserError, match="cannot export tiny: it has no onnxslim") as raised:
        prepare(find(str(tiny)), FP32, cache=tmp_path / "c", progress=_silent)
    assert "run a bundle" in str(raised.value.remedy)


def test_a_cache_that_cannot_be_written_is_said_so(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cache cannot be written"):
        prepare(find(str(tiny)), FP32, cache=tmp_path / "file", progress=_silent)


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("BENCH_CACHE_DIR")
    assert cache_dir().name == "counterpoise"
    assert cache_dir().is_absolute()
