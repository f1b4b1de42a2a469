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
from bench.fleet.secure import Tls, check_address, is_loopback, need_distributed, scheme, security
from bench.fleet.station import stand_as

Say = Callable[[str], None]
LOOPBACK = "127.0.0.1"
PARENT = "BENCH_FLEET_PARENT"
"""In the environment of what `bench fleet local` starts: its process id, so that nothing of it is left behind."""
_AGAIN_S = 1.0
_PATIENCE_S = 5.0
_TAKEN_TRIES = 10
"""So often may the name of a new worker be taken: one of that name that has just gone is forgotten by then."""
_TAKEN = "name taken"
"""What the scheduler answers then."""
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
    """Be a worker until SIGTERM or Ctrl-C, or until no scheduler has taken it for `wait_s`.

    Raises:
        UserError: no Dask, an address that may not be used, no such target, a name that is taken, or no scheduler.
    """
    need_distributed()
    import dask

    kept = security(tls or Tls(), check_address(address, "ADDRESS"), "ADDRESS", "worker")
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
    joined, taken = False, 0
    while not stop.is_set():
        why = "it was let go"
        try:
            await _knock(address, kept)
            async with Worker(
                address,
                nthreads=1,
                name=name,
                resources=resources,
                security=kept,
                host=_own_side(address),
                # Dask's web pages know no TLS: they are for this machine only.
                dashboard_address=f"{LOOPBACK}:0",
                memory_limit=0,
                local_directory=scratch,
                death_timeout=_PATIENCE_S,
            ) as worker:
                say(f"worker {name}: joined {address}")
                joined = True
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
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            why = _reason(error)
        if stop.is_set():
            return
        # Of one that had joined it may be its own that the scheduler has not missed yet.
        taken = taken + 1 if _TAKEN in why and not joined else 0
        if taken >= _TAKEN_TRIES:
            raise UserError(
                f"the name {name} is taken by another worker", where=address, remedy="give another --name, or none"
            )
        if time.monotonic() - last_seen > wait_s:
            raise UserError(
                f"no scheduler has taken this worker for {wait_s:g} s: {why}",
                where=address,
                remedy="start one with `bench fleet scheduler`, check address and TLS files, or give --wait more time",
            )
        await asyncio.sleep(_AGAIN_S)


async def _knock(address: str, kept: Any) -> None:
    """Speak to the scheduler once: of a worker that cannot, Dask says no more than that it took too long.

    Raises:
        OSError, TimeoutError, ValueError: why it cannot be spoken to.
    """
    from distributed.comm import connect
    from distributed.security import Security

    shown = (kept or Security()).get_connection_args("worker")
    comm = await asyncio.wait_for(connect(address, timeout=_PATIENCE_S, **shown), 2 * _PATIENCE_S)
    await comm.close()


def _own_side(address: str) -> str | None:
    """Where a worker of the scheduler at `address` listens: this machine only, if that one does so; else anywhere."""
    host = urlsplit(address).hostname or ""
    if not is_loopback(host):
        return None
    return "[::1]" if ":" in host else LOOPBACK


def _reason(error: BaseException) -> str:
    """What it was in the first place, the last of the causes that has words: Dask puts "failed to start" around it."""
    told = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        told = " ".join(str(cause).split()) or told
        cause = cause.__cause__
    return told


def schedule(host: str, port: int, say: Say, *, tls: Tls | None = None, lost_after_s: float = 60.0) -> None:
    """Be a scheduler until SIGTERM or Ctrl-C. `say` gets its address first, alone on a line.

    Raises:
        UserError: no Dask, a host beyond loopback without TLS, or a port that is taken.
    """
    need_distributed()
    import dask

    tls = tls or Tls()
    bare = host.strip("[]")
    host = f"[{bare}]" if ":" in bare else bare
    address = f"{scheme(tls, 'scheduler')}://{host}:{port}"
    kept = security(tls, check_address(address, "--host"), "--host", "scheduler")
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
            f"cannot listen: {_reason(error)}", where=f"{host}:{port}", remedy="give another --port or --host"
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
