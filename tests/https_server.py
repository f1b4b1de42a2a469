"""A server on this machine that speaks real HTTPS, well or badly, as a test asks it to."""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


class Served:
    """What the server does. `asked` is the Range header of each request for a file, None where there was none."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cuts = 0
        """So many of the next answers break off half way."""
        self.chunked = False
        """The length of the whole is not said, but that of each piece (here of the one there is)."""
        self.status: int | None = None
        self.begins_elsewhere = False
        """The part that comes is another one than was asked for."""
        self.ignores_ranges = False
        self.says_length = True
        self.pause_s = 0.0
        self.leads_to: str | None = None
        self.asked: list[str | None] = []
        self.url = ""
        self.certificate = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/lead":
            assert self.leads_to is not None
            handler.send_response(302)
            handler.send_header("Location", self.leads_to)
            handler.end_headers()
            return
        if handler.path != "/file":
            handler.send_error(404)
            return
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        time.sleep(self.pause_s)
        found = None if self.ignores_ranges else re.fullmatch(r"bytes=(\d+)-", asked or "")
        begins = int(found[1]) if found else 0
        if found and begins >= len(self.content):
            handler.send_error(416)
            return
        begins += bool(found and self.begins_elsewhere)
        body = self.content[begins:]
        handler.send_response(self.status or (206 if found else 200))
        if found:
            handler.send_header("Content-Range", f"bytes {begins}-{len(self.content) - 1}/{len(self.content)}")
        if self.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        elif self.says_length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if self.cuts:
            self.cuts -= 1
            body = body[: len(body) // 2]
        handler.wfile.write(body)


@contextmanager
def serving(folder: Path, content: bytes) -> Iterator[Served]:
    """Serve `content` at `/file`; `certificate` is the file to trust."""
    served = Served(content)
    authority = trustme.CA()
    served.certificate = str(folder / "authority.pem")
    authority.cert_pem.write_to_path(served.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Whoever asked may hang up before the end.
            with suppress(OSError):
                served.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("localhost", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        served.url = f"https://localhost:{server.server_address[1]}/file"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield served
        server.shutdown()
        thread.join()
