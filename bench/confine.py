"""The fence around a process that runs somebody's model: put up by that process itself, before it imports anything.

It keeps accidents and careless models in. It is no sandbox against code that breaks out of a runtime: SECURITY.md says
what it holds and what it does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

# The import of a runtime is a figure, and it brings ctypes and pathlib: neither is imported here ahead of it.
if TYPE_CHECKING:
    import ctypes

CUT_OFF, OPEN = "cut off", "as the machine has it"
"""What the row says of the network."""
BUT_VSOCK = f"{CUT_OFF}, but for vsock to the host of a virtual machine"
"""What it says where the kernel has vsock, which knows no network namespaces."""
_AF_VSOCK, _SOCK_STREAM = 40, 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_OWN_NETWORK = "/proc/self/ns/net"


class CannotConfine(Exception):
    """The fence that was asked for cannot be put up here; the text says why."""


def confine(
    *, network: bool = True, file_limit_bytes: int | None = None, open_files: int | None = None
) -> dict[str, Any]:
    """Fence this process in, and give what then holds, for the row. Call it before the process has a second thread.

    It never dumps core, writes no file over `file_limit_bytes` and has no more than `open_files` open (POSIX). Without
    `network` it gets a network namespace of its own, in which there is nothing but a loopback that is down, in a user
    namespace without capabilities, from which there is no way back (Linux; user_namespaces(7)). Sockets that are
    files and vsock are reached as before.

    Raises:
        CannotConfine: the network cannot be cut off. The limits are set where the system has them.
    """
    told: dict[str, Any] = {"limits": _limit(file_limit_bytes, open_files), "network": OPEN}
    if not network:
        told["network"] = _cut_off()
    return told


def confine_as_asked(frame: bytes) -> dict[str, Any]:
    """As `confine`, by the `Confinement` in a packed job, in itself or in its plan; read without the job's own types.

    A frame that is no job is told of where it is used. Raises CannotConfine.
    """
    import msgspec

    try:
        job = msgspec.msgpack.decode(frame)
        asked = job.get("plan", job).get("confinement", {})
        wanted = {name: asked[name] for name in ("network", "file_limit_bytes", "open_files") if name in asked}
    except (msgspec.MsgspecError, AttributeError, TypeError):
        wanted = {}
    return confine(**wanted)


def refusal(frame: bytes, consequence: str) -> str | None:
    """As `confine_as_asked`; where that cannot be done, the sentence that says so with its `consequence`."""
    try:
        confine_as_asked(frame)
    except CannotConfine as error:
        return f"the network cannot be cut off here, so {consequence}: {error}"
    return None


def _limit(file_limit_bytes: int | None, open_files: int | None) -> dict[str, int]:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return {}
    asked = ((resource.RLIMIT_CORE, "core_bytes", 0), (resource.RLIMIT_FSIZE, "file_bytes", file_limit_bytes))
    held = {}
    for kind, name, limit in (*asked, (resource.RLIMIT_NOFILE, "open_files", open_files)):
        soft, hard = resource.getrlimit(kind)
        if limit is not None:
            # Never more than there may be; both, so that nothing in here can raise it again.
            soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(kind, (soft, soft))
        if soft != resource.RLIM_INFINITY:
            held[name] = soft
    return held


def _cut_off() -> str:
    """Do it, and say what is cut off."""
    import ctypes

    if sys.platform != "linux":
        raise CannotConfine("only Linux can give a process a network of its own")
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        before = os.readlink(_OWN_NETWORK)  # noqa: PTH115
        refused = ctypes.get_errno() if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) else 0
        after = os.readlink(_OWN_NETWORK)  # noqa: PTH115
    except OSError as error:
        raise CannotConfine(f"it cannot be seen in {_OWN_NETWORK} ({error.strerror})") from error
    if refused:
        raise CannotConfine(f"the kernel refuses a user and network namespace ({os.strerror(refused)})")
    if after == before:
        raise CannotConfine("the kernel gave no network namespace")
    # Names for the ids only: what may be read and written goes by the ids that the process had before.
    for name, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with contextlib.suppress(OSError), open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(content)
    _drop_capabilities(libc)
    vsock = libc.socket(_AF_VSOCK, _SOCK_STREAM, 0)
    if vsock < 0:
        return CUT_OFF
    os.close(vsock)
    return BUT_VSOCK


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """In its own namespace a process begins as its master: that is more of the kernel than a model needs to reach."""
    import ctypes

    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CannotConfine("the kernel has no PR_SET_NO_NEW_PRIVS")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise CannotConfine("the capabilities of the new namespace cannot be dropped")


if __name__ == "__main__":
    try:
        confine(network=False)
    except CannotConfine as error:
        sys.exit(str(error))
