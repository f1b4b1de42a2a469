"""The socket, and the server on it until it is stopped."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError

if TYPE_CHECKING:
    import uvicorn

NEEDED = ("starlette", "uvicorn", "jinja2")
_STOP_WAIT_S = 1
_MOST_AT_ONCE = 64


def check_installed() -> None:
    """Raises `UserError` where a library of the page is not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"the page needs {', '.join(missing)}, not installed here",
            where="bench serve",
            remedy="pip install 'counterpoise[serve]'",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int, *, allow_remote: bool = False) -> socket.socket:
    """A listening socket. Port 0 takes any that is free.

    Raises:
        UserError: the address is not of this machine alone and `allow_remote` is not given, the port is busy, or the
            system refuses.
    """
    if not is_loopback(host) and not allow_remote:
        raise UserError(
            f"{host} can be reached from other machines, and the page asks nobody who they are",
            where="--host",
            remedy="leave it out and reach this machine through an SSH tunnel, or add --allow-remote",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port {port} is busy",
                where=f"{host}:{port}",
                remedy="end what uses it, or choose another with --port; --port 0 takes any that is free",
            ) from error
        raise UserError(
            f"cannot listen there: {error.strerror or error}", where=f"{host}:{port}", remedy="check --host and --port"
        ) from error


def address(host: str, port: int) -> str:
    """What to type in a browser of this machine."""
    try:
        unspecified = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        unspecified = False
    shown = "localhost" if unspecified else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/"


def make_server(results: Path, listening: socket.socket, host: str) -> uvicorn.Server:
    """The server of the runs in `results` on a socket of `bind`; its `run(sockets=[listening])` answers requests."""
    import uvicorn

    from bench.serve.app import make_app
    from bench.serve.guard import Hosts

    config = uvicorn.Config(
        make_app(results, Hosts.of(host, listening.getsockname()[1])),
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        timeout_graceful_shutdown=_STOP_WAIT_S,
        limit_concurrency=_MOST_AT_ONCE,
    )
    return uvicorn.Server(config)


def serve(results: Path, listening: socket.socket, host: str, ready: Callable[[str], None]) -> None:
    """Answer requests until Ctrl-C or SIGTERM, which come on as the caller's own handlers have it.

    `ready` is called with the page's address: from then on it can be asked for.
    """
    with listening:
        server = make_server(results, listening, host)
        ready(address(host, listening.getsockname()[1]))
        server.run(sockets=[listening])
