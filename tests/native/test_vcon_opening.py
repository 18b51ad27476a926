"""A console's ports that are opened and closed at either end; numbers as in docs/console.md."""

from __future__ import annotations

import random

from tests.native.vconrig import MakeRig, pour, receive, serial
from tests.virtiopci import wait_for
from vmm.layout import KIB, MIB


def test_01_opening_and_closing_by_the_guest_is_known(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    for _ in range(5):
        port.open()
        wait_for(lambda: rig.console.ports[1].guest_open)
        port.close()
        wait_for(lambda: not rig.console.ports[1].guest_open)
    changes = [fields["guest-open"] for name, fields in rig.events if name == "PORT_CHANGE"]
    assert set(changes) == {True, False}


def test_03_06_the_guest_hears_of_the_hosts_end(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.open("a")
    assert not port.host_connected
    for n in range(1, 4):
        with rig.connect("a.sock"):
            guest.until(lambda: port.host_connected)
        guest.until(lambda: not port.host_connected)
        assert port.opens == [1, 0] * n


def test_06_output_to_a_host_that_left_does_not_hold_the_writer(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port, peer = rig.joined(guest, "a")
    port.write(b"w" * (300 * KIB))  # more than the socket takes
    peer.close()
    port.drain()
    guest.until(lambda: not port.host_connected)
    assert rig.count("a_tx_discarded") > 0
    with rig.connect("a.sock") as peer:
        guest.until(lambda: port.host_connected)
        port.write_all(b"again")
        assert receive(peer, 5) == b"again"


def test_10_what_the_host_sends_before_the_guest_opens_is_not_lost(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    data = random.Random(10).randbytes(MIB)
    with rig.connect("a.sock") as peer:
        sending = pour(peer, data)
        rig.settle()
        assert not port.written
        port.open()
        assert port.read(len(data)) == data
        sending.join()


def test_10_last_words_come_before_the_end(make_rig: MakeRig) -> None:
    rig = make_rig(*serial("a"))
    guest = rig.guest()
    port = guest.port("a")
    with rig.connect("a.sock") as peer:
        guest.until(lambda: port.host_connected)
        peer.sendall(b"last words")
    port.open()
    assert port.read(10) == b"last words"
    guest.until(lambda: not port.host_connected)
