"""The folder of a fleet: found by one word, and its file told where it is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store.fleets import NAME, SCHEMA, find_fleet, list_fleets, named, read_head

FIRST, SECOND, OTHER = "20260101-000000-s-fleet-aa", "20260101-000000-s-fleet-bb", "20260202-000000-s-fleet-cc"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for name in (FIRST, SECOND, OTHER):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_text(json.dumps({"runs": [f"{name}-t-1"], "schema": SCHEMA}))
    (tmp_path / "20260303-000000-s-run").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("word", "found"), [(FIRST, FIRST), ("20260202", OTHER), ("latest", OTHER), (f"{{results}}/{SECOND}", SECOND)]
)
def test_one_word_finds_a_fleet(results: Path, word: str, found: str) -> None:
    assert find_fleet(word.format(results=results), results) == results / found


def test_a_start_of_several_fleets_is_not_guessed(results: Path) -> None:
    with pytest.raises(UserError, match="'20260101' is the start of 2 fleets") as caught:
        find_fleet("20260101", results)
    assert f"{FIRST}, {SECOND}" in str(caught.value.remedy)
    assert named("20260101", results) == [results / FIRST, results / SECOND]


@pytest.mark.parametrize("word", ["20260303", "20260202-000000-s-fleet-cd", ""])
def test_a_word_that_is_no_fleet_is_told(results: Path, word: str) -> None:
    with pytest.raises(UserError, match="unknown fleet"):
        find_fleet(word, results)


def test_where_there_is_no_fleet_there_is_no_latest(tmp_path: Path) -> None:
    assert list_fleets(tmp_path / "none") == []
    with pytest.raises(UserError, match="unknown fleet 'latest'"):
        find_fleet("latest", tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "the file is damaged"),
        (b"[]", "the file is damaged"),
        (b'{"runs": 5}', "the file is damaged"),
        (b'{"runs": ["\xff"]}', "the file is damaged"),
        (b'{"runs": [], "schema": 99}', "newer version"),
        (None, "not the folder of a fleet"),
    ],
)
def test_a_file_that_is_no_fleet_is_a_clear_message_with_its_place(
    results: Path, content: bytes | None, words: str
) -> None:
    path = results / FIRST / NAME
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_head(results / FIRST)
    assert caught.value.where == str(path)
