"""Beyond this machine only under TLS, and never without Dask."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.fleet import link
from bench.fleet.secure import Tls, check_address, security
from tests.conftest import bench


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:1", "tcp://[::1]:8786", "tls://head:8786"]
)
def test_loopback_and_tls_may_be_spoken_to(address: str) -> None:
    assert check_address(address, "ADDRESS") == address


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://0.0.0.0:8786", "tcp://head:8786", "tcp://[::]:1"])
def test_without_tls_no_other_machine_may(address: str) -> None:
    with pytest.raises(UserError, match="without TLS") as refused:
        check_address(address, "ADDRESS")
    assert "--tls-ca-file" in str(refused.value.remedy)


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "http://127.0.0.1:8786", "tcp://127.0.0.1", "tcp://h:99999", ""])
def test_what_is_no_address_is_said_so(address: str) -> None:
    with pytest.raises(UserError, match="no address of a scheduler"):
        check_address(address, "ADDRESS")


def test_tls_needs_certificates_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="TLS needs the certificate"):
        security(Tls(), "tls://head:8786", "ADDRESS")
    with pytest.raises(UserError, match="no such file"):
        security(Tls(ca_file=tmp_path / "ca.pem"), "tls://head:8786", "ADDRESS")
    with pytest.raises(UserError, match="not one of TLS"):
        security(Tls(ca_file=tmp_path / "ca.pem"), "tcp://127.0.0.1:8786", "ADDRESS")
    assert security(Tls(), "tcp://127.0.0.1:8786", "ADDRESS") is None


@pytest.mark.parametrize(
    "words",
    [
        ("fleet", "run", "--scheduler", "tcp://10.0.0.1:8786"),
        ("fleet", "status", "--scheduler", "tcp://10.0.0.1:8786"),
        ("fleet", "worker", "tcp://10.0.0.1:8786"),
        ("fleet", "scheduler", "--host", "0.0.0.0"),
    ],
)
def test_every_command_refuses(words: tuple[str, ...], tmp_path: Path) -> None:
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert "without TLS" in done.stderr


def test_without_dask_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = bench("fleet", "run", "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'counterpoise[fleet]'" in done.stderr


def test_nobody_at_the_address_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_CONNECT_S", 0.3)
    done = bench("fleet", "status", "--scheduler", "tcp://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 2
    assert "no scheduler answers" in done.stderr
