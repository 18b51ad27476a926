"""virtio-net with vhost: the kernel stops and goes on, and interrupts, as the device must."""

from __future__ import annotations

import pytest

from tests.native.netrig import CONTROL, RX, TX
from tests.native.vhostrig import Card
from tests.native.virtiorig import MSIX_ENABLE
from tests.virtiodriver import DriverRing
from tests.virtiopci import CAP_MSIX, IO, MASTER, MEMORY, NEEDS_RESET, NO_VECTOR, wait_for
from vmm.native import lib
from vmm.virtio.transport import PENDING, REGISTERS

pytestmark = pytest.mark.needs("root", "tap", "vhost-net")

COMMAND = 4  # register


def await_rings(card: Card, count: int) -> None:
    wait_for(lambda: card.counter("vhost_rings") == count, f"vhost to have {count} rings")


# --- bus master


def test_vhost_has_no_ring_without_bus_master(card: Card) -> None:
    rx, tx = card.start()
    card.fill(rx)
    for number in range(5):
        card.driver.config.write(COMMAND, IO | MEMORY, 2)
        await_rings(card, 0)
        tx.publish()
        card.driver.notify(TX)
        card.driver.notify(RX)
        card.settle()
        assert card.counter("vhost_rings") == 0

        card.driver.config.write(COMMAND, IO | MEMORY | MASTER, 2)
        await_rings(card, 2)
        card.sends(tx, number)
        card.receives(rx, number)


def test_bus_master_while_paused_counts_when_it_goes_on(card: Card) -> None:
    card.start()
    card.pci.pause()
    card.driver.config.write(COMMAND, IO | MEMORY, 2)
    card.pci.resume()
    card.settle()
    assert card.counter("vhost_rings") == 0

    card.pci.pause()
    card.driver.config.write(COMMAND, IO | MEMORY | MASTER, 2)
    card.settle()
    assert card.counter("vhost_rings") == 0
    card.pci.resume()
    await_rings(card, 2)


# --- a device that needs a reset


def test_bad_command_takes_the_rings_from_vhost() -> None:
    with Card() as card:
        _rx, _tx, control = card.driver.probe(card.arena)
        await_rings(card, 2)
        control.add([b"x"], [1])
        control.publish()
        card.driver.notify(CONTROL)
        wait_for(lambda: card.driver.status & NEEDS_RESET, "the need of a reset")
        await_rings(card, 0)


def test_queue_that_cannot_be_takes_the_others_from_vhost(card: Card) -> None:
    rx, _tx = card.start()
    card.driver.reset_queue(RX)
    assert card.counter("vhost_rings") == 1
    rx.used = 1 << 45
    card.driver.enable(RX, rx, 1)
    wait_for(lambda: card.driver.status & NEEDS_RESET, "the need of a reset")
    await_rings(card, 0)


# --- interrupts


def choose_vector(card: Card, queue: int, vector: int) -> None:
    card.driver.set("queue_select", queue)
    card.driver.set("queue_msix_vector", vector)
    card.settle()


def turn_vectors(card: Card, control: int) -> None:
    [at] = [at for kind, at in card.config_space.capabilities() if kind == CAP_MSIX]
    card.config_space.write(at + 2, control, 2)
    card.settle()


def receives(card: Card, rx: DriverRing, number: int) -> None:
    """A packet that the driver wants an interrupt for; the host may send others before it."""
    for vector in range(4):
        card.interrupts(vector)
    while rx.interrupts_on():
        rx.collect()
    card.receives(rx, number)


def test_interrupts_go_to_the_vector_that_the_driver_chose_last(card: Card) -> None:
    rx, _tx = card.start()
    card.fill(rx)
    for number, vector in enumerate((3, 1, 0)):
        choose_vector(card, RX, vector)
        receives(card, rx, number)
        card.await_interrupt(vector)
        before = card.core.counters()["interrupts"]
        assert not any(card.interrupts(other) for other in range(4))

        choose_vector(card, RX, NO_VECTOR)
        receives(card, rx, 10 + number)
        wait_for(lambda b=before: card.core.counters()["interrupts"] > b, "vhost's word")
        assert not any(card.interrupts(other) for other in range(4))
    assert card.counter("vhost_rings") == 2


def test_change_of_the_vector_loses_no_interrupt(card: Card) -> None:
    rx, _tx = card.start()
    card.fill(rx)
    with card.stuck():
        card.driver.set("queue_select", RX)
        card.driver.set("queue_msix_vector", 3)
        receives(card, rx, 1)  # vhost does not know of it yet
    card.await_interrupt(3)


def test_interrupts_go_to_the_pin_while_vectors_are_off(card: Card) -> None:
    rx, _tx = card.start()
    card.fill(rx)
    for number in range(4):
        turn_vectors(card, 0)
        card.driver.isr()
        receives(card, rx, number)
        wait_for(lambda: card.driver.isr() & 1, "the interrupt's status")
        turn_vectors(card, MSIX_ENABLE)
        receives(card, rx, 10 + number)
        card.await_interrupt(RX + 1)
    assert card.counter("vhost_rings") == 2


def test_masked_vector_is_pending(card: Card) -> None:
    rx, _tx = card.start()  # no vector was unmasked
    card.fill(rx)
    receives(card, rx, 1)
    wait_for(lambda: card.bar(REGISTERS, PENDING, 8) >> (RX + 1) & 1, "the pending bit")


def test_word_of_vhost_is_passed_on_before_a_pause() -> None:
    with Card(msix=False) as card:
        rx, _tx = card.start()
        card.fill(rx)
        with card.stuck():
            card.driver.isr()
            lib.virtio_ask_pause(card.core.pointer)  # which the loop sees first
            receives(card, rx, 1)
        await_rings(card, 0)
        wait_for(lambda: card.driver.isr() & 1, "the interrupt's status")
