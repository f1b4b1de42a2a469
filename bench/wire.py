"""Frames between two processes over a child's standard input and output.

A frame is a sign, a 4-byte big-endian length and that many bytes. The child takes its real standard output
for frames and points file descriptor 1 at standard error, so that nothing a library prints can end up
between two frames. What is written there all the same has no sign, and is told from a frame at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import time
from typing import IO

LIMIT = 1 << 30
SMALL = 1 << 20
"""What a frame holds at most (bytes) that is not a result."""
_FAREWELL_S = 30.0
SIGN = b"\xc5BW\x01"
_HEAD = struct.Struct(">4sI")


class WireError(Exception):
    """The other side closed in mid-frame or sent something that is no frame."""


def take_over() -> tuple[IO[bytes], IO[bytes]]:
    """In a child: the (incoming, outgoing) frame streams. Call before anything can print."""
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    incoming = os.fdopen(os.dup(0), "rb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    sys.stdout = sys.stderr
    return incoming, outgoing


def send(stream: IO[bytes], body: bytes) -> None:
    """Write one frame and flush. Raises OSError where the other side is gone."""
    if len(body) > LIMIT:
        raise WireError(f"a frame of {len(body)} bytes is over the limit of {LIMIT}")
    stream.write(_HEAD.pack(SIGN, len(body)) + body)
    stream.flush()


def farewell(stream: IO[bytes]) -> None:
    """In a parent: an empty frame, which tells the child that the stream ends on purpose. Never waits for the child."""
    if hasattr(os, "set_blocking"):
        with contextlib.suppress(OSError, ValueError):
            os.set_blocking(stream.fileno(), False)
            os.write(stream.fileno(), _HEAD.pack(SIGN, 0))


def receive(stream: IO[bytes], limit: int = LIMIT) -> bytes | None:
    """The next frame, or None at a clean end of stream. Raises `WireError` on one that is broken or over `limit`."""
    head = stream.read(_HEAD.size)
    if not head:
        return None
    if not head.startswith(SIGN) and not SIGN.startswith(head):
        raise WireError(f"{head!r} is no frame: something else wrote to the pipe")
    if len(head) < _HEAD.size:
        raise WireError("the stream ended inside a frame's head")
    _, length = _HEAD.unpack(head)
    if length > limit:
        raise WireError(f"a frame announces {length} bytes, over the limit of {limit}")
    body = stream.read(length)
    if len(body) < length:
        raise WireError(f"the stream ended after {len(body)} of {length} bytes")
    return body


def end_with_parent(incoming: IO[bytes]) -> None:
    """In a child that reads no more: end it, and the group that it leads, as soon as the parent is gone.

    After a farewell it has time to end by itself, and the parent ends it when that is over.
    """
    # Here: the measuring process, whose start is a figure, has no use for it.
    import threading

    def wait() -> None:
        if incoming.read(1):
            time.sleep(_FAREWELL_S)
        if os.name == "posix" and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
