"""Pretend to be on Windows, to this project alone. Imported by `sitecustomize` of a process, and of its children.

What the project imports as `os`, `sys`, `signal` or `platform` lacks what Windows lacks; other packages, which decide
by themselves what system they are on, see the real ones.
"""

from __future__ import annotations

import builtins
import os
from types import ModuleType
from typing import Any

_ABSENT = {
    "os": {
        "sched_getaffinity", "sched_setaffinity", "fork", "getuid", "geteuid", "getgid", "wait4", "posix_spawn",
        "killpg", "sysconf", "getloadavg", "uname", "mkfifo", "statvfs", "setsid", "getpgid", "setpgid", "nice",
        "pread", "pwrite", "chown", "WNOHANG", "register_at_fork", "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW",
    },
    "signal": {
        "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "SIGQUIT", "SIGPIPE", "alarm", "setitimer",
        "pthread_sigmask",
    },
    "select": {"poll", "epoll"},
    "time": {"clock_gettime", "clock_gettime_ns", "CLOCK_MONOTONIC", "CLOCK_MONOTONIC_RAW", "CLOCK_REALTIME"},
    "socket": {"AF_UNIX", "socketpair"},
    "sys": set[str](),
    "platform": set[str](),
}  # fmt: skip
_OTHER: dict[str, dict[str, Any]] = {
    "os": {"name": "nt", "devnull": os.devnull},
    "sys": {"platform": "win32"},
    "platform": {"system": lambda: "Windows"},
}
_NO_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}


class Pretended(ModuleType):
    """A module without some of its names."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:
        real = self.__dict__["_real"]
        if name in _ABSENT[real.__name__]:
            raise AttributeError(f"module {real.__name__!r} has no attribute {name!r} on Windows")
        return _OTHER.get(real.__name__, {}).get(name) or getattr(real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.__dict__["_real"], name, value)


_pretended: dict[str, Pretended] = {}
_import = builtins.__import__


def _importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    importer = str((globals or {}).get("__package__") or "")
    if level == 0 and importer.partition(".")[0] == "bench":
        if name in _NO_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _ABSENT:
            return _pretended.setdefault(name, Pretended(_import(name)))
    return _import(name, globals, locals, fromlist, level)


builtins.__import__ = _importing
