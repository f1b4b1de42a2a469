"""What every request has to pass, and what every answer carries."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer that does not bring its own: no script at all, nothing from elsewhere, no frame around it."""

REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads allow-modals allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "connect-src data: blob:; worker-src blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of a report, whose scripts are its own and inline. Sandboxed, it cannot read the other pages of this server."""

_HOST = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")
_WEB_PORT = 80


@dataclass(frozen=True)
class Hosts:
    """Under which names the page may be asked for.

    A site elsewhere can point its own name at this machine (DNS rebinding), and a browser then takes the page for that
    site's. The name in the request gives it away. `any_address` is for a server on all addresses of the machine: then
    any numeric address passes, since no site elsewhere owns one as its name.
    """

    port: int
    names: frozenset[str] = LOCAL
    any_address: bool = False

    @classmethod
    def of(cls, host: str, port: int) -> Hosts:
        """The names of a server that is bound to `host`."""
        address = _address(host)
        if address is None or not address.is_unspecified:
            return cls(port, LOCAL | {host.lower()})
        return cls(port, LOCAL | {socket.gethostname().lower(), socket.getfqdn().lower()}, any_address=True)

    def know(self, header: str) -> bool:
        """Whether the text of a `Host` header names this server, with its port."""
        found = _HOST.fullmatch(header.strip().lower())
        if found is None or int(found["port"] or _WEB_PORT) != self.port:
            return False
        name = found["six"] or found["name"]
        return name in self.names or (self.any_address and _address(name) is not None)


class Guard:
    """Refuses what is not a plain read of this very server, and adds the headers to what is answered."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return  # no web sockets, and nothing to start or stop

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        given = Headers(scope=scope).getlist("host")
        if len(given) != 1 or not self._hosts.know(given[0]):
            return PlainTextResponse(
                "This server answers only under its own name and port. "
                f"Through a tunnel, use the same port on both ends: {self._hosts.port}.\n",
                status_code=421,
            )
        if scope["method"] not in METHODS:
            return PlainTextResponse(
                "This page can only be read.\n", status_code=405, headers={"allow": ", ".join(METHODS)}
            )
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
