"""A child process that speaks frames: started apart, read without blocking, ended for certain."""

from __future__ import annotations

import contextlib
import os
import queue
import selectors
import signal
import site
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self, cast

from bench import orphans, wire

TAIL_BYTES = 4096
LOG_BYTES = 16 * 2**20
"""What a log holds at most of what a child printed: a child that prints without end must not fill the disk."""
_DRAIN_S = 1.0
"""How long what a child wrote before it ended may take to be read."""
_KILL_S = 10.0
_SETTLE_S = 0.2
_END = object()
UNENDED = "hangs in the kernel and could not be ended, even by SIGKILL"


class Interpreter(NamedTuple):
    """Another Python to run a module with, and the folder that is all it finds beside its own packages."""

    executable: str
    search: str


class Ending(NamedTuple):
    """How a child ended: its exit code, the signal that ended it if one did, and whether it had to be killed here.

    The code is None where it could not be ended at all.
    """

    code: int | None
    signal: str | None
    killed: bool


class ChildProcess:
    """A Python module run as a child in a process group of its own.

    Its standard error is read all the time, so that it can neither stop the child nor fill the disk: this object tells
    the tail of it, and `errors` gets its first `LOG_BYTES` and is closed in the end. `python` is this interpreter
    unless given. `folder` is where it works, this process's own folder unless given. Where memory runs out, the system
    ends the child before this process (Linux).

    One frame waits to be received, and a child that says more has to wait itself. `results` is how many of its frames
    may be larger than `wire.SMALL`; None: all. So a child cannot fill the memory of this process.
    """

    def __init__(
        self,
        module: str,
        *,
        environment: dict[str, str] | None = None,
        errors: IO[bytes] | None = None,
        python: Interpreter | None = None,
        folder: str | None = None,
        results: int | None = None,
    ) -> None:
        self._mark = orphans.new_mark()
        self._process = subprocess.Popen(
            [python.executable if python else sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=child_environment((environment or {}) | orphans.marked(self._mark), python),
            cwd=folder,
            # A group of its own: Ctrl-C is the parent's to handle, and the group can be ended as one.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/oom_score_adj").write_text("1000", encoding="ascii")
        self._to_child, self._from_child = self._process.stdin, self._process.stdout
        self._frames: queue.Queue[object] = queue.Queue(1)
        self._results, self._heard = results, 0
        self._silent = False
        self._ending: Ending | None = None
        self._exited, self._over = threading.Event(), threading.Event()
        self._printed = _Tail(self._process.stderr, errors)
        self._reader = threading.Thread(target=self._read, args=(self._from_child,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._await_exit, daemon=True).start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the child was ended, or found ended, by `end`."""
        return self._ending is not None

    @property
    def was_stopped(self) -> bool:
        """Whether somebody stopped the child and let it go on, at any time since it was started (Linux)."""
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, self.pid, os.WCONTINUED | os.WNOHANG | os.WNOWAIT) is not None
        return False

    def send(self, body: bytes) -> None:
        """One frame to the child. A child that is gone shows at the next `receive`."""
        if not self.ended:
            with contextlib.suppress(OSError):
                wire.send(self._to_child, body)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next frame; None where the child has ended or closed its side.

        Raises:
            TimeoutError: nothing came in time, or there is no time. wire.WireError: what came is no frame.
        """
        if self._silent:
            return None
        if timeout_s <= 0:
            raise TimeoutError
        try:
            item = self._frames.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        if item is _END:
            self._silent = True
            return None
        if isinstance(item, wire.WireError):
            raise item
        return cast("bytes", item)

    def end(self, grace_s: float = 2.0) -> Ending:
        """End the child and what it started, as far as that is found (see `bench.orphans`)."""
        if self._ending is None:
            wire.farewell(self._to_child)
            with contextlib.suppress(OSError):
                self._to_child.close()
            killed = not self._exited.wait(grace_s)
            try:
                # Before it is gone: then its children have another parent.
                below = orphans.below(self.pid)
                self._kill_group()
                orphans.sweep(self._mark, below)
            finally:
                self._ending = self._reaped(killed)
                self._silent = True
                self._over.set()
            self._reader.join(_DRAIN_S)
        return self._ending

    def kill(self) -> None:
        """End the child at once."""
        self.end(grace_s=0)

    def tail(self) -> str:
        """The end of what the child wrote to standard error."""
        return self._printed.text(_DRAIN_S if self.ended else _SETTLE_S)

    def close(self) -> None:
        """End the child if it runs, and let go of what is held of it."""
        self.kill()
        self._printed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kill_group(self) -> None:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        elif self._process.poll() is None:
            self._process.kill()

    def _reaped(self, killed: bool) -> Ending:
        try:
            code = self._process.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            return Ending(None, None, killed)
        return Ending(code, _signal_name(-code) if code < 0 else None, killed)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            try:
                while (frame := wire.receive(stream, wire.SMALL if self._results == 0 else wire.LIMIT)) is not None:
                    if self._results is not None and len(frame) > wire.SMALL:
                        self._results -= 1
                    self._put(frame)
                    self._heard += 1
            except (wire.WireError, OSError, ValueError) as error:
                self._put(error if isinstance(error, wire.WireError) else wire.WireError(str(error)))
            finally:
                self._put(_END)

    def _put(self, item: object) -> None:
        while not self._over.is_set():
            with contextlib.suppress(queue.Full):
                self._frames.put(item, timeout=_SETTLE_S)
                return

    def _await_exit(self) -> None:
        """Say so when the child has ended: what it left behind may hold the pipe open."""
        if hasattr(os, "waitid"):
            # It stays a zombie until `end`, so that its number stays its own.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self._exited.set()
        # Twice without a sign of more: where all of this process stood still, the first wait says nothing.
        quiet = 0
        while quiet < 2 and self._reader.is_alive() and not self._over.is_set():
            before = self._heard
            self._reader.join(_DRAIN_S / 2)
            more = self._heard != before or not self._frames.empty() or _readable(self._from_child)
            quiet = 0 if more else quiet + 1
        self._put(_END)


def _readable(stream: IO[bytes]) -> bool:
    """Whether a read of the pipe would give something, or its end; False where the system cannot tell (Windows)."""
    with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(0))
    return False


class _Tail:
    """Reads `stream` to its end in a thread of its own and keeps what came last; `copy` gets what came first."""

    def __init__(self, stream: IO[bytes], copy: IO[bytes] | None) -> None:
        self._copy = copy
        self._kept = b""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def text(self, patience_s: float) -> str:
        """What came last; it may still be coming for `patience_s`."""
        self._thread.join(patience_s)
        return self._kept.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Close the copy; the stream is closed at its end."""
        self._thread.join(_DRAIN_S)
        if self._copy is not None:
            self._copy.close()

    def _read(self, stream: IO[bytes]) -> None:
        room = LOG_BYTES
        with stream:
            while piece := os.read(stream.fileno(), 2**16):
                self._kept = (self._kept + piece)[-TAIL_BYTES:]
                if self._copy is not None and room > 0:
                    # A full disk must not stop the child either, and the copy may be closed by now.
                    with contextlib.suppress(OSError, ValueError):
                        self._copy.write(piece[:room])
                        self._copy.flush()
                    room -= len(piece)


def child_environment(extra: dict[str, str], python: Interpreter | None = None) -> dict[str, str]:
    """The parent's environment, so set that the child is the same whatever folder it runs in.

    Another interpreter sees none of the folders that are meant for this one.
    """
    if python is not None:
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
        return {**inherited, "PYTHONPATH": python.search, "PYTHONSAFEPATH": "1", **extra}
    root = Path(__file__).resolve().parents[1]
    # Absolute: the child may work in another folder.
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    # Installed, this package is found anyway, and its neighbours put first would hide what PYTHONPATH holds.
    if root not in (Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())):
        paths.insert(0, str(root))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", **extra}


def describe_exit(ending: Ending, waiting_for: str) -> str:
    """A sentence for a child that ended before it answered, or closed the pipe that it answers through."""
    code, name, killed = ending
    if code is None:
        return f"the process {UNENDED}, during {waiting_for}"
    if killed:
        return f"the process closed the pipe that it answers through during {waiting_for}, went on, and was ended"
    if name == "SIGKILL":
        return f"the process was killed (SIGKILL) during {waiting_for}, which the system does when memory runs out"
    if name:
        return f"the process crashed with {name} during {waiting_for}"
    return f"the process ended with exit code {code} during {waiting_for}, without an answer"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals between the first and the last
        return f"signal {number}"
