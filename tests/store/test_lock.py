"""The lock of a run: asking for it keeps nobody out."""

from __future__ import annotations

import threading
from pathlib import Path

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
