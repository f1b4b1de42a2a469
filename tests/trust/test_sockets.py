"""What listens does so on loopback, unless that is said. Of a fleet: tests/fleet/test_fleet_local.py."""

from __future__ import annotations

import pickletools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trust.listening import all_loopback, listening

pytestmark = pytest.mark.timeout(180)


def test_a_page_listens_on_loopback_only(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    command = [sys.executable, "-m", "bench", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
        found = listening(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert all_loopback(found), found


def test_a_fleet_sends_functions_by_name_and_answers_as_bytes() -> None:
    """Dask pickles whatever it carries; of bench's own there is no more in it than a name."""
    cloudpickle = pytest.importorskip("cloudpickle")
    from bench.fleet import station

    functions: list[Callable[..., object]] = [
        station.announce, station.take_piece, station.take_in, station.measure, station.profile,
    ]  # fmt: skip
    for function in functions:
        told = [(op.name, value) for op, value, _ in pickletools.genops(cloudpickle.dumps(function)) if value]
        strings = [value for _, value in told if isinstance(value, str)]
        assert strings == ["bench.fleet.station", function.__name__]
        assert function.__annotations__["return"] in ("bytes", "None")
