"""What `bench cache` tells of the cache: ages that people read, and what was removed or would be."""

from __future__ import annotations

import time

import pytest

from bench.export.clean import Cleaned
from bench.export.contents import Entry
from bench.report.cache import lines, sentences, total


def entry(ago_s: float = 0.0) -> Entry:
    return Entry(kind="bundle", key="0123456789abcdef", model="m", bytes=2048, used=time.time() - ago_s, path="b/0")


@pytest.mark.parametrize(
    ("ago_s", "told"),
    [(-60, "just now"), (5, "just now"), (130, "2 min ago"), (7300, "2 h ago"), (2e5, "2 d ago"), (2e6, "3 w ago")],
)
def test_an_age_is_told_in_the_largest_unit_that_it_fills(ago_s: float, told: str) -> None:
    (line,) = lines([entry(ago_s)])
    assert line["last used"] == told


@pytest.mark.parametrize(
    ("locks", "dry_run", "told"),
    [
        (0, False, ["freed: 2.00 KiB; left: 0 B"]),
        (1, False, ["removed: 1 lock file of what is gone", "freed: 2.00 KiB; left: 0 B"]),
        (3, True, ["would be removed: 3 lock files of what is gone", "would be freed: 2.00 KiB; left: 0 B"]),
    ],
)
def test_lock_files_of_what_is_gone_are_counted(locks: int, dry_run: bool, told: list[str]) -> None:
    assert sentences(Cleaned(removed=(), locks=locks, freed=2048, left=0, dry_run=dry_run)) == told


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0 entries, 0 B"), (1, "1 entry, 2.00 KiB"), (2, "2 entries, 4.00 KiB")]
)
def test_entries_are_counted(count: int, told: str) -> None:
    assert total([entry()] * count) == told
