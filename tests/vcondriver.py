"""The driver of a virtio console as Linux's behaves, played over any transport.

The transport is somebody with `driver` (probe, notify), `arena` and `core`: tests/native/virtiorig.
`work()` is what the kernel's control work item does: it takes messages and answers them. Ports have
read() and write() as their character devices do, without waiting.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Any

from tests.virtiodriver import Arena, Chain, DriverRing
from tests.virtiopci import wait_for

DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME = range(
    8
)
SIZE, MULTIPORT, EMERG_WRITE = 1 << 0, 1 << 1, 1 << 2
PAGE = 4096
HEADER = struct.Struct("<IHH")


class Reusable:
    """Buffers of one length in guest memory, handed out again once they came back."""

    def __init__(self, arena: Arena, length: int) -> None:
        self.arena, self.length = arena, length
        self.free: list[int] = []

    def take(self) -> int:
        return self.free.pop() if self.free else self.arena.alloc(self.length)


class GuestPort:
    """One port in the guest: `name`, `host_connected`, `console`, `window` as it was told."""

    def __init__(self, guest: GuestConsole, number: int) -> None:
        self.guest, self.number = guest, number
        self.name = ""
        self.console = self.host_connected = self.guest_connected = False
        self.window: tuple[int, int] | None = None  # the two numbers in the order they came
        self.opens: list[int] = []  # every PORT_OPEN that came
        first = 2 + 2 * number if number else 0
        self.rx_queue, self.tx_queue = first, first + 1
        self.rx, self.tx = guest.rings[self.rx_queue], guest.rings[self.tx_queue]
        self.reading = True  # else buffers with input are left where they are
        self.input = bytearray()
        self.written: list[int] = []  # lengths of the buffers that came back with input

    def fill(self, count: int | None = None) -> None:
        """Gives the device pages for input, `count` or as many as the ring takes."""
        room = len(self.rx.free) if count is None else count
        for _ in range(room):
            self.rx.add_chain(Chain([], [(self.guest.pages.take(), PAGE)]))
        if self.rx.publish():
            self.guest.notify(self.rx_queue)

    def poll(self) -> None:
        """Takes in what the device has used, on both queues."""
        used = self.rx.collect() if self.reading else []
        for done in used:
            self.input += done.data
            self.written.append(done.written)
            self.guest.pages.free.append(done.chain.into[0][0])
        if used:
            self.fill(len(used))
        for done in self.tx.collect():
            self.guest.pages.free += [gpa for gpa, _length in done.chain.out]

    def write(self, data: bytes, piece: int = PAGE) -> int:
        """Puts out as much as the ring takes, a chain for each piece; how many bytes that were."""
        at = 0
        self.poll()
        while at < len(data) and self.tx.free:
            part = data[at : at + min(piece, PAGE)]
            page = self.guest.pages.take()
            self.guest.memory.write(page, part)
            self.tx.add_chain(Chain([(page, len(part))], []))
            at += len(part)
        if self.tx.publish():
            self.guest.notify(self.tx_queue)
        return at

    def write_all(self, data: bytes, piece: int = PAGE) -> None:
        at = 0

        def go_on() -> bool:
            nonlocal at
            at += self.write(data[at:], piece)
            return at == len(data)

        wait_for(go_on, f"room for {len(data)} bytes")

    def drain(self) -> None:
        """Returns when everything written was taken."""

        def empty() -> bool:
            self.poll()
            return not self.tx.chains

        wait_for(empty, "output to be taken")

    def read(self, length: int) -> bytes:
        """Exactly so many bytes, waiting for them."""

        def enough() -> bool:
            self.poll()
            return len(self.input) >= length

        wait_for(enough, f"{length} bytes of input")
        data = bytes(self.input[:length])
        del self.input[:length]
        return data

    def open(self) -> None:
        self.guest_connected = True
        self.guest.say(self.number, PORT_OPEN, 1)

    def close(self) -> None:
        """As Linux: input that nobody read is thrown away."""
        self.guest_connected = False
        self.guest.say(self.number, PORT_OPEN, 0)
        self.poll()
        self.input.clear()

    def take_back(self) -> None:
        """Takes back what the device has not used; the available index moves: an unplugged port."""
        self.poll()
        for ring in (self.rx, self.tx):
            for chain in ring.chains.values():
                ring.free += reversed(chain.descriptors)
                self.guest.pages.free += [gpa for gpa, _ in (*chain.out, *chain.into)]
            ring.chains.clear()
            ring.avail_idx = ring.published = ring.used_idx
            ring.set_avail_idx(ring.used_idx)


class GuestConsole:
    """The device as its driver has it. decline: features that the driver does not take."""

    def __init__(self, rig: Any, decline: int = 0) -> None:
        self.rig, self.driver = rig, rig.driver
        self.arena: Arena = rig.arena
        self.memory = self.arena.memory
        self.pages = Reusable(self.arena, PAGE)
        self.lock = threading.RLock()  # the driver's ring locks, all in one
        self.ports: dict[int, GuestPort] = {}
        self.log: list[tuple[int, int, int, bytes]] = []  # every message that came
        self.unknown: list[tuple[int, int]] = []  # about ports that are not there
        self.rings: list[DriverRing] = self.driver.probe(self.arena, decline)
        self.multiport = bool(self.driver.features & MULTIPORT)
        if self.multiport:
            self.start()
        else:
            self.ports[0] = GuestPort(self, 0)
            self.ports[0].fill()

    def start(self) -> None:
        """What follows DRIVER_OK with ports: buffers for messages, and readiness."""
        self.control_rx, self.control_tx = self.rings[2], self.rings[3]
        with self.lock:
            for _ in range(self.control_rx.size):
                self.control_rx.add([], [PAGE])
            if self.control_rx.publish():
                self.notify(2)
        self.say(0xFFFFFFFF, DEVICE_READY, 1)

    def notify(self, queue: int) -> None:
        self.driver.notify(queue)

    # --- control

    def say(self, number: int, event: int, value: int = 1) -> None:
        self.send(HEADER.pack(number, event, value))

    def send(self, packet: bytes) -> None:
        """Puts a packet on the control queue and waits until it was taken, as Linux does."""
        with self.lock:
            chain = self.control_tx.add([packet] if packet else [], [] if packet else [8])
            if self.control_tx.publish():
                self.notify(3)

            def taken() -> bool:
                self.control_tx.collect()
                return chain.head not in self.control_tx.chains

            wait_for(taken, "a control packet to be taken")

    def work(self) -> int:
        """Handles the messages that are there; how many."""
        with self.lock:
            used = self.control_rx.collect()
            for done in used:
                self.handle(done.data)
                self.control_rx.add_chain(done.chain)
            if used and self.control_rx.publish():
                self.notify(2)
            return len(used)

    def handle(self, message: bytes) -> None:
        number, event, value = HEADER.unpack_from(message)
        body = message[HEADER.size :]
        self.log.append((number, event, value, body))
        port = self.ports.get(number)
        if event == PORT_ADD:
            if port is None:
                self.add(number)
            self.say(number, PORT_READY, 1)
        elif port is None:
            self.unknown.append((number, event))
        else:
            self.tell(port, event, value, body)

    def add(self, number: int) -> None:
        port = self.ports[number] = GuestPort(self, number)
        port.fill()

    def tell(self, port: GuestPort, event: int, value: int, body: bytes) -> None:
        if event == PORT_REMOVE:
            del self.ports[port.number]
            port.take_back()
        elif event == CONSOLE_PORT:
            port.console = True
            port.open()
        elif event == PORT_NAME:
            port.name = port.name or body.decode()
        elif event == RESIZE:
            first, second = struct.unpack("<HH", body)
            port.window = first, second
        elif event == PORT_OPEN:
            port.host_connected = bool(value)
            port.opens.append(value)

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Works until the condition holds."""

        def try_it() -> object:
            self.work()
            return condition()

        wait_for(try_it, what)

    def port(self, name: str) -> GuestPort:
        """The port of that name, once it is there and said to be connected or not."""
        found: list[GuestPort] = []

        def look() -> bool:
            found[:] = [port for port in self.ports.values() if port.name == name]
            return bool(found)

        self.until(look, f"port {name}")
        return found[0]

    def open(self, name: str) -> GuestPort:
        port = self.port(name)
        with self.lock:
            port.open()
        return port
