"""A network namespace of its own for a tap, and sockets in it: what is at a guest's other end."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.linux.stock import TIMEOUT

T = TypeVar("T")
TAP = f"vmmn{os.getpid() % 100000}"
HOST, GUEST, PREFIX = "198.51.100.1", "198.51.100.2", 24


@contextmanager
def namespace() -> Iterator[str]:
    from pyroute2 import netns

    name = f"{TAP}s"
    netns.create(name)
    try:
        yield name
    finally:
        netns.remove(name)


def inside(name: str, function: Callable[[], T]) -> T:
    """`function` on a thread in the namespace: sockets made there belong to it."""
    from pyroute2 import netns

    results: list[T] = []

    def body() -> None:
        netns.setns(name)
        results.append(function())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return results[0]


def move(tap: str, name: str) -> None:
    """The tap into the namespace, up and with the host's address."""
    from pyroute2 import IPRoute, NetNS

    with IPRoute() as here:
        here.link("set", index=here.link_lookup(ifname=tap)[0], net_ns_fd=name)
    with NetNS(name) as there:
        index = there.link_lookup(ifname=tap)[0]
        there.addr("add", index=index, address=HOST, prefixlen=PREFIX)
        there.link("set", index=index, state="up")


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.settimeout(TIMEOUT)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((HOST, port))
    server.listen()
    return server
