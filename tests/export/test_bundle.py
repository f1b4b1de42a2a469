"""Bundles travel whole, and what is not whole or not harmless is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.export.bundle import open_bundle, read_index, save
from bench.record.artifact import BUNDLE_SCHEMA

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "zip"])
def saved(request, mnist, tmp_path: Path) -> Path:
    out = tmp_path / ("b.zip" if request.param == "zip" else "b")
    return save(mnist.folder, lambda a: a.variant in ("fp32", "int8"), out)


@pytest.fixture
def archive(mnist, tmp_path: Path) -> Path:
    return save(mnist.folder, lambda a: a.variant == "int8", tmp_path / "b.zip")


def test_only_the_chosen_variants_and_the_data_travel(mnist, saved, tmp_path):
    folder, bundle = open_bundle(saved, tmp_path / "scratch")
    assert {a.variant for a in bundle.artifacts} == {"fp32", "int8"}
    assert set(bundle.files) == {
        *(a.path for a in bundle.artifacts),
        *(n for n in mnist.bundle.files if n.startswith("data/")),
    }
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == {
        *bundle.files,
        "bundle.json",
    }
    assert bundle.model == mnist.bundle.model
    assert bundle.tools["keras"]


def test_a_bundle_can_be_saved_over_itself(mnist, saved):
    assert save(mnist.folder, lambda a: a.variant == "fp32", saved) == saved


def test_nothing_chosen_is_an_error(mnist, tmp_path):
    with pytest.raises(UserError):
        save(mnist.folder, lambda a: False, tmp_path / "b")


def test_a_folder_of_something_else_is_not_overwritten(mnist, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not a bundle"):
        save(mnist.folder, lambda a: True, tmp_path)


def test_a_changed_file_is_found(mnist, tmp_path):
    out = save(mnist.folder, lambda a: a.variant == "int8", tmp_path / "b")
    target = out / read_index(out).artifacts[0].path
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.write_bytes(bytes(content))
    with pytest.raises(UserError, match="damaged"):
        open_bundle(out, tmp_path)


def test_a_missing_file_is_found(mnist, tmp_path):
    out = save(mnist.folder, lambda a: a.variant == "int8", tmp_path / "b")
    (out / read_index(out).data.inputs).unlink()
    with pytest.raises(UserError, match="missing"):
        open_bundle(out, tmp_path)


def _edit(folder: Path, change) -> None:
    index = folder / "bundle.json"
    content = json.loads(index.read_text())
    change(content)
    index.write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a\\..\\b"])
def test_a_file_outside_the_folder_is_refused(mnist, tmp_path, name):
    out = save(mnist.folder, lambda a: a.variant == "int8", tmp_path / "b")
    _edit(out, lambda c: c["files"].update({name: "0" * 64}))
    with pytest.raises(UserError, match="outside"):
        open_bundle(out, tmp_path)


def test_another_schema_is_refused(mnist, tmp_path):
    out = save(mnist.folder, lambda a: a.variant == "int8", tmp_path / "b")
    _edit(out, lambda c: c.update(schema=99))
    with pytest.raises(UserError, match="schema 99"):
        open_bundle(out, tmp_path)


def test_zip_slip_is_refused(archive, tmp_path):
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("../evil.txt", "x")
    with pytest.raises(UserError, match="outside"):
        open_bundle(archive, tmp_path / "deep" / "scratch")
    assert not (tmp_path / "deep" / "evil.txt").exists()
    assert not (tmp_path / "deep" / "scratch" / "evil.txt").exists()


def test_a_link_in_a_zip_is_refused(archive, tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="link"):
        open_bundle(archive, tmp_path / "scratch")


def test_a_cut_zip_is_refused(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UserError, match="not a whole zip"):
        open_bundle(archive, tmp_path / "scratch")


def test_what_is_no_bundle_is_said_so(tmp_path):
    with pytest.raises(UserError, match="no such bundle"):
        open_bundle(tmp_path / "none", tmp_path)
    with pytest.raises(UserError, match="not a bundle"):
        open_bundle(tmp_path, tmp_path)
    (tmp_path / "bundle.json").write_text(f'{{"schema": {BUNDLE_SCHEMA}}}')
    with pytest.raises(UserError, match="index"):
        open_bundle(tmp_path, tmp_path)
