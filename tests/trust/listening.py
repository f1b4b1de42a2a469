"""On which addresses processes listen, looked up where the kernel keeps it."""

from __future__ import annotations

import ipaddress
import socket

import psutil


def listening(pid: int) -> set[str]:
    """The addresses on which a process and all that it started listen."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return {
        seen.laddr.ip
        for process in family
        for seen in process.net_connections(kind="inet")
        if seen.status == psutil.CONN_LISTEN or (seen.type == socket.SOCK_DGRAM and seen.laddr)
    }


def all_loopback(found: set[str]) -> bool:
    """Whether there are some, and only this machine reaches them."""
    return bool(found) and all(ipaddress.ip_address(ip).is_loopback for ip in found)
