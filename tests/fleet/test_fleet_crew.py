"""How workers and schedulers start, or say why they do not; and that none can be reached from elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dask
import pytest
import trustme

from bench.errors import UserError
from bench.fleet import crew
from bench.fleet.crew import schedule
from bench.fleet.local import run_local
from bench.fleet.secure import Tls, open_doors, scheme, security
from tests.conftest import bench
from tests.fleet.fleets import fake_target

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
PAGE = {"dashboard_address": "127.0.0.1:0"}
NOWHERE = "tcp://127.0.0.1:1"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An authority, a certificate of it with its key, and another authority."""
    folder = tmp_path_factory.mktemp("pem")
    found = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key", "other")}
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(found["ca"]))
    own.private_key_pem.write_to_path(str(found["key"]))
    for blob in own.cert_chain_pems:
        blob.write_to_path(str(found["cert"]), append=True)
    trustme.CA().cert_pem.write_to_path(str(found["other"]))
    return found


def configured(pem: dict[str, Path], *roles: str) -> dict[str, str]:
    """Dask's configuration of TLS for these roles."""
    own = {f"distributed.comm.tls.{role}.{part}": str(pem[part]) for role in roles for part in ("cert", "key")}
    return {"distributed.comm.tls.ca-file": str(pem["ca"]), **own}


def with_scheduler(do: Callable[[Any], Awaitable[Any]], kept: Any = None, host: str = "127.0.0.1") -> Any:
    """What `do` gives while there is a scheduler in this process."""

    async def run() -> Any:
        protocol = "tcp" if kept is None else "tls"
        async with distributed.Scheduler(
            host=host, port=0, protocol=protocol, security=kept, dashboard=False, **PAGE
        ) as scheduler:
            return await do(scheduler)

    return asyncio.run(run())


async def joining(address: str, name: str, kept: Any = None, wait_s: float = 0.0, say: crew.Say = print) -> None:
    with dask.config.set(crew._SETTINGS):
        await crew._worker(address, kept, name, {}, "", wait_s, say)


def test_what_dask_is_configured_with_is_enough_for_tls(pem: dict[str, Path]) -> None:
    assert scheme(Tls(), "scheduler") == "tcp"
    assert scheme(Tls(ca_file=pem["ca"]), "scheduler") == "tls"
    with dask.config.set(configured(pem, "scheduler", "client")):
        assert (scheme(Tls(), "scheduler"), scheme(Tls(), "worker")) == ("tls", "tcp")
        assert security(Tls(), "tls://head:8786", "--host", "scheduler").tls_scheduler_key == str(pem["key"])
        assert security(Tls(), "tls://head:8786", "--scheduler") is not None
        with pytest.raises(UserError, match="TLS needs the certificate"):
            security(Tls(), "tls://head:8786", "ADDRESS", "worker")


def test_files_that_are_not_of_tls_are_told_before_anything_is_begun(pem: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    for wrong in (
        Tls(ca_file=pem["ca"], cert=tmp_path / "none.pem", key=pem["key"]),
        Tls(ca_file=pem["ca"], cert=pem["ca"], key=pem["key"]),
    ):
        with pytest.raises(UserError, match="the TLS files cannot be used"):
            security(wrong, "tls://head:8786", "ADDRESS", "worker")
    with (
        dask.config.set(configured({**pem, "cert": tmp_path / "gone.pem"}, "worker")),
        pytest.raises(UserError, match="no such file"),
    ):
        security(Tls(), "tls://head:8786", "ADDRESS", "worker")


def test_a_scheduler_says_its_address_whatever_its_family_and_ends_when_it_is_asked(pem: dict[str, Path]) -> None:
    tls = ("--tls-ca-file", str(pem["ca"]), "--tls-cert", str(pem["cert"]), "--tls-key", str(pem["key"]))
    hosts = [("127.0.0.1", (), "tcp://127.0.0.1:"), ("127.0.0.1", tls, "tls://127.0.0.1:")]
    if has_ipv6():
        hosts.append(("::1", (), "tcp://[::1]:"))
    for host, options, address in hosts:
        with subprocess.Popen(
            [sys.executable, "-m", "bench", "fleet", "scheduler", "--host", host, "--port", "0", *options],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            process.terminate()
            assert (said.rpartition(":")[0] + ":", process.wait()) == (address, 0)


def test_a_port_that_is_taken_is_told_as_that() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match=r"cannot listen: .*in use"):
        schedule("127.0.0.1", taken.getsockname()[1], print)


def test_a_worker_that_cannot_join_says_why(pem: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.3)
    with pytest.raises(UserError, match=r"no scheduler has taken this worker for 0 s: .*(refused|Timed out)"):
        asyncio.run(joining(NOWHERE, "w"))
    files = Tls(ca_file=pem["ca"], cert=pem["cert"], key=pem["key"])
    stranger = security(Tls(ca_file=pem["other"], cert=pem["cert"], key=pem["key"]), "tls://h:1", "", "worker")
    with pytest.raises(UserError, match="certificate verify failed"):
        with_scheduler(
            lambda scheduler: joining(scheduler.address, "w", stranger), security(files, "tls://h:1", "", "scheduler")
        )


def test_a_name_that_is_taken_ends_a_new_worker_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_AGAIN_S", 0.01)
    monkeypatch.setattr(crew, "_TAKEN_TRIES", 2)

    async def twice(scheduler: Any) -> None:
        async with distributed.Worker(scheduler.address, nthreads=1, name="w", host="127.0.0.1", **PAGE):
            await joining(scheduler.address, "w", wait_s=600.0)

    with pytest.raises(UserError, match="the name w is taken by another worker"):
        with_scheduler(twice)


def test_a_worker_whose_scheduler_ends_says_so_and_looks_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_AGAIN_S", 0.05)
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.3)
    said: list[str] = []

    async def left(scheduler: Any) -> None:
        worker = asyncio.create_task(joining(scheduler.address, "w", say=said.append))
        while not scheduler.workers:
            await asyncio.sleep(0.01)
        await scheduler.close()
        await worker

    with pytest.raises(UserError, match="no scheduler has taken this worker for 0 s"):
        with_scheduler(left)
    assert said[0].startswith("worker w: joined tcp://127.0.0.1:")
    assert said[1].startswith("worker w: the scheduler is gone; waiting for one at tcp://127.0.0.1:")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_worker_that_looks_for_a_scheduler_ends_when_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_AGAIN_S", 0.3)
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.3)

    async def asked() -> None:
        looking = asyncio.create_task(joining(NOWHERE, "w", wait_s=600.0))
        await asyncio.sleep(0.5)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.wait_for(looking, 10)

    asyncio.run(asked())


def test_what_a_local_fleet_started_ends_when_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    # Process 1 is nobody's `bench fleet local`: it stands for one that is there no more.
    monkeypatch.setenv(crew.PARENT, "1")
    said: list[str] = []
    schedule("127.0.0.1", 0, said.append)
    assert [line.startswith("tcp://127.0.0.1:") for line in said] == [True]
    monkeypatch.setattr(crew, "_PATIENCE_S", 0.3)
    asyncio.run(joining(NOWHERE, "w", wait_s=600.0))


def test_a_local_fleet_whose_port_is_taken_has_no_scheduler(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="the scheduler did not start"):
        run_local(1, [], said.append, port=taken.getsockname()[1])
    assert said == []
    assert "cannot listen" in capfd.readouterr().err, "why is printed by the scheduler"


def test_a_worker_listens_as_its_scheduler_does() -> None:
    assert crew._own_side("tcp://127.0.0.1:1") == crew._own_side("tcp://localhost:1") == "127.0.0.1"
    assert crew._own_side("tcp://[::1]:1") == "[::1]"
    assert crew._own_side("tls://head:1") is None


def test_where_a_dask_worker_can_be_reached_from_elsewhere_is_seen(pem: dict[str, Path]) -> None:
    kept = security(Tls(ca_file=pem["ca"], cert=pem["cert"], key=pem["key"]), "tls://h:1", "", "worker")

    def doors(secured: Any = None, **given: Any) -> list[str]:
        async def found(scheduler: Any) -> list[str]:
            async with distributed.Worker(scheduler.address, nthreads=1, security=secured, **given) as worker:
                return list(open_doors(worker))

        return with_scheduler(found, secured)

    assert doors(host="127.0.0.1", **PAGE) == []
    assert doors(kept, **PAGE) == []
    (worker,) = doors(host="0.0.0.0", **PAGE)
    assert worker.startswith("the worker on 0.0.0.0 port")
    assert [door.partition(" on ")[0] for door in doors(host="127.0.0.1", dashboard_address=":0")] == [
        "its web page"
    ] * 1
    assert doors(kept, dashboard_address=":0")[0].startswith("its web page on 0.0.0.0")


def test_a_dask_worker_with_the_preload_joins_on_loopback_only(tmp_path: Path) -> None:
    env = {**os.environ, "BENCH_FLEET_TARGET": str(fake_target(tmp_path, "left"))}
    log = tmp_path / "dask.log"

    async def start(scheduler: Any, host: str) -> asyncio.subprocess.Process:
        words = ["-m", "distributed.cli.dask_worker", scheduler.address, "--nthreads", "1", "--host", host]
        page, preload = ("--dashboard-address", "127.0.0.1:0"), ("--preload", "bench.fleet.preload")
        with log.open("ab") as file:
            return await asyncio.create_subprocess_exec(
                sys.executable, *words, *page, *preload, cwd=tmp_path, env=env, stdout=file, stderr=file
            )

    async def both(scheduler: Any) -> list[dict[str, float]]:
        started = [await start(scheduler, host) for host in ("0.0.0.0", "127.0.0.1")]
        try:
            assert await asyncio.wait_for(started[0].wait(), 60) != 0
            while not scheduler.workers and started[1].returncode is None:
                await asyncio.sleep(0.05)
            return [dict(worker.resources) for worker in scheduler.workers.values()]
        finally:
            for process in started:
                if process.returncode is None:
                    process.terminate()
                await process.wait()

    assert with_scheduler(both) == [{"target:left": 1.0, "machine": 1.0}]
    assert "other machines could reach the worker on 0.0.0.0 port" in log.read_text()
    assert "and its nanny on 0.0.0.0 port" in log.read_text()


def test_a_local_fleet_whose_workers_all_end_has_failed() -> None:
    said: list[str] = []
    with pytest.raises(UserError, match="all workers have ended"):
        run_local(1, ["no-such-target"], said.append)
    assert said[0].startswith("tcp://127.0.0.1:")


def test_a_fleet_takes_targets_by_name(tmp_path: Path) -> None:
    done = bench("fleet", "run", "--scheduler", NOWHERE, "--target", "./t-b.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "'./t-b.toml' is a file" in done.stderr
    assert "give the name of the profile" in done.stderr


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
