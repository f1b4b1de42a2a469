"""A child process that speaks frames: started apart, read without blocking, ended for certain."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import site
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self, cast

from bench import wire

TAIL_BYTES = 4096
_END = object()


class Interpreter(NamedTuple):
    """Another Python to run a module with, and the folder that is all it finds beside its own packages."""

    executable: str
    search: str


class ChildProcess:
    """A Python module run as a child in a process group of its own.

    Its standard error goes to a file, `errors` or a temporary one, which this object closes and of which it
    tells the tail: a pipe that nobody drains would stop the child. `python` is this interpreter unless given.
    """

    def __init__(
        self,
        module: str,
        *,
        environment: dict[str, str] | None = None,
        errors: IO[bytes] | None = None,
        python: Interpreter | None = None,
    ) -> None:
        self._errors = errors or tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [python.executable if python else sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(environment or {}, python),
            # A group of its own: Ctrl-C is the parent's to handle, and the group can be ended as one.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to_child = self._process.stdin
        self._frames: queue.Queue[object] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def send(self, body: bytes) -> None:
        """One frame to the child. A child that is gone shows at the next `receive`."""
        with contextlib.suppress(OSError):
            wire.send(self._to_child, body)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next frame; None where the child has closed its side.

        Raises:
            TimeoutError: nothing came in time. wire.WireError: what came is no frame.
        """
        try:
            item = self._frames.get(timeout=max(timeout_s, 0))
        except queue.Empty:
            raise TimeoutError from None
        if item is _END:
            self._frames.put(_END)
            return None
        if isinstance(item, wire.WireError):
            raise item
        return cast("bytes", item)

    def end(self, grace_s: float = 2.0) -> tuple[int, str | None]:
        """End the child and all that it started. Returns its exit code and the signal that ended it, if one did."""
        with contextlib.suppress(OSError):
            self._to_child.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._kill_group()
        code = self._process.wait()
        self._reader.join(1.0)
        name = signal.Signals(-code).name if code < 0 else None
        return code, name

    def kill(self) -> None:
        """End the child at once."""
        self.end(grace_s=0)

    def tail(self) -> str:
        """The end of what the child wrote to standard error."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - TAIL_BYTES))
        return self._errors.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """End the child if it runs, and let go of what is held of it."""
        self.kill()
        self._errors.close()

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

    def _read(self, stream: IO[bytes]) -> None:
        try:
            while (frame := wire.receive(stream)) is not None:
                self._frames.put(frame)
        except (wire.WireError, OSError, ValueError) as error:
            self._frames.put(error if isinstance(error, wire.WireError) else wire.WireError(str(error)))
        finally:
            self._frames.put(_END)


def child_environment(extra: dict[str, str], python: Interpreter | None = None) -> dict[str, str]:
    """The parent's environment, so set that the child is the same whatever folder it runs in.

    Another interpreter sees none of the folders that are meant for this one.
    """
    if python is not None:
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
        return {**inherited, "PYTHONPATH": python.search, "PYTHONSAFEPATH": "1", **extra}
    root = Path(__file__).resolve().parents[1]
    paths = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # Installed, this package is found anyway, and its neighbours put first would hide what PYTHONPATH holds.
    if root not in (Path(folder).resolve() for folder in (*site.getsitepackages(), site.getusersitepackages())):
        paths.insert(0, str(root))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1", **extra}


def describe_exit(code: int, signal_name: str | None, waiting_for: str) -> str:
    """A sentence for a child that ended before it answered."""
    if signal_name == "SIGKILL":
        return f"the process was killed (SIGKILL) during {waiting_for}, which the system does when memory runs out"
    if signal_name:
        return f"the process crashed with {signal_name} during {waiting_for}"
    return f"the process ended with exit code {code} during {waiting_for}, without an answer"
