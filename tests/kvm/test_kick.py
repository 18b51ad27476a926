"""Kick, pause and stop without lost wake-ups, on a real vCPU that does nothing but exits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.threadkit import thread_name
from vmm.boot import EntryState
from vmm.bus import MMIO_LIMIT, PIO_LIMIT, Bus
from vmm.gate import Gate
from vmm.kvm.regs import enter
from vmm.kvm.system import System
from vmm.memory import GuestMemory
from vmm.native import PyDevice, ffi, lib, made
from vmm.vcpu import Vcpu

pytestmark = pytest.mark.needs("kvm")

CYCLES = 10_000
# mov dx, 0x99; again: in al, dx; out 0x98, al; jmp again
EXITS = bytes.fromhex("ba9900 ec e698 ebfb")
# mov ax, 0xffff; mov ds, ax; mov [0x100e], eax: four bytes at 0x100ffe, over the end of a page
CROSS = bytes.fromhex("b8ffff 8ed8 66a30e10 ebfe")
# again: jmp again
SPIN = bytes.fromhex("ebfe")


class Rig:
    """One real-mode vCPU at 0x7c00 with `code`, and nothing else."""

    def __init__(self, code: bytes) -> None:
        self.system = System()
        self.vm = self.system.create_vm()
        self.memory = GuestMemory(1 << 20)
        self.memory.attach(self.vm)
        self.vm.set_tss_addr(0xFEFFD000)
        self.vm.create_irqchip()
        self.pio, self.mmio = Bus("port", PIO_LIMIT), Bus("address", MMIO_LIMIT)
        core = lib.vmcore_create(self.vm.fd.number, self.pio.pointer, self.mmio.pointer)
        buses = (self.pio.pointer, self.mmio.pointer)
        self.core = made(core, lib.vmcore_destroy, "the vCPUs' shared part", *buses)
        lib.vcpu_kick_signal_init()
        self.memory.write(0x7C00, code)
        kvm = self.vm.create_vcpu(0)
        enter(kvm, EntryState(mode="real16", rip=0x7C00, regs={}))
        self.vcpu = Vcpu(kvm, self.core, self.vm.vcpu_mmap_size, 0)
        self.failures: list[BaseException] = []
        self.vcpu.on_failure = self.failures.append
        self.gate = Gate(1)

    def start(self) -> None:
        self.vcpu.start(self.gate)
        self.gate.open()

    def stop(self) -> None:
        self.gate.stop()
        self.vcpu.kick()
        self.vcpu.join()

    def close(self) -> None:
        self.vcpu.close()
        ffi.release(self.core)
        self.vm.close()
        self.memory.close()
        self.system.close()


@pytest.fixture(params=[EXITS, SPIN], ids=["exiting", "spinning"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    made_rig = Rig(request.param)
    made_rig.start()
    yield made_rig
    made_rig.stop()
    made_rig.close()
    assert not made_rig.failures


def test_ten_thousand_pauses_each_find_the_vcpu_parked(rig: Rig) -> None:
    load = threading.Event()
    busy = threading.Thread(target=_burn, args=(load,))
    busy.start()

    for _cycle in range(CYCLES // 2):
        rig.gate.close(rig.vcpu.kick)
        assert rig.gate.parked == 1
        rig.gate.open()
        while rig.gate.parked:  # the next pause must find it on its way into the guest, or there
            time.sleep(0)

    load.set()
    busy.join()


def _burn(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(1000))
        time.sleep(0)


def test_commands_run_on_the_vcpu_thread_in_order(rig: Rig) -> None:
    seen: list[tuple[int, str]] = []

    def note(n: int) -> None:
        seen.append((n, thread_name()))

    commands = [rig.vcpu.post(lambda n=n: note(n), rig.gate) for n in range(500)]
    for command in commands:
        command.wait()

    assert seen == [(n, "vcpu0") for n in range(500)]


def test_registers_read_by_a_command_show_a_finished_access(rig: Rig) -> None:
    for _round in range(200):
        rip = rig.vcpu.post(lambda: rig.vcpu.kvm.get_regs().rip, rig.gate).wait()
        assert 0x7C00 <= rip <= 0x7C08


def test_an_exception_in_a_command_reaches_who_waits() -> None:
    rig = Rig(SPIN)
    rig.start()

    def fail() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        rig.vcpu.post(fail, rig.gate).wait()
    rig.stop()
    with pytest.raises(Exception, match="has stopped"):
        rig.vcpu.post(fail, rig.gate).wait()
    rig.close()


def test_a_python_device_failure_comes_out_of_the_run_loop() -> None:
    class Broken:
        def read(self, region: int, offset: int, size: int) -> int:
            raise OSError("broken register")

        def write(self, region: int, offset: int, size: int, value: int) -> None:
            return None

    rig, device = Rig(EXITS), PyDevice(Broken())
    rig.pio.claim(0x99, 1, device.dev, "broken", keep=device)
    ended = threading.Event()
    events: list[int] = []

    def on_event(_vcpu: Vcpu, event: object) -> None:
        events.append(event.kind)  # type: ignore[attr-defined]
        rig.gate.hold(0)
        ended.set()

    rig.vcpu.on_event = on_event
    rig.start()
    ended.wait(10)
    rig.stop()

    assert events == [lib.VCPU_UPCALL_FAILED]
    assert isinstance(device.take_parked(), OSError)
    rig.close()


def test_a_failure_in_the_second_half_of_an_access_comes_out_also_when_a_command_completes_it() -> (
    None
):
    class Halves:
        rig: Rig

        def read(self, region: int, offset: int, size: int) -> int:
            return 0

        def write(self, region: int, offset: int, size: int, value: int) -> None:
            if offset >= 2:
                raise OSError("broken second half")
            self.rig.vcpu.post(lambda: None, self.rig.gate)

    halves, rig = Halves(), Rig(CROSS)
    halves.rig, device = rig, PyDevice(halves)
    rig.mmio.claim(0x100FFE, 4, device.dev, "halves", keep=device)
    ended = threading.Event()
    events: list[int] = []

    def on_event(_vcpu: Vcpu, event: object) -> None:
        events.append(event.kind)  # type: ignore[attr-defined]
        ended.set()

    rig.vcpu.on_event = on_event
    rig.start()
    assert ended.wait(10)
    rig.stop()

    assert events == [lib.VCPU_UPCALL_FAILED]
    assert isinstance(device.take_parked(), OSError)
    rig.close()
