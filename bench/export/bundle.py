"""Bundles that travel: a folder or a zip of artifacts and evaluation data, checked when they are opened."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from bench.errors import UserError, unknown
from bench.export.prepare import BUNDLE_FILE
from bench.files import whole, write_whole
from bench.record import codec
from bench.record.artifact import BUNDLE_SCHEMA, Artifact, Bundle, Unavailable
from bench.zoo import archive, arrays
from bench.zoo.hashing import file_sha256
from bench.zoo.inside import inside
from bench.zoo.sniff import external_files

LARGEST_INDEX_BYTES = 64 << 20
_PACKED = {".npz"}
"""Data files that are archives themselves."""


def save(bundle_dir: Path, chosen: Callable[[Artifact | Unavailable], bool], out: Path) -> Path:
    """Write the `chosen` artifacts of the bundle in `bundle_dir`, and its data, to `out`.

    Of what could not be made, that which is `chosen` stays on record.

    A zip where `out` ends in `.zip`, else a folder.

    Raises:
        UserError: nothing is chosen or could be made, `out` is taken by something that is not a bundle, or what is
            chosen is too large for a zip.
    """
    bundle = read_index(bundle_dir)
    artifacts = tuple(artifact for artifact in bundle.artifacts if chosen(artifact))
    unavailable = tuple(missed for missed in bundle.unavailable if chosen(missed))
    if not artifacts and unavailable:
        reasons = "; ".join(f"{missed.format} {missed.variant}: {missed.reason}" for missed in unavailable)
        raise UserError(
            f"nothing could be made ({reasons})", where=bundle.model.source, remedy="choose other variants as well"
        )
    if not artifacts:
        raise unknown(
            "variant", "(none chosen)", {f"{a.format} {a.variant}" for a in bundle.artifacts}, where=str(bundle_dir)
        )
    parts = (name for artifact in artifacts for name in _parts(bundle_dir, artifact))
    names = tuple(dict.fromkeys((*bundle.data.paths, *parts)))
    files = {name: file_sha256(_inside(bundle_dir, name)) for name in names}
    kept = msgspec.structs.replace(bundle, artifacts=artifacts, unavailable=unavailable, files=files)
    index = codec.json_bytes(kept)
    check_place(out)
    if out.suffix.lower() == ".zip":
        with whole(out) as temporary:
            fault = _zip(temporary, bundle_dir, names, index)
            if fault is not None:
                raise UserError(
                    f"the bundle cannot be a zip: it {fault}",
                    where=str(out),
                    remedy="write a folder: a name without .zip",
                )
        return out
    for name in names:
        with whole(out / name) as temporary:
            shutil.copyfile(bundle_dir / name, temporary)
    write_whole(out / BUNDLE_FILE, index)
    return out


def check_place(out: Path) -> None:
    """Raise `UserError` where `save` would write over something that is not a bundle."""
    if out.suffix.lower() == ".zip":
        if out.is_dir():
            raise UserError("there is a folder of that name", where=str(out), remedy="choose another name")
        taken = out.exists() and not _holds_index(out)
    else:
        taken = out.exists() and not (out / BUNDLE_FILE).is_file() and (not out.is_dir() or any(out.iterdir()))
    if taken:
        raise UserError(
            "that place is taken by something that is not a bundle", where=str(out), remedy="choose a new name"
        )


def _holds_index(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as zipped:
            return BUNDLE_FILE in zipped.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def _zip(to: Path, folder: Path, names: Iterable[str], index: bytes) -> str | None:
    """Write an archive; why `open_bundle` would not take it, as the end of a sentence, or None.

    What shrinks as a bomb would is stored as it is.
    """
    fault = None
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        with zipfile.ZipFile(to, "w", compression) as zipped:
            zipped.writestr(BUNDLE_FILE, index)
            for name in names:
                zipped.write(folder / name, name)
        with zipfile.ZipFile(to) as zipped:
            fault = archive.fault(zipped, to.stat().st_size)
        if fault is None:
            break
    return fault


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
        _check_listed(bundle, _parts(folder, artifact, where=path), path)
    _check_listed(bundle, bundle.data.paths, path)
    for name in bundle.data.paths:
        if Path(name).suffix in _PACKED:
            with archive.opened(folder / name, f"the bundle's file {name!r}"):
                pass  # its directory is checked: it is read whole later
    _check_arrays(folder, bundle, path)
    return folder, bundle


def _parts(folder: Path, artifact: Artifact, *, where: Path | None = None) -> list[str]:
    """The files of an artifact, relative to the bundle: itself, and those that hold its large tensors."""
    if artifact.format != "onnx":
        return [artifact.path]
    beside = external_files(_inside(folder, artifact.path, where=where))
    return [artifact.path, *(file.relative_to(folder).as_posix() for file in beside)]


def _check_listed(bundle: Bundle, names: Iterable[str], path: Path) -> None:
    for name in names:
        if name not in bundle.files:
            raise UserError(f"the bundle's file {name!r} has no checksum", where=str(path), remedy="export it again")


def _check_arrays(folder: Path, bundle: Bundle, path: Path) -> None:
    """Every array holds numbers, and those that go by example hold one for each. Only their heads are read."""
    data = bundle.data
    for name in data.paths:
        try:
            found = arrays.heads(folder / name)
        except arrays.UNREADABLE as error:
            raise UserError(
                f"the bundle's file {name!r} holds no arrays: {error}", where=str(path), remedy="export it again"
            ) from error
        wrong = next((f"an array of {head.dtype}" for head in found.values() if not head.numbers), None)
        if name in (data.inputs, data.labels):
            head = found.get("0" if name == data.inputs else "")
            if head is None or head.shape[:1] != (data.examples,) or not data.examples:
                wrong = wrong or f"something else than {data.examples} examples"
        if wrong is not None:
            raise UserError(f"the bundle's file {name!r} holds {wrong}", where=str(path), remedy="export it again")


def read_index(folder: Path, *, where: Path | None = None) -> Bundle:
    """The `bundle.json` of a folder. Raises `UserError`."""
    shown = str(where or folder)
    index = folder / BUNDLE_FILE
    if not index.is_file():
        raise UserError(
            f"this is not a bundle: it has no {BUNDLE_FILE}", where=shown, remedy="make one with bench export"
        )
    if index.stat().st_size > LARGEST_INDEX_BYTES:
        raise UserError(
            f"{BUNDLE_FILE} has over {LARGEST_INDEX_BYTES >> 20} MiB", where=shown, remedy="do not use this bundle"
        )
    try:
        content = index.read_bytes()
        found = msgspec.json.decode(content, type=_Schema).schema
        if found != BUNDLE_SCHEMA:
            raise UserError(
                f"the bundle has schema {found}, this version reads {BUNDLE_SCHEMA}",
                where=shown,
                remedy="use the version that made it, or export it again",
            )
        return codec.from_json(content, Bundle)
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        raise UserError(
            f"{BUNDLE_FILE} is not a bundle's index: {error}", where=shown, remedy="export it again"
        ) from error


class _Schema(msgspec.Struct):
    schema: int = BUNDLE_SCHEMA


def _inside(folder: Path, name: str, *, where: Path | None = None) -> Path:
    target = None if "\\" in name else inside(folder, name)
    if target is None:
        raise UserError(
            f"the bundle names the file {name!r}, outside its own folder",
            where=str(where or folder),
            remedy="do not use this bundle: it was tampered with",
        )
    return target


def _unpack(path: Path, folder: Path) -> None:
    with archive.opened(path, "the bundle") as zipped:
        members = [member for member in zipped.infolist() if not member.is_dir()]
        folder.mkdir(parents=True, exist_ok=True)
        needed, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
        if needed > free:
            raise UserError(
                f"the bundle unpacks to {needed:,} bytes, and {folder} has room for {free:,}",
                where=str(path),
                remedy="make room there, set TMPDIR to another folder, or unpack it yourself and give the folder",
            )
        for member in members:
            archive.extract(zipped, member, _inside(folder, member.filename, where=path))
