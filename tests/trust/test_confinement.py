"""The fence around a process that runs a model: what a runtime in it can do, and when nothing is run at all."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from bench.confine import OPEN
from bench.errors import UserError
from bench.runner.fence import check_network
from bench.worker.measure import measure
from tests.trust.captive import LARGE, Nobody, captive, job, plan
from tests.trust.namespaces import FORBIDDEN, cut_off, needs_namespaces

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and namespaces are Linux's here")


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine that answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@needs_namespaces
def test_without_network_a_runtime_reaches_nobody_and_has_no_way_back(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = captive(tmp_path, port, monkeypatch, plan(network=False))
    assert told["network"] != "reached"
    assert told["interfaces"] == ["lo"]
    assert told["back"] == -1
    assert told["capabilities"] == [0, 0]
    assert told["user"] == os.getuid(), "files go by the same names"
    assert told["ends_with_parent"] == signal.SIGKILL


def test_what_a_runtime_leaves_behind_is_gone_and_its_limits_hold(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    told, seen = captive(tmp_path, port, monkeypatch, plan(file_limit_bytes=LARGE, open_files=100))
    assert told["network"] == "reached", "a run without the opt-in is as before"
    assert told["there"] == []
    assert told["folder"] == told["temporary"] != str(tmp_path)
    assert Path(told["folder"]).is_relative_to(tempfile.gettempdir())
    assert not Path(told["folder"]).exists()
    assert set(tmp_path.iterdir()) - before == {tmp_path / name for name in ("library", "log.json", "inputs.npz")}
    assert told["limits"] == {"CORE": [0, 0], "FSIZE": [LARGE, LARGE], "NOFILE": [100, 100]}
    assert told["large"] == "File too large"
    assert seen.failure is not None
    assert seen.failure.exit_code == 3


@needs_namespaces
def test_the_row_says_what_held(tmp_path: Path) -> None:
    for asked, network in ((plan(), OPEN), (plan(network=False, file_limit_bytes=LARGE), cut_off())):
        seen = measure(job(tmp_path, asked), 0, Nobody())
        assert seen.status == "ok", seen.failure
        assert seen.facts["network"] == network
    assert seen.facts["limits"]["file_bytes"] == LARGE
    assert seen.facts["limits"]["core_bytes"] == 0


def test_a_file_over_the_limit_is_a_reason_that_names_it(tmp_path: Path) -> None:
    asked = structs.replace(job(tmp_path, plan(file_limit_bytes=64)), outputs=str(tmp_path / "outputs.npz"))
    seen = measure(asked, 0, Nobody())
    assert seen.failure is not None
    assert "File too large: over the limit of 6.10352e-05 MiB (file_limit_mb)" in seen.failure.reason


_LIMITS = """
import resource
from bench.confine import confine
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
confine(open_files=100)
print(resource.getrlimit(resource.RLIMIT_NOFILE), hard)
"""


def test_a_process_may_have_as_many_files_as_are_asked_for_where_the_system_allows_it() -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITS], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(100, 100)")


_ELSEWHERE = """
import sys
from bench.confine import CannotConfine, confine
sys.platform = "darwin"
try:
    confine(network=False)
except CannotConfine as error:
    print(error)
"""


def test_elsewhere_than_on_linux_the_network_cannot_be_cut_off() -> None:
    done = subprocess.run([sys.executable, "-c", _ELSEWHERE], capture_output=True, text=True, check=True)
    assert done.stdout == "only Linux can give a process a network of its own\n"


def test_a_machine_too_slow_to_tell_has_no_run_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runner.fence._PROBE_S", 0.001)
    with pytest.raises(UserError, match="could not be found out within"):
        check_network(network=False)


_CASE = """
import json, sys
from pathlib import Path
from bench.worker.measure import measure
from tests.trust.captive import Nobody, job, plan
seen = measure(job(Path(sys.argv[1]), plan(network=False)), 0, Nobody())
print(json.dumps([seen.status, seen.failure and seen.failure.reason]))
"""


@needs_namespaces
def test_a_kernel_that_refuses_is_a_reason_and_no_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [*FORBIDDEN, "-c", _CASE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    status, reason = json.loads(done.stdout)
    assert status == "failed"
    assert "so the model is not run" in reason
    assert "the kernel refuses a user and network namespace" in reason
    suite = tmp_path / "s.toml"
    suite.write_text(
        'name = "s"\n[measure]\nnetwork = false\n[[matrix]]\nmodels = ["mnist_cnn@digits"]\nvariants = ["fp32"]\n'
        'runtimes = ["null-none"]\n'
    )
    run = subprocess.run(
        [*FORBIDDEN, "-m", "bench", "run", str(suite)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "the network cannot be cut off here" in run.stderr
    assert "to do: " in run.stderr
    assert not (tmp_path / "results").exists()
