"""The processes of a fleet beside the parent: a scheduler, and a worker, which joins one that was started anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from bench.errors import UserError
from bench.fleet.identity import announcement
from bench.fleet.link import MACHINE, TARGET, quiet
from bench.fleet.secure import Tls, check_address, is_loopback, need_distributed, security
from bench.fleet.station import stand_as

Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
PARENT = "BENCH_FLEET_PARENT"
"""In the environment of what `bench fleet local` starts: its process id, so that nothing of it is left behind."""
_AGAIN_S = 1.0
_watching: list[asyncio.Task[None]] = []

_SETTINGS = {
    # A worker's process only waits while a case is measured: nothing in it may take time on its own account.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.limit": "1h",
    "distributed.comm.retry.count": 0,
}


def work(
    address: str,
    say: Say,
    *,
    tls: Tls | None = None,
    target: str | None = None,
    machine: str | None = None,
    name: str | None = None,
    wait_s: float = 60.0,
) -> None:
    """Be a worker until SIGTERM or Ctrl-C, or until no scheduler has answered for `wait_s`.

    Raises:
        UserError: no Dask, an address that may not be used, no such target, or no scheduler.
    """
    need_distributed()
    import dask

    kept = security(tls or Tls(), check_address(address, "ADDRESS"), "ADDRESS")
    told = announcement(target, machine)
    stand_as(told)
    quiet()
    name = name or f"{told.host}-{told.target}-{os.getpid()}"
    with dask.config.set(_SETTINGS), tempfile.TemporaryDirectory(prefix="bench-fleet-") as scratch:
        resources = {f"{TARGET}{told.target}": 1, MACHINE: 1}
        say(f"worker {name}: target {told.target}, machine {told.machine}; looking for {address}")
        asyncio.run(_worker(address, kept, name, resources, scratch, wait_s, say))


async def _worker(
    address: str, kept: Any, name: str, resources: dict[str, int], scratch: str, wait_s: float, say: Say
) -> None:
    from distributed import Worker

    stop = _stopped()
    last_seen = time.monotonic()
    while not stop.is_set():
        loopback = is_loopback(urlsplit(address).hostname or "")
        worker = Worker(
            address,
            nthreads=1,
            name=name,
            resources=resources,
            security=kept,
            host=LOOPBACK if loopback else None,
            # Dask's web pages know no TLS: they are for this machine only.
            dashboard_address=f"{LOOPBACK}:0",
            memory_limit=0,
            local_directory=scratch,
            death_timeout=_AGAIN_S * 5,
        )
        with contextlib.suppress(OSError, TimeoutError, RuntimeError, ValueError):
            async with worker:
                say(f"worker {name}: joined {address}")
                ended = asyncio.ensure_future(worker.finished())
                asked = asyncio.ensure_future(stop.wait())
                await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
                asked.cancel()
                last_seen = time.monotonic()
                if stop.is_set():
                    # What is being measured is of no use to anyone any more: nobody waits for it.
                    await worker.close(timeout=2, executor_wait=False)
                    return
                say(f"worker {name}: the scheduler is gone; waiting for one at {address}")
        if stop.is_set():
            return
        if time.monotonic() - last_seen > wait_s:
            raise UserError(
                f"no scheduler has answered for {wait_s:g} s",
                where=address,
                remedy="start it with `bench fleet scheduler`, check the address, or give --wait more seconds",
            )
        await asyncio.sleep(_AGAIN_S)


def schedule(host: str, port: int, say: Say, *, tls: Tls | None = None, lost_after_s: float = 60.0) -> None:
    """Be a scheduler until SIGTERM or Ctrl-C. `say` gets its address first, alone on a line.

    Raises:
        UserError: no Dask, a host beyond loopback without TLS, or a port that is taken.
    """
    need_distributed()
    import dask

    tls = tls or Tls()
    address = f"{'tls' if tls.given else 'tcp'}://{host}:{port}"
    kept = security(tls, check_address(address, "--host"), "--host")
    quiet()
    settings = {"distributed.scheduler.worker-ttl": f"{lost_after_s}s", "distributed.admin.tick.limit": "1h"}
    with dask.config.set(settings):
        asyncio.run(_scheduler(host, port, address.partition(":")[0], kept, say))


async def _scheduler(host: str, port: int, protocol: str, kept: Any, say: Say) -> None:
    from distributed import Scheduler

    stop = _stopped()
    try:
        async with Scheduler(
            host=host,
            port=port,
            protocol=protocol,
            security=kept,
            dashboard=False,
            dashboard_address=f"{LOOPBACK}:0",
        ) as scheduler:
            say(scheduler.address)
            await stop.wait()
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot listen: {str(error).splitlines()[0]}", where=f"{host}:{port}", remedy="give another --port"
        ) from error


def _stopped() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C, and by the end of the process that `PARENT` names."""
    stop = asyncio.Event()
    parent = os.environ.get(PARENT)
    if parent:
        _watching.append(asyncio.get_running_loop().create_task(_until_orphaned(int(parent), stop)))
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _until_orphaned(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_AGAIN_S)
    stop.set()
