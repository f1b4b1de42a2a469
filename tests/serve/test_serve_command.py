"""`bench serve` as it is typed: what it refuses, and how it ends."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.cli.signals import stop_like_ctrl_c
from bench.serve.guard import Hosts
from bench.serve.server import address, is_loopback
from tests.conftest import bench
from tests.kept_runs import keep_small
from tests.serve.conftest import Client, read


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org", ""])
def test_an_address_that_others_reach_is_refused_unless_that_is_said(tmp_path: Path, host: str) -> None:
    done = bench("serve", "--host", host, "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--allow-remote" in done.stderr


def test_a_busy_port_is_one_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = bench("serve", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 2
    assert f"port {port} is busy" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_another_machine_cannot_be_listened_on(tmp_path: Path) -> None:
    done = bench("serve", "--host", "192.0.2.1", "--allow-remote", "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot listen there" in done.stderr


def test_a_library_that_is_not_installed_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    done = bench("serve", cwd=tmp_path)
    assert done.returncode == 2
    assert "the page needs uvicorn" in done.stderr
    assert "pip install 'counterpoise[serve]'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted_and_ends_quietly_at_130(tmp_path: Path, number: signal.Signals) -> None:
    keep_small(tmp_path / "kept", "20260101-000000-s-0000")
    command = [sys.executable, "-m", "bench", "serve", "--out", "kept", "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = process.stdout.readline()
        port = int(told.split("127.0.0.1:")[1].partition("/")[0])
        assert "20260101-000000-s-0000" in read(Client(port).get("/").text).text
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.stderr.read().strip() == "interrupted"
        assert process.returncode == 130


def test_it_opens_the_page_in_the_users_browser_and_warns_of_other_machines(tmp_path: Path) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f"#!/bin/sh\necho $1 > {opened}.part; mv {opened}.part {opened}\n")
    browser.chmod(0o755)
    command = [sys.executable, "-m", "bench", "serve", "--port", "0", "--host", "0.0.0.0", "--allow-remote", "--open"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        until = time.monotonic() + 60
        while not opened.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, warned = process.communicate()
    assert opened.read_text().strip() in told
    assert "whoever reaches this address can read all runs" in warned


def test_a_request_to_end_is_left_alone_where_no_signal_can_be_taken() -> None:
    def inside() -> None:
        with stop_like_ctrl_c():
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list[object] = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_known_by_its_address(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_on_all_addresses_any_number_passes_and_no_name_of_others() -> None:
    hosts = Hosts.of("0.0.0.0", 80)
    for name in ("192.0.2.7", "192.0.2.7:80", "[2001:db8::1]:80", socket.gethostname(), "localhost"):
        assert hosts.know(name), name
    for name in ("evil.example", "evil.example:80", "192.0.2.7:81", "192.0.2.7.evil.example"):
        assert not hosts.know(name), name


def test_a_name_that_was_given_passes_beside_those_of_the_machine() -> None:
    hosts = Hosts.of("Bench.LAN", 8765)
    assert hosts.know("bench.lan:8765")
    assert hosts.know("127.0.0.1:8765")
    assert not hosts.know("192.0.2.7:8765")


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("::1", "[::1]"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("bench.lan", "bench.lan"),
    ],
)
def test_the_address_that_is_told_opens_in_a_browser_here(host: str, shown: str) -> None:
    assert address(host, 80) == f"http://{shown}:80/"
