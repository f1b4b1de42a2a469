"""Who may be spoken to, and how: beyond this machine only under TLS."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bench.errors import UserError

_SCHEMES = ("tcp", "tls")


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
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in _SCHEMES or not parts.hostname or port is None:
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


def security(tls: Tls, address: str, where: str) -> Any:
    """Dask's `Security` for an address that `check_address` let pass; None for `tcp://`.

    Raises:
        UserError: a file is missing, or TLS files are given for an address without TLS.
    """
    need_distributed()
    from distributed.security import Security

    if not address.startswith("tls://"):
        if tls.given:
            raise UserError(
                "TLS files are given, and the address is not one of TLS", where=where, remedy="write it as tls://…"
            )
        return None
    for path in (tls.ca_file, tls.cert, tls.key):
        if path is not None and not path.is_file():
            raise UserError(
                "there is no such file", where=str(path), remedy="check --tls-ca-file, --tls-cert, --tls-key"
            )
    named = {"tls_ca_file": tls.ca_file}
    for role in ("client", "scheduler", "worker"):
        named |= {f"tls_{role}_cert": tls.cert, f"tls_{role}_key": tls.key}
    found = Security(require_encryption=True, **{key: str(path) for key, path in named.items() if path is not None})
    if not (found.tls_ca_file and found.tls_client_cert):
        raise UserError(
            "TLS needs the certificate of an authority and one of one's own",
            where=where,
            remedy="give --tls-ca-file, --tls-cert and --tls-key, or set distributed.comm.tls in Dask's configuration",
        )
    return found
