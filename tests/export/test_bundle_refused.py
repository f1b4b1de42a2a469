"""A bundle comes from elsewhere: whatever it holds, it is opened whole and harmless or refused with a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import struct
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from bench.errors import UserError
from bench.export.bundle import open_bundle, read_index, save
from bench.export.prepare import prepare
from bench.zoo import archive
from bench.zoo.find import find
from bench.zoo.hashing import file_sha256


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real export."""
    folder = tmp_path_factory.mktemp("made")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.ones((4, 2), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, str(folder / "tiny.onnx"))
    return prepare(find(str(folder / "tiny.onnx")), [("fp32", "onnx")], cache=folder, progress=lambda *_, **__: None)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The export as a folder that may be spoilt."""
    return save(made, lambda artifact: True, tmp_path / "out" / "b")


@pytest.fixture
def zipped(made: Path, tmp_path: Path) -> Path:
    """The export as a zip that may be spoilt."""
    return save(made, lambda artifact: True, tmp_path / "out" / "b.zip")


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[Path, str], None]:
    """Checks that a bundle is refused in these words, and that nothing is written outside of the scratch folder."""

    def check(path: Path, said: str) -> None:
        scratch = tmp_path / "scratch" / "deep" / "er"
        scratch.mkdir(parents=True)
        before = _everything(tmp_path, scratch)
        with pytest.raises(UserError, match=said) as raised:
            open_bundle(path, scratch)
        assert raised.value.where
        assert raised.value.remedy
        assert _everything(tmp_path, scratch) == before

    return check


def _everything(root: Path, without: Path) -> set[str]:
    return {str(path) for path in root.rglob("*") if not path.is_relative_to(without)}


def _add(path: Path, name: str, content: bytes = b"x", **more: Any) -> None:
    entry = zipfile.ZipInfo(name)
    for key, value in more.items():
        setattr(entry, key, value)
    with zipfile.ZipFile(path, "a") as opened:
        opened.writestr(entry, content)


def _index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    change(content)
    (folder / "bundle.json").write_text(json.dumps(content))


def test_unspoilt_it_opens(folder, zipped, tmp_path):
    assert open_bundle(folder, tmp_path)[1] == open_bundle(zipped, tmp_path)[1]


# Members of the archive

LEAVING = [
    "../evil", "a/../../evil", "/evil", "..\\evil", "a\\..\\..\\evil", "C:\\evil", "C:evil", "C:/evil",
    "\\\\host\\share\\evil", "//host/share/evil", "..", ".", "a\x1b[2J", "x" * 300,
]  # fmt: skip


@pytest.mark.parametrize("name", LEAVING)
def test_a_member_that_leaves_the_folder_is_refused(name, zipped, refused):
    _add(zipped, name)
    refused(zipped, "outside its own folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_member_that_is_a_link_or_a_device_is_refused(kind, zipped, refused):
    _add(zipped, "data/more", b"/etc/passwd", external_attr=(kind | 0o777) << 16)
    refused(zipped, "a link or a device")


@pytest.mark.parametrize("name", ["bundle.json", "BUNDLE.JSON", "Data/inputs.npz", "data//inputs.npz"])
def test_members_that_would_be_written_over_each_other_are_refused(name, zipped, refused):
    with pytest.warns(UserWarning, match="Duplicate") if name == "bundle.json" else contextlib.nullcontext():
        _add(zipped, name)
    refused(zipped, "twice")


def test_names_that_are_one_in_another_normal_form_are_refused(zipped, refused):
    _add(zipped, "data/\u00e9")
    _add(zipped, "data/e\u0301")
    refused(zipped, "twice")


@pytest.mark.parametrize("name", ["data", "bundle.json/x", "DATA"])
def test_a_member_that_is_a_file_and_a_folder_is_refused(name, zipped, refused):
    _add(zipped, name)
    refused(zipped, "as a file and as a folder")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_compression_that_nothing_here_writes_is_refused(method, zipped, refused):
    _add(zipped, "data/more", compress_type=method)
    refused(zipped, "compressed in a way")


def test_an_encrypted_member_is_refused(zipped, refused):
    _add(zipped, "data/more")
    content = bytearray(zipped.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + 8] |= 1
    zipped.write_bytes(bytes(content))
    refused(zipped, "encrypted")


# Sizes


@pytest.mark.parametrize(
    ("limit", "value"), [("LARGEST_BYTES", 1000), ("LARGEST_MEMBER_BYTES", 500), ("MOST_MEMBERS", 2)]
)
def test_more_than_the_limits_is_refused(limit, value, zipped, refused, monkeypatch):
    monkeypatch.setattr(archive, limit, value)
    refused(zipped, "over the limit")


def test_a_bomb_is_refused_before_it_goes_off(zipped, refused, tmp_path):
    with zipfile.ZipFile(zipped, "a", zipfile.ZIP_DEFLATED) as opened, opened.open("data/more", "w") as sink:
        for _ in range((archive.BOMB_BYTES >> 20) + 1):
            sink.write(bytes(1 << 20))
    assert zipped.stat().st_size < 1 << 20
    refused(zipped, "times as many")
    assert not list((tmp_path / "scratch").rglob("more"))


def test_a_bomb_within_the_data_is_refused(folder, refused):
    inputs = folder / read_index(folder).data.inputs
    with zipfile.ZipFile(inputs, "w", zipfile.ZIP_DEFLATED) as opened, opened.open("0.npy", "w") as sink:
        for _ in range((archive.BOMB_BYTES >> 20) + 1):
            sink.write(bytes(1 << 20))
    _index(folder, lambda c: c["files"].update({c["data"]["inputs"]: file_sha256(inputs)}))
    refused(folder, "times as many")


def test_data_that_shrink_like_a_bomb_are_saved_so_that_they_open_again(made, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "BOMB_BYTES", 1000)
    monkeypatch.setattr(archive, "BOMB_RATIO", 1)
    out = save(made, lambda artifact: True, tmp_path / "b.zip")
    assert open_bundle(out, tmp_path / "s")[1].artifacts


def test_a_zip_that_would_not_open_again_is_not_written(made, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    with pytest.raises(
        UserError, match=r"the bundle cannot be a zip: it holds \d members, over the limit of 2"
    ) as raised:
        save(made, lambda artifact: True, tmp_path / "b.zip")
    assert "folder" in str(raised.value.remedy)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_called_as_a_zip_is_left_alone(made, tmp_path):
    (tmp_path / "b.zip").mkdir()
    with pytest.raises(UserError, match="there is a folder of that name"):
        save(made, lambda artifact: True, tmp_path / "b.zip")


def test_a_file_that_is_no_bundle_is_not_overwritten(made, tmp_path):
    mine = tmp_path / "mine.zip"
    with zipfile.ZipFile(mine, "w") as opened:
        opened.writestr("thesis.txt", "keep")
    before = mine.read_bytes()
    with pytest.raises(UserError, match="not a bundle"):
        save(made, lambda artifact: True, mine)
    assert mine.read_bytes() == before


def test_where_nothing_could_be_made_the_reasons_are_said(folder, tmp_path):
    missed = {"variant": "int4", "format": "onnx", "reason": "no matrix product", "recipe": {"base": "int4"}}
    _index(folder, lambda content: content.update(artifacts=[], unavailable=[missed]))
    with pytest.raises(UserError, match="onnx int4: no matrix product"):
        save(folder, lambda answer: True, tmp_path / "new.zip")
    assert not (tmp_path / "new.zip").exists()


@pytest.mark.parametrize("told", [10, 10_000_000])
def test_a_member_of_another_size_than_it_says_is_refused(told, zipped, refused):
    content = bytearray(zipped.read_bytes())
    at = 0
    while (at := content.find(b"PK\x01\x02", at)) >= 0:
        if content[at + 46 :].startswith(b"data/inputs.npz"):
            content[at + 24 : at + 28] = struct.pack("<I", told)
        at += 4
    zipped.write_bytes(bytes(content))
    refused(zipped, "not a whole zip")


def test_a_disk_that_has_no_room_for_it_is_said_so_before_it_is_full(zipped, refused, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("bench.export.bundle.shutil.disk_usage", lambda path: usage(10, 10, 100))
    refused(zipped, "has room for 100")


# The index

PLACES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "a file": lambda c, name: c["files"].update({name: "0" * 64}),
    "an artifact": lambda c, name: c["artifacts"][0].update(path=name),
    "inputs": lambda c, name: c["data"].update(inputs=name),
    "labels": lambda c, name: c["data"].update(labels=name),
    "reference": lambda c, name: c["data"].update(reference=name),
    "corrupted inputs": lambda c, name: c["data"].update(
        corrupted={"inputs": name, "cells": [], "examples": [], "seed": 0}
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "C:\\secret", "data/../../../secret", "\0", ""])
def test_an_index_that_names_a_file_elsewhere_is_refused(place, name, folder, refused):
    (folder.parent.parent / "secret").write_text("s")
    _index(folder, lambda c: PLACES[place](c, name))
    refused(folder, "outside its own folder|disagree|no checksum")


@pytest.mark.parametrize("place", ["an artifact", "inputs", "labels"])
def test_an_index_that_lists_such_a_file_with_its_checksum_is_refused(place, folder, refused):
    secret = folder.parent.parent / "secret"
    secret.write_text("s")

    def change(content: dict[str, Any]) -> None:
        PLACES[place](content, "../../secret")
        content["files"]["../../secret"] = file_sha256(secret)
        if place == "an artifact":
            content["artifacts"][0]["sha256"] = file_sha256(secret)

    _index(folder, change)
    refused(folder, "outside its own folder")


def test_a_link_in_a_folder_that_leads_elsewhere_is_refused(folder, refused):
    inputs = folder / read_index(folder).data.inputs
    inputs.rename(folder.parent / "elsewhere.npz")
    inputs.symlink_to(folder.parent / "elsewhere.npz")
    refused(folder, "outside its own folder")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff\xfe", b'{"schema": "x"}', b"[" * 100_000, b'{"model":' * 100_000, b'{"seed": NaN}']
)
def test_an_index_that_is_none_is_refused(content, folder, refused):
    (folder / "bundle.json").write_bytes(content)
    refused(folder, "not a bundle's index")


def test_an_index_without_end_is_refused(folder, refused, monkeypatch):
    monkeypatch.setattr("bench.export.bundle.LARGEST_INDEX_BYTES", 100)
    refused(folder, "MiB")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("name", ["bundle.json", "data/inputs.npz"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(name, folder, refused):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, "not a bundle|missing")


# Tensors beside the model


def _outside(folder: Path, location: str) -> None:
    """Move the artifact's tensors into a file, and name it as `location`; index and checksums follow."""
    artifact = read_index(folder).artifacts[0]
    path = folder / artifact.path
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="w.bin", size_threshold=0)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())

    def change(content: dict[str, Any]) -> None:
        content["artifacts"][0]["sha256"] = file_sha256(path)
        content["files"][artifact.path] = file_sha256(path)

    _index(folder, change)


def test_tensors_beside_the_model_travel_with_it_and_are_checked(folder, tmp_path, refused):
    _outside(folder, "w.bin")
    beside = (folder / read_index(folder).artifacts[0].path).parent / "w.bin"
    _index(folder, lambda c: c["files"].update({"artifacts/w.bin": file_sha256(beside)}))
    out = save(folder, lambda artifact: True, tmp_path / "again.zip")
    opened, bundle = open_bundle(out, tmp_path / "s")
    assert (opened / "artifacts" / "w.bin").read_bytes() == beside.read_bytes()
    assert "artifacts/w.bin" in bundle.files
    beside.write_bytes(beside.read_bytes()[:-1] + b"\x01")
    refused(folder, "damaged")


def test_tensors_beside_the_model_without_a_checksum_are_refused(folder, refused):
    _outside(folder, "w.bin")
    refused(folder, "'artifacts/w.bin' has no checksum")


@pytest.mark.parametrize("location", ["../../../secret", "/etc/hostname", "..\\secret", "C:\\secret"])
def test_tensors_elsewhere_are_refused(location, folder, refused):
    (folder.parent.parent / "secret").write_text("s")
    _outside(folder, location)
    refused(folder, "outside its own folder")


def test_tensors_behind_a_link_are_refused(folder, refused):
    _outside(folder, "w.bin")
    beside = folder / "artifacts" / "w.bin"
    beside.rename(folder.parent / "w.bin")
    beside.symlink_to(folder.parent / "w.bin")
    refused(folder, "outside its own folder")


# Whatever else


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_says_the_same(data, zipped, tmp_path):
    content = bytearray(zipped.read_bytes())
    whole = open_bundle(zipped, tmp_path / "whole")[1]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(bytes(content))
    scratch = tmp_path / "s"
    with contextlib.suppress(UserError):
        assert open_bundle(damaged, scratch)[1] == whole
    shutil.rmtree(scratch, ignore_errors=True)
