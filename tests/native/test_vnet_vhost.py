"""virtio-net with vhost: rings given to the kernel, taken back, and given again."""

from __future__ import annotations

import pytest

from tests.native.netrig import HEADER, NO_HEADER, RX, TX, frame
from tests.native.vhostrig import Card
from tests.virtiopci import NEEDS_RESET, wait_for
from vmm.layout import MIB
from vmm.native import check, lib

pytestmark = pytest.mark.needs("root", "tap", "vhost-net")


def test_kernel_moves_packets(card: Card) -> None:
    rx, tx = card.start()
    card.fill(rx)
    for number in range(20):
        card.sends(tx, number)
        card.receives(rx, number)
    assert card.counter("rx_packets") == card.counter("tx_packets") == 0
    assert card.core.counters()["interrupts"] == 0  # vhost writes to the vectors itself
    card.await_interrupt(RX + 1)


def test_pin_is_raised_through_the_loop() -> None:
    with Card(msix=False) as card:
        rx, tx = card.start()
        card.fill(rx)
        card.sends(tx, 1)
        card.receives(rx, 1)
        wait_for(lambda: card.core.counters()["interrupts"] > 0, "an interrupt")
        wait_for(lambda: card.driver.isr() & 1, "the interrupt's status")


def test_rings_are_taken_back_and_given_again(card: Card) -> None:
    rx, tx = card.start()
    card.fill(rx, 200)
    for number in range(10):
        card.pci.pause()
        assert card.counter("vhost_rings") == 0
        saved = card.pci.save()
        if number % 2:
            card.pci.load(saved)
        card.pci.resume()
        card.sends(tx, number)
        card.receives(rx, number)


def test_one_ring_is_reset_while_the_other_works(card: Card) -> None:
    rx, tx = card.start()
    card.fill(rx)
    for number in range(5):
        card.driver.reset_queue(RX)
        assert card.counter("vhost_rings") == 1
        card.sends(tx, number)
        rx = card.driver.ring(card.arena, RX)
        card.driver.enable(RX, rx, 1)
        card.fill(rx)
        card.receives(rx, number)


def test_reset_under_traffic(card: Card) -> None:
    for number in range(10):
        rx, tx = card.start()
        card.fill(rx)
        for _ in range(50):
            card.wire.send(frame(number))
        tx.add([NO_HEADER + frame(number)])
        tx.publish()
        card.driver.notify(TX)
        card.driver.reset()
        assert card.counter("vhost_rings") == 0
    rx, tx = card.start()
    tx.add([NO_HEADER + frame(99)])
    card.exchange(TX, tx)
    while card.wire.recv(4096) != frame(99):
        pass


def test_vhost_learns_of_new_memory(card: Card) -> None:
    rx, tx = card.start()
    card.fill(rx)
    place = 1 << 32
    hva = card.memory.regions[0].hva
    check(lib.gmem_add(card.memory.pointer, place, MIB, lib_pointer(hva), 0), "gmem_add")
    try:
        card.memory.write(place, NO_HEADER + frame(7))
        head = tx.add([b"x" * (HEADER + 60)]).head
        tx.set_desc(head, place, HEADER + 60)
        card.exchange(TX, tx)
        assert card.wire.recv(4096) == frame(7)
        card.receives(rx, 8)
        assert card.counter("vhost_rings") == 2
    finally:
        card.driver.reset()
        check(lib.gmem_remove(card.memory.pointer, place, MIB), "gmem_remove")


def lib_pointer(address: int) -> object:
    from vmm.native import ffi

    return ffi.cast("void *", address)


def test_broken_ring_needs_a_reset(card: Card) -> None:
    rx, tx = card.start()
    tx.set_desc(0, 1 << 45, 100)
    tx.offer(0)
    tx.publish()
    card.driver.notify(TX)
    wait_for(lambda: card.driver.status & NEEDS_RESET, "the need of a reset")
    wait_for(lambda: not card.counter("vhost_rings"), "vhost to have no ring")
    rx, tx = card.start() if not card.driver.reset() else (rx, tx)
    card.sends(tx, 1)
