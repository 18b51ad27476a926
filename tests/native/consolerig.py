"""Consoles as the machine opens them, on a loop."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vmm.backends.chardev import Chan, open_console
from vmm.consoleconfig import ConsoleConfig
from vmm.loop import IoLoop
from vmm.native import ffi, lib

PATIENCE = 20


@pytest.fixture
def loop() -> Iterator[IoLoop]:
    loop = IoLoop()
    loop.start()
    yield loop
    loop.close()


def console(loop: IoLoop, kind: str, path: str | Path = "", **options: object) -> Chan:
    return open_console(ConsoleConfig(kind=kind, path=str(path)), loop, **options)  # type: ignore[arg-type]


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def connected(path: str | Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(PATIENCE)
    peer.connect(str(path))
    return peer


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def received(chan: Chan, length: int) -> bytes:
    """What a front-end gets until it has `length` bytes."""
    data = bytearray()

    def take(_opaque: object, buffer: Any, count: int) -> int:
        data.extend(ffi.buffer(buffer, count))
        return count

    rx = ffi.callback("size_t(void *, const uint8_t *, size_t)", take)
    front = ffi.new("struct chan_front *", {"rx": rx})
    lib.chan_set_front(chan.pointer, front)
    wait_until(lambda: len(data) >= length)
    lib.chan_set_front(chan.pointer, ffi.NULL)
    return bytes(data)
