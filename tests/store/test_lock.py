"""The lock of a run: asking for it keeps nobody out."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.store import journal
from bench.store.lock import alone, held


def test_who_asks_whether_the_lock_is_held_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / journal.FOLDER).mkdir()
    ended = threading.Event()

    def ask_all_the_time() -> None:
        while not ended.is_set():
            held(tmp_path)

    asking = threading.Thread(target=ask_all_the_time)
    asking.start()
    try:
        for _ in range(100):
            with alone(tmp_path):
                pass
    finally:
        ended.set()
        asking.join()
    with alone(tmp_path):
        assert held(tmp_path)
    assert not held(tmp_path)


def test_a_lock_that_cannot_be_made_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / journal.FOLDER / ".lock").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot write there"), alone(tmp_path):
        pass
    assert held(tmp_path), "where it cannot be found out it is said to be held"
