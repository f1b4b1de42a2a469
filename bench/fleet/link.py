"""The parent's line to the cluster: who is there, work for one worker, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from bench.errors import UserError
from bench.fleet.secure import Tls, check_address, security

TARGET, MACHINE = "target:", "machine"
"""Dask resources of a worker: one of its target, one of its machine."""
_CONNECT_S = 10.0
_GATHERERS = 4
_FETCHES = 6
"""So often an answer is tried to be fetched, each for `_CONNECT_S`."""


class SchedulerLost(Exception):
    """The scheduler does not answer any more."""


class Seen(msgspec.Struct, frozen=True):
    """A worker as the scheduler knows it. `beat` changes with every sign of life, `name` is its own."""

    name: str
    beat: float
    resources: dict[str, float]


class Ended(msgspec.Struct, frozen=True):
    """Work that came to an end: its answer, or why there is none."""

    key: str
    answer: bytes | None = None
    error: str | None = None


class Link(Protocol):
    """What the parent needs of a cluster."""

    def members(self) -> dict[str, Seen]:
        """Every worker by address. Raises `SchedulerLost`."""

    def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, needs: dict[str, int]) -> None:
        """Run `function` on that worker and no other, when it has what the call `needs`."""

    def forget(self, key: str) -> None:
        """Nobody waits for it any more."""

    def wait(self, seconds: float) -> list[Ended]:
        """What ended; nothing where nothing did within that time. Raises `SchedulerLost`."""


class DaskLink:
    """A `Link` by a Dask client.

    Raises:
        UserError: from `__enter__`: no Dask, an address that may not be used, or nobody is there.
    """

    def __init__(self, address: str, tls: Tls | None = None, *, where: str = "--scheduler") -> None:
        self._address = check_address(address, where)
        self._security = security(tls or Tls(), address, where)
        self._where = where
        self._futures: dict[str, Any] = {}
        self._ended: queue.Queue[Ended] = queue.Queue()
        self._pool = ThreadPoolExecutor(_GATHERERS, thread_name_prefix="bench-fleet")

    def __enter__(self) -> Self:
        import dask
        from distributed import Client

        quiet()
        try:
            with dask.config.set({"distributed.comm.retry.count": 0}):
                self._client = Client(
                    self._address, timeout=_CONNECT_S, security=self._security, set_as_default=False, name="bench-fleet"
                )
        except (OSError, TimeoutError, ValueError) as error:
            self._pool.shutdown(wait=False)
            raise UserError(
                f"no scheduler answers: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
                where=f"{self._where} {self._address}",
                remedy="start one with `bench fleet scheduler` or `bench fleet local`, and check address and TLS files",
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for key in list(self._futures):
            self.forget(key)
        self._client.close(timeout=2)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def members(self) -> dict[str, Seen]:
        """See `Link.members`."""
        self._check()
        try:
            told = self._client.sync(self._client.scheduler.identity, callback_timeout=_CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise SchedulerLost(str(error)) from error
        return {
            address: Seen(str(worker["name"]), worker["last_seen"], dict(worker["resources"]))
            for address, worker in told["workers"].items()
        }

    def submit(self, key: str, address: str, function: Callable[..., Any], *given: Any, needs: dict[str, int]) -> None:
        """See `Link.submit`."""
        future = self._client.submit(
            function,
            *given,
            key=key,
            workers=[address],
            allow_other_workers=False,
            resources=needs,
            pure=False,
            # Whether it is tried again, and where, the book decides.
            retries=0,
        )
        self._futures[key] = future
        future.add_done_callback(lambda ended: self._pool.submit(self._gather, key, ended))

    def forget(self, key: str) -> None:
        """See `Link.forget`."""
        future = self._futures.pop(key, None)
        if future is not None and self._client.status == "running":
            future.cancel()

    def wait(self, seconds: float) -> list[Ended]:
        """See `Link.wait`."""
        found: list[Ended] = []
        deadline = time.monotonic() + seconds
        while not found or not self._ended.empty():
            try:
                ended = self._ended.get(timeout=max(0.0, deadline - time.monotonic()) if not found else 0)
            except queue.Empty:
                break
            if self._futures.pop(ended.key, None) is not None:
                found.append(ended)
        self._check()
        return found

    def _check(self) -> None:
        if self._client.status != "running":
            raise SchedulerLost("the connection to the scheduler broke")

    def _gather(self, key: str, future: Any, tries: int = 1) -> None:
        if future.status == "cancelled" or key not in self._futures:
            # By us it is forgotten already; else the scheduler went, which `members` finds.
            return
        try:
            if future.status == "error":
                # Here, so that a TimeoutError of the work is not taken for one of the fetching.
                self._ended.put(Ended(key, error=_sentence(future.exception(timeout=_CONNECT_S))))
                return
            answer = future.result(timeout=_CONNECT_S)
        except TimeoutError:
            if tries < _FETCHES:
                # At the end of the queue: what is slow to come keeps nothing else waiting.
                with contextlib.suppress(RuntimeError):  # the pool is closed: nobody asks any more
                    self._pool.submit(self._gather, key, future, tries + 1)
            else:
                told = f"its answer could not be fetched in {tries} tries of {_CONNECT_S:g} s"
                self._ended.put(Ended(key, error=told))
        except (Exception, asyncio.CancelledError) as error:  # of whatever kind: nobody else hears of it
            self._ended.put(Ended(key, error=_sentence(error)))
        else:
            self._ended.put(Ended(key, answer=answer))


def quiet() -> None:
    """Dask's own log says in many lines what the parent and the worker say in one."""
    import logging

    for name in (
        "distributed",
        "distributed.worker",
        "distributed.scheduler",
        "distributed.core",
        "distributed.client",
    ):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if type(error).__name__ == "Broken" else f"{type(error).__name__}: {text}"
