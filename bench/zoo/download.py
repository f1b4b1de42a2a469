"""One file over HTTPS: resumed where it was broken off, checked, and put into its place whole."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from bench import __version__
from bench.errors import UserError
from bench.zoo.hashing import file_sha256

TIMEOUT_S = 30
"""Silence of the server that is taken for a broken connection."""
ATTEMPTS = 4
LARGEST = 1 << 30
"""Bytes that are taken where the size is not known."""
_CHUNK = 1 << 16


class Progress(Protocol):
    """Takes a line for people. `share` (0..1) is how much is done; a `passing` line is for a live view only."""

    def __call__(self, text: str, share: float | None = None, *, passing: bool = False) -> None:
        """Tell of it."""


class Failed(Exception):
    """The file could not be had; the sentence says why."""


class _CutOff(Exception):
    """The connection broke while bytes were coming."""


def download(url: str, target: Path, *, sha256: str | None, size: int | None, progress: Progress) -> None:
    """Put what is at `url` at `target`, unless it is there.

    What came before a connection broke is kept as `target` with `.part` added, and the next attempt, or the next
    call, asks only for the rest. `size` (bytes) bounds what is taken. The certificates trusted are the system's,
    or those that `SSL_CERT_FILE` names; proxies are those of the environment.

    Raises:
        Failed: no SHA-256 is known, no connection, an answer other than the file, or one with another size or SHA-256.
        UserError: the folder cannot be written.
    """
    if urlsplit(url).scheme != "https":
        raise Failed(f"only https:// is downloaded from, not {url}")
    if sha256 is None:
        raise Failed(f"nothing says which file {url} has to be (no SHA-256)")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target, progress):
            if not target.exists():
                part = target.with_name(f"{target.name}.part")
                _fill(part, url, size, progress)
                _check(part, url, sha256, size)
                part.replace(target)


def _fill(part: Path, url: str, size: int | None, progress: Progress) -> None:
    name = part.name.removesuffix(".part")
    progress(f"downloading {name} from {urlsplit(url).hostname}", 0.0)
    broke = 0
    while True:
        try:
            _ask(part, url, size, progress)
        except _CutOff as error:
            broke += 1
            if broke == ATTEMPTS:
                raise Failed(
                    f"the connection broke {ATTEMPTS} times ({error}); the next try goes on from there"
                ) from error
            progress(f"{name}: the connection broke ({error}); going on from there")
            # At once, then after 1, 2, … s: a server that drops everybody is not helped by haste.
            time.sleep(broke - 1)
        else:
            return


def _ask(part: Path, url: str, size: int | None, progress: Progress) -> None:
    """One request for what is still missing."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"counterpoise/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _answer(urllib.request.Request(url, headers=headers), part) as answer:
        if answer is None:
            return
        if answer.status not in (200, 206):
            raise Failed(f"{url} answered with status {answer.status}")
        # A server that does not know ranges sends all of it.
        begins = _range_start(answer) if answer.status == 206 else 0
        if begins not in (0, have):
            raise Failed(f"{url} sent another part than the one asked for")
        length = answer.headers.get("Content-Length")
        total = begins + int(length) if length is not None else None
        bound = size or LARGEST
        if total is not None and total > bound:
            raise Failed(f"{url} has {total:,} B, more than the {bound:,} B expected")
        with part.open("r+b" if begins else "wb") as file:
            file.seek(begins)
            _copy(answer, file, total, bound, progress)


def _copy(answer: Any, file: BinaryIO, total: int | None, bound: int, progress: Progress) -> None:
    """Append what comes; `total` is what the file has in the end, None where the server does not say."""
    name = Path(file.name).name.removesuffix(".part")
    told = time.monotonic()
    while chunk := _read(answer):
        if file.tell() + len(chunk) > bound:
            raise Failed(f"more came than the {bound:,} B expected")
        file.write(chunk)
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            share = file.tell() / total if total else None
            progress(f"downloading {name}: {file.tell() / 1e6:.1f} MB", share, passing=True)
    file.flush()
    os.fsync(file.fileno())
    if total is not None and file.tell() < total:
        raise _CutOff(f"after {file.tell():,} of {total:,} B")


def _read(answer: Any) -> bytes:
    try:
        return bytes(answer.read(_CHUNK))
    except (http.client.HTTPException, OSError) as error:
        raise _CutOff(str(error) or type(error).__name__) from error


@contextmanager
def _answer(request: urllib.request.Request, part: Path) -> Iterator[Any]:
    """The opened answer; None where the server says that there is nothing after the part that is here."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=ssl.create_default_context()), _OnlyHttps()
    )
    try:
        answer = opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:
            raise Failed(f"{request.full_url} answered with status {error.code} ({error.reason})") from error
        answer = None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Failed(f"no connection to {urlsplit(request.full_url).hostname} ({reason})") from error
    if answer is None:
        yield None
        return
    with answer:
        yield answer


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise Failed(f"{req.full_url} leads to {newurl}, which is not https://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _range_start(answer: Any) -> int:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _check(part: Path, url: str, sha256: str | None, size: int | None) -> None:
    """Throw away what is not the file that was meant."""
    found = part.stat().st_size
    if size is not None and found != size:
        part.unlink()
        raise Failed(f"{url} has {found:,} B instead of {size:,} B; it was thrown away")
    if sha256 is not None and (digest := file_sha256(part)) != sha256:
        part.unlink()
        raise Failed(f"{url} has SHA-256 {digest} instead of {sha256}; it was thrown away")


@contextmanager
def _alone(target: Path, progress: Progress) -> Iterator[None]:
    lock = FileLock(target.with_name(f"{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"waiting for another process that downloads {target.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the download cannot be written: {error.strerror or error}",
            where=str(target.parent),
            remedy="make room there, or set BENCH_CACHE_DIR to a folder of yours",
        ) from error
