"""Bundles that travel: a folder or a zip of artifacts and evaluation data, checked when they are opened."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec

from bench.errors import UserError, unknown
from bench.export.prepare import BUNDLE_FILE
from bench.files import whole, write_whole
from bench.record import codec
from bench.record.artifact import BUNDLE_SCHEMA, Artifact, Bundle
from bench.zoo.hashing import file_sha256
from bench.zoo.sniff import external_files

LARGEST_BYTES = 8 << 30


def save(bundle_dir: Path, chosen: Callable[[Artifact], bool], out: Path) -> Path:
    """Write the `chosen` artifacts of the bundle in `bundle_dir`, and its data, to `out`.

    A zip where `out` ends in `.zip`, else a folder.

    Raises:
        UserError: nothing is chosen, or `out` is taken by something that is not a bundle.
    """
    bundle = read_index(bundle_dir)
    artifacts = tuple(artifact for artifact in bundle.artifacts if chosen(artifact))
    if not artifacts:
        raise unknown(
            "variant", "(none chosen)", {f"{a.format} {a.variant}" for a in bundle.artifacts}, where=str(bundle_dir)
        )
    names = [*bundle.data.paths, *(artifact.path for artifact in artifacts)]
    files = {name: file_sha256(_inside(bundle_dir, name)) for name in names}
    index = codec.json_bytes(msgspec.structs.replace(bundle, artifacts=artifacts, files=files))
    if out.suffix.lower() == ".zip":
        if out.is_dir():
            raise UserError("there is a folder of that name", where=str(out), remedy="choose another name")
        with whole(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(BUNDLE_FILE, index)
            for name in names:
                archive.write(bundle_dir / name, name)
        return out
    if out.exists() and not (out / BUNDLE_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            "that place is taken by something that is not a bundle", where=str(out), remedy="choose a new folder"
        )
    for name in names:
        with whole(out / name) as temporary:
            shutil.copyfile(bundle_dir / name, temporary)
    write_whole(out / BUNDLE_FILE, index)
    return out


def open_bundle(path: Path, scratch: Path) -> tuple[Path, Bundle]:
    """The folder and content of the bundle at `path`; a zip is unpacked into `scratch`. Every file is checked.

    Raises:
        UserError: it is not a bundle, of another schema, damaged, or names a file outside itself.
    """
    folder = path
    if path.is_file():
        folder = scratch / "bundle"
        _unpack(path, folder)
    elif not path.is_dir():
        raise UserError("there is no such bundle", where=str(path), remedy="check the path")
    bundle = read_index(folder, where=path)
    for name, digest in bundle.files.items():
        file = _inside(folder, name, where=path)
        if not file.is_file():
            raise UserError(f"the bundle's file {name!r} is missing", where=str(path), remedy="export or copy it again")
        if file_sha256(file) != digest:
            raise UserError(f"the bundle's file {name!r} is damaged", where=str(path), remedy="export or copy it again")
    for artifact in bundle.artifacts:
        if bundle.files.get(artifact.path) != artifact.sha256:
            raise UserError(
                f"the bundle's list of files and its artifact {artifact.path!r} disagree",
                where=str(path),
                remedy="export it again",
            )
        if artifact.format == "onnx":
            external_files(folder / artifact.path)
    for entry in bundle.data.paths:
        if entry not in bundle.files:
            raise UserError(f"the bundle's data {entry!r} has no checksum", where=str(path), remedy="export it again")
    return folder, bundle


def read_index(folder: Path, *, where: Path | None = None) -> Bundle:
    """The `bundle.json` of a folder. Raises `UserError`."""
    shown = str(where or folder)
    try:
        content = (folder / BUNDLE_FILE).read_bytes()
    except OSError as error:
        raise UserError(
            f"this is not a bundle: it has no {BUNDLE_FILE}", where=shown, remedy="make one with bench export"
        ) from error
    try:
        found = msgspec.json.decode(content, type=_Schema).schema
        if found != BUNDLE_SCHEMA:
            raise UserError(
                f"the bundle has schema {found}, this version reads {BUNDLE_SCHEMA}",
                where=shown,
                remedy="use the version that made it, or export it again",
            )
        return codec.from_json(content, Bundle)
    except msgspec.MsgspecError as error:
        raise UserError(
            f"{BUNDLE_FILE} is not a bundle's index: {error}", where=shown, remedy="export it again"
        ) from error


class _Schema(msgspec.Struct):
    schema: int = BUNDLE_SCHEMA


def _inside(folder: Path, name: str, *, where: Path | None = None) -> Path:
    parts = PurePosixPath(name)
    target = folder / parts
    leaves = parts.is_absolute() or ".." in parts.parts or "\\" in name or not name
    if leaves or not target.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"the bundle names the file {name!r}, outside its own folder",
            where=str(where or folder),
            remedy="do not use this bundle: it was tampered with",
        )
    return target


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            total = sum(member.file_size for member in members)
            if total > LARGEST_BYTES:
                raise UserError(
                    f"the bundle unpacks to {total} bytes, over the limit of {LARGEST_BYTES}",
                    where=str(path),
                    remedy="unpack it yourself and give the folder",
                )
            for member in members:
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise UserError(
                        f"the bundle holds the link {member.filename!r}", where=str(path), remedy="export it again"
                    )
                _extract(archive, member, _inside(folder, member.filename, where=path), path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"the bundle is not a whole zip archive: {error}", where=str(path), remedy="copy it again"
        ) from error


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, path: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with archive.open(member) as source, target.open("wb") as sink:
        # The size that the archive announces is not to be trusted: count what comes out.
        while chunk := source.read(1 << 20):
            left -= len(chunk)
            if left < 0:
                raise UserError(
                    f"the bundle's member {member.filename!r} is larger than it says",
                    where=str(path),
                    remedy="copy it again",
                )
            sink.write(chunk)
