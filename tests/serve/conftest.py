"""A page that is really served, on a free port of this machine, and what a browser would ask of it."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.serve.server import bind, make_server


@dataclass(frozen=True)
class Answer:
    """An answer, its header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Client:
    """Sends requests exactly as they are written."""

    port: int

    def get(self, path: str, method: str = "GET", host: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", f"127.0.0.1:{self.port}" if host is None else host)
            connection.endheaders()
            answer = connection.getresponse()
            return Answer(answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@contextmanager
def served(results: Path) -> Iterator[Client]:
    """The page over `results` while the context lasts."""
    with bind("127.0.0.1", 0) as listening:
        server = make_server(results, listening, "127.0.0.1")
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Client(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def page() -> Iterator[Callable[[Path], Client]]:
    """Serves folders until the test is over."""
    with ExitStack() as stack:
        yield lambda results: stack.enter_context(served(results))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        elif self._in_cell:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._in_cell:
            self.rows[-1][-1] += data


@dataclass(frozen=True)
class Read:
    """A page as a reader has it: the cells of its tables, all tags with their attributes, and its text."""

    rows: list[list[str]]
    tags: list[tuple[str, dict[str, str | None]]]
    text: str


def read(html: str) -> Read:
    """What stands on a page."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    rows = [[" ".join(cell.split()) for cell in row] for row in reader.rows]
    return Read(rows, reader.tags, " ".join(" ".join(reader.words).split()))
