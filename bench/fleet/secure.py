"""Who may be spoken to, and how: beyond this machine only under TLS."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from bench.errors import UserError

_SCHEMES = ("tcp", "tls")
_KEPT_IN = ("tls://", "wss://", "inproc://")
"""How the address of a listener begins that no stranger can speak to: encrypted, or none of the network's."""

Role = Literal["client", "scheduler", "worker"]


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Files in PEM; what is None is taken from Dask's own configuration (`distributed.comm.tls`)."""

    ca_file: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def given(self) -> bool:
        """Whether any was named."""
        return (self.ca_file, self.cert, self.key) != (None, None, None)


def need_distributed() -> None:
    """Raise `UserError` where Dask is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UserError(
            "a fleet needs Dask, which is not installed",
            where="bench fleet",
            remedy="pip install 'counterpoise[fleet]'",
        ) from error


def check_address(address: str, where: str) -> str:
    """The address, where it is one that may be spoken to: `tls://…` anywhere, `tcp://…` on this machine only.

    Dask runs whatever code it is sent: who can reach an open port owns the machine.

    Raises:
        UserError: it is neither.
    """
    try:
        parts = urlsplit(address)
        known = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port is not None
    except ValueError:  # half an IPv6 address, or a port that is none
        known = False
    if not known or parts.hostname is None:
        raise UserError(
            f"{address!r} is no address of a scheduler", where=where, remedy="give one such as tcp://127.0.0.1:8786"
        )
    if parts.scheme == "tcp" and not is_loopback(parts.hostname):
        raise UserError(
            f"without TLS a fleet stays on this machine, and {parts.hostname} is not loopback: "
            "whoever reaches such a port can run code here",
            where=where,
            remedy=f"give tls://{parts.netloc} with --tls-ca-file, --tls-cert and --tls-key, or tunnel it by SSH",
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether it means this machine alone. A name is taken by its word only where it is `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def scheme(tls: Tls, role: Role) -> str:
    """`tls` where files are given, or Dask's own configuration has all that this role needs; else `tcp`."""
    need_distributed()
    return "tls" if tls.given or _whole(_security(Tls()), role) else "tcp"


def security(tls: Tls, address: str, where: str, role: Role = "client") -> Any:
    """Dask's `Security` for an address that `check_address` let pass; None for `tcp://`.

    Raises:
        UserError: a file is missing or not what it should be, or TLS files are given for an address without TLS.
    """
    need_distributed()
    if not address.startswith("tls://"):
        if tls.given:
            raise UserError(
                "TLS files are given, and the address is not one of TLS", where=where, remedy="write it as tls://…"
            )
        return None
    found = _security(tls)
    files = {"ca_file": found.tls_ca_file, **_own(found, role)}
    for path in files.values():
        if path is not None and "\n" not in path and not Path(path).is_file():
            raise UserError(
                "there is no such file",
                where=path,
                remedy="check --tls-ca-file, --tls-cert, --tls-key, and distributed.comm.tls in Dask's configuration",
            )
    if not _whole(found, role):
        raise UserError(
            "TLS needs the certificate of an authority and one of one's own",
            where=where,
            remedy="give --tls-ca-file, --tls-cert and --tls-key, or set distributed.comm.tls in Dask's configuration",
        )
    try:
        found.get_connection_args(role)
    except (OSError, ValueError) as error:
        raise UserError(
            f"the TLS files cannot be used: {error}",
            where=", ".join(path for path in files.values() if path is not None and "\n" not in path),
            remedy="check that all are PEM, and that the key is that of the certificate and has no password",
        ) from error
    return found


def open_doors(worker: Any) -> Iterator[str]:
    """Where a Dask worker that is starting, or its nanny, listens beyond this machine and without TLS."""
    from distributed.comm import get_tcp_server_addresses

    for listener in worker.listeners:
        if not listener.prefix.startswith(_KEPT_IN):
            yield from _beyond("the worker", os.getpid(), listener.listen_address)
    if worker.nanny is not None and not worker.nanny.startswith(_KEPT_IN):
        # Of what it starts the nanny is the parent, and its address is the one it is called by, not where it listens.
        yield from _beyond("its nanny", os.getppid(), worker.nanny)
    for ip, port, *_ in get_tcp_server_addresses(worker.http_server):
        # With whatever certificate: whoever likes may read a page, and some can be written to.
        if not is_loopback(ip):
            yield f"its web page on {ip} port {port}"


def _beyond(who: str, pid: int, address: str) -> Iterator[str]:
    import psutil

    port = urlsplit(address).port
    try:
        seen = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.Error:
        seen = []
    bound = sorted({each.laddr.ip for each in seen if each.status == psutil.CONN_LISTEN and each.laddr.port == port})
    if not bound:
        yield f"{who} on {address}, where is not known"
    yield from (f"{who} on {ip} port {port}" for ip in bound if not is_loopback(ip))


def _security(tls: Tls) -> Any:
    from distributed.security import Security

    named = {"tls_ca_file": tls.ca_file}
    for role in ("client", "scheduler", "worker"):
        named |= {f"tls_{role}_cert": tls.cert, f"tls_{role}_key": tls.key}
    return Security(require_encryption=True, **{key: str(path) for key, path in named.items() if path is not None})


def _own(found: Any, role: Role) -> dict[str, str | None]:
    """Certificate and key of a role; a key may be in the file of the certificate. PEM itself, or the path of it."""
    return {part: getattr(found, f"tls_{role}_{part}") for part in ("cert", "key")}


def _whole(found: Any, role: Role) -> bool:
    return bool(found.tls_ca_file and _own(found, role)["cert"])
