"""The process tree under a watched pid, kept up to date at a bounded cost."""

from __future__ import annotations

import contextlib
import os
import time

import psutil

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


class ProcessTree:
    """The root process and its descendants, once seen never forgotten before they end.

    Listing all processes costs milliseconds on a busy machine, so the list is renewed at most every
    `interval_s`, and less often where a renewal is dear: it may take `share` of the time at most. A
    descendant that outlives its parent stays in the tree.
    """

    def __init__(self, pid: int, *, interval_s: float = 0.25, share: float = 0.005) -> None:
        self.pid = pid
        self._interval_s = interval_s
        self._share = share
        self._members: dict[int, psutil.Process] = {}
        self._next = 0.0
        # The watcher may itself be a child of the process it watches.
        self._self = os.getpid()
        try:
            self._root: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._root = None

    def alive(self) -> bool:
        """Whether the root process is still there and not a zombie."""
        if self._root is None:
            return False
        try:
            return self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def members(self, *, fresh: bool = False) -> list[psutil.Process]:
        """Processes of the tree, root first; `fresh` renews the list now."""
        now = time.perf_counter()
        if fresh or now >= self._next:
            self._renew()
            cost = time.perf_counter() - now
            self._next = now + max(self._interval_s, cost / self._share)
        return list(self._members.values())

    def pids(self) -> set[int]:
        """Ids of the processes in the tree."""
        return {p.pid for p in self.members()}

    def forget(self, process: psutil.Process) -> None:
        """Leave out a process found to have ended."""
        self._members.pop(process.pid, None)

    def _renew(self) -> None:
        # is_running compares start times: a pid that was given to another process does not pass for ours.
        found = {pid: p for pid, p in self._members.items() if p.is_running()}
        if self._root is not None and self._root.is_running():
            found = {self.pid: self._root, **found}
        for process in list(found.values()):
            with contextlib.suppress(*_GONE, psutil.AccessDenied):
                for child in process.children(recursive=True) if process.pid == self.pid else ():
                    if child.pid != self._self:
                        found.setdefault(child.pid, child)
        self._members = found
