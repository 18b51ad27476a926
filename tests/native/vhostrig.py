"""A network card whose rings the kernel serves."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.native.netrig import NO_HEADER, TapRig, frame, header
from tests.virtiodriver import DriverRing
from tests.virtiopci import wait_for
from vmm.backends.vhost import VhostNet

NAME = f"vmmv{os.getpid() % 100000}"


class Card(TapRig):
    def __init__(self, *, msix: bool = True) -> None:
        super().__init__(NAME, vhost=VhostNet(1), msix=msix)

    def start(self) -> tuple[DriverRing, DriverRing]:
        rx, tx, _control = self.driver.probe(self.arena)
        wait_for(lambda: self.counter("vhost_rings") == 2, "vhost to have the rings")
        return rx, tx

    def sends(self, tx: DriverRing, number: int) -> None:
        self.send(tx, NO_HEADER + frame(number))
        assert self.wire.recv(4096) == frame(number)

    def receives(self, rx: DriverRing, number: int) -> None:
        self.wire.send(frame(number))
        got: list[bytes] = []
        wait_for(lambda: got.extend(self.collect(rx)) or got, "a packet")
        assert got == [header(buffers=1) + frame(number)]


@pytest.fixture
def card() -> Iterator[Card]:
    with Card() as card:
        yield card
