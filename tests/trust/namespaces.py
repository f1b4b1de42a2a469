"""Namespaces of this kernel: whether it has them, what a row says of them, and a process to which it refuses them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest

from bench.confine import BUT_VSOCK, CUT_OFF

FORBIDDEN = [
    "unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"', "sh", sys.executable,
]  # fmt: skip
"""Python in a user namespace of its own, in which the kernel's own limit forbids what a hardened machine forbids."""


def has_namespaces() -> bool:
    """Whether this kernel lets a process have a network of its own, as util-linux finds it."""
    return bool(shutil.which("unshare")) and not subprocess.run(["unshare", "-Urn", "true"], check=False).returncode


needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="this kernel allows no user and network namespace")


def cut_off() -> str:
    """What a row says on this machine when the network is cut off."""
    try:
        socket.socket(socket.AF_VSOCK).close()
    except OSError:
        return CUT_OFF
    return BUT_VSOCK
