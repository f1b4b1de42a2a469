"""The fence around a process that runs somebody's model: put up by that process itself, before it imports anything.

It keeps accidents and careless models in. It is no sandbox against code that breaks out of a runtime: SECURITY.md says
what it holds and what it does not.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import UserError

CUT_OFF, OPEN = "cut off", "as the machine has it"
"""What the row says of the network."""
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_PROBE_S = 60.0
_OWN_NETWORK = Path("/proc/self/ns/net")


class CannotConfine(Exception):
    """The fence that was asked for cannot be put up here; the text says why."""


def confine(
    *, network: bool = True, file_limit_bytes: int | None = None, open_files: int | None = None
) -> dict[str, Any]:
    """Fence this process in, and give what then holds, for the row. To be called while it has one thread.

    It never dumps core, writes no file over `file_limit_bytes` and has no more than `open_files` open (POSIX). Without
    `network` it gets a network namespace of its own, in which there is nothing but a loopback that is down, in a user
    namespace without capabilities, from which there is no way back (Linux; user_namespaces(7)).

    Raises:
        CannotConfine: the network cannot be cut off. The limits are set where the system has them.
    """
    told: dict[str, Any] = {"limits": _limit(file_limit_bytes, open_files), "network": OPEN}
    if not network:
        _cut_off()
        told["network"] = CUT_OFF
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


def check_network_can_be_cut_off(where: str) -> None:
    """Try it in a process of its own. Raises `UserError` where it cannot be done here."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=_PROBE_S, check=False
    )
    if done.returncode:
        raise UserError(
            f"the network cannot be cut off here: {(done.stdout.strip() or done.stderr.strip())[-300:]}",
            where=where,
            remedy="leave it out, allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
            "user.max_user_namespaces), or run it all in a container without network",
        )


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
            # Never more than there was; both, so that nothing in here can raise it again.
            soft = min([limit, *(each for each in (soft, hard) if each != resource.RLIM_INFINITY)])
            resource.setrlimit(kind, (soft, soft))
        if soft != resource.RLIM_INFINITY:
            held[name] = soft
    return held


def _cut_off() -> None:
    if sys.platform != "linux":
        raise CannotConfine("only Linux can give a process a network of its own")
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        before = _OWN_NETWORK.readlink()
        refused = ctypes.get_errno() if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) else 0
        after = _OWN_NETWORK.readlink()
    except OSError as error:
        raise CannotConfine(f"it cannot be seen in {_OWN_NETWORK} ({error.strerror})") from error
    if refused:
        raise CannotConfine(f"the kernel refuses a user and network namespace ({os.strerror(refused)})")
    if after == before:
        raise CannotConfine("the kernel gave no network namespace")
    # Names for the ids only: what may be read and written goes by the ids that the process had before.
    for name, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with suppress(OSError):
            Path(f"/proc/self/{name}").write_text(content, encoding="ascii")
    _drop_capabilities(libc)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """In its own namespace a process begins as its master: that is more of the kernel than a model needs to reach."""
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise CannotConfine("the kernel has no PR_SET_NO_NEW_PRIVS")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise CannotConfine("the capabilities of the new namespace cannot be dropped")


if __name__ == "__main__":
    try:
        confine(network=False)
    except CannotConfine as error:
        sys.exit(print(error) or 1)
