"""Files from elsewhere are believed in nothing: neither what archives nor what arrays say of themselves."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.zoo.archive import extract, opened
from bench.zoo.arrays import heads
from bench.zoo.inside import inside


def saying(path: Path, size: int) -> Path:
    """An archive of a thousand bytes that says in its directory to hold so many."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", bytes(1000))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [0, 1, 999, 1001, 5000])
def test_of_a_member_that_is_not_as_large_as_it_says_no_more_than_that_is_written(tmp_path: Path, size: int) -> None:
    target = tmp_path / "out" / "member"
    with (
        pytest.raises(UserError, match="not a whole zip archive"),
        opened(saying(tmp_path / "a.zip", size), "the file") as archive,
    ):
        extract(archive, archive.infolist()[0], target)
    assert target.stat().st_size <= size


def test_a_member_of_its_size_comes_whole(tmp_path: Path) -> None:
    with opened(saying(tmp_path / "a.zip", 1000), "the file") as archive:
        extract(archive, archive.infolist()[0], tmp_path / "member")
    assert (tmp_path / "member").read_bytes() == bytes(1000)


def test_arrays_are_told_from_their_heads(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3), np.float32), y=np.array(["a"]))
    found = heads(tmp_path / "a.npz")
    assert {name: head.shape for name, head in found.items()} == {"x": (2, 3), "y": (1,)}
    assert {name: head.numbers for name, head in found.items()} == {"x": True, "y": False}


def test_arrays_of_a_later_version_are_not_read(tmp_path: Path) -> None:
    array = io.BytesIO()
    np.lib.format.write_array(array, np.zeros(2), version=(3, 0))
    (tmp_path / "a.npy").write_bytes(array.getvalue())
    with pytest.raises(ValueError, match=r"version \(3, 0\)"):
        heads(tmp_path / "a.npy")


def test_a_name_that_leads_through_a_circle_of_links_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = inside(tmp_path, "a/w.bin")
    assert found is None or not found.exists()
