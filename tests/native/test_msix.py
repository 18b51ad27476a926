"""core/pci/msix.c against its twin, and its states.

Without KVM, the test takes the counts of the eventfds that KVM would take.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.native.devrig import DeviceRig
from tests.native.twins.msix import MsixTwin
from vmm.context import DeviceContext
from vmm.errors import StateError
from vmm.irq import IrqRouter
from vmm.native import ffi, lib
from vmm.pci.msix import Msix

TABLE, PBA = 0xE000_0000, 0xE001_0000
LAPIC, DATA = 0xFEE0_1000, 0x4021
CONTROL = 12


def build(vectors: int) -> Any:
    def create(context: DeviceContext) -> Msix:
        device = Msix("msix", context.router, -1, vectors)
        device.claims = (
            ("mmio", TABLE, device.table_size, lib.MSIX_TABLE),
            ("mmio", PBA, device.pba_size, lib.MSIX_PBA),
        )
        return device

    return create


class Kvm:
    """A rig with the device, and KVM's part: taking the counts of live vectors' eventfds."""

    def __init__(self, vectors: int) -> None:
        self.rig = DeviceRig(build(vectors))
        self.device: Msix = self.rig.device
        self.first_gsi = 24

    def taken(self, live: list[int]) -> set[int]:
        return {vector for vector in live if take(self.device.fd(vector))}

    def routes(self) -> dict[int, tuple[int, int]]:
        entries = self.rig.context.router.entries()
        return {
            gsi - self.first_gsi: (address, data)
            for gsi, _kind, address, data in entries
            if gsi >= self.first_gsi
        }


def take(fd: int) -> int:
    try:
        return int.from_bytes(os.read(fd, 8), "little")
    except BlockingIOError:
        return 0


@pytest.fixture
def kvm() -> Iterator[Kvm]:
    made = Kvm(4)
    with made.rig:
        yield made


def unmask(kvm: Kvm, vector: int, address: int = LAPIC, data: int = DATA) -> None:
    kvm.rig.write(lib.MSIX_TABLE, 16 * vector, address, 8)
    kvm.rig.write(lib.MSIX_TABLE, 16 * vector + 8, data, 4)
    kvm.rig.write(lib.MSIX_TABLE, 16 * vector + CONTROL, 0, 4)


def enable(kvm: Kvm, *, function_mask: bool = False) -> None:
    lib.msix_control(kvm.device.pointer, True, function_mask)


def random_step(rng: random.Random, kvm: Kvm, twin: MsixTwin) -> None:
    draw, vectors = rng.random(), twin.vectors
    if draw < 0.35:
        region, size = rng.choice((0, 0, 0, 1)), rng.choice((1, 2, 4, 4, 4, 8))
        most = kvm.device.pba_size if region else kvm.device.table_size
        offset = rng.randrange(most - size + 1) & ~(rng.choice((0, 3)) and size - 1)
        value = rng.choice((0, 1, 3, LAPIC, LAPIC + 0xFFC, 0xFEC0_0000, rng.getrandbits(64)))
        value &= (1 << 8 * size) - 1
        assert kvm.rig.write(region, offset, value, size) == twin.write(region, offset, value, size)
    elif draw < 0.6:
        vector = rng.randrange(vectors)
        for word, value in ((0, LAPIC + 4 * rng.randrange(99)), (8, rng.randrange(999)), (12, 0)):
            kvm.rig.write(0, 16 * vector + word, value, 4)
            twin.write(0, 16 * vector + word, value, 4)
    elif draw < 0.9:
        vector = rng.randrange(vectors + 1) if rng.random() < 0.9 else 0xFFFF
        kvm.device.fire(vector)
        twin.fire(vector)
    elif draw < 0.99:
        enabled, mask = rng.random() < 0.8, rng.random() < 0.3
        lib.msix_control(kvm.device.pointer, enabled, mask)
        twin.control(enabled, mask)
    else:
        kvm.device.reset()
        twin.reset()


@pytest.mark.parametrize("vectors", [1, 3, 64, 70])
@pytest.mark.parametrize("seed", range(5))
def test_vectors_agree_with_the_twin(seed: int, vectors: int) -> None:
    rng, kvm, twin = random.Random(seed), Kvm(vectors), MsixTwin(vectors)

    with kvm.rig:
        for _step in range(400):
            random_step(rng, kvm, twin)
            assert kvm.taken(twin.live()) == twin.take_delivered()
            assert kvm.device.pending() == twin.fired
            routes = kvm.routes()
            assert {n: routes.get(n) for n in twin.live()} == twin.routes()
            size = rng.choice((1, 2, 4, 8))
            for region, most in ((0, kvm.device.table_size), (1, kvm.device.pba_size)):
                offset = rng.randrange(most - size + 1)
                assert kvm.rig.read(region, offset, size) == twin.read(region, offset, size)
            assert kvm.rig.save() == twin.save()


def test_vector_fired_while_masked_arrives_when_unmasked(kvm: Kvm) -> None:
    enable(kvm)
    kvm.device.fire(2)

    assert kvm.rig.read(lib.MSIX_PBA, 0, 8) == 1 << 2
    unmask(kvm, 2)

    assert kvm.rig.read(lib.MSIX_PBA, 0, 8) == 0
    assert take(kvm.device.fd(2))
    assert kvm.routes() == {2: (LAPIC, DATA)}


def test_function_mask_holds_back_all_vectors(kvm: Kvm) -> None:
    enable(kvm, function_mask=True)
    for vector in range(4):
        unmask(kvm, vector)
        kvm.device.fire(vector)

    assert kvm.device.pending() == {0, 1, 2, 3}
    enable(kvm)
    assert kvm.taken([0, 1, 2, 3]) == {0, 1, 2, 3}


def test_mask_change_of_one_vector_commits_the_table_once(kvm: Kvm) -> None:
    enable(kvm)
    before = kvm.rig.context.router.commits()

    unmask(kvm, 1)
    kvm.rig.write(lib.MSIX_TABLE, 16 + CONTROL, 1, 4)
    kvm.rig.write(lib.MSIX_TABLE, 16 + CONTROL, 0, 4)

    assert kvm.rig.context.router.commits() == before + 1


@pytest.mark.parametrize("address", [0x1000, 0xFEC0_0000, 0x01_FEE0_0000])
def test_message_that_is_no_interrupt_is_refused_and_counted(kvm: Kvm, address: int) -> None:
    enable(kvm)
    unmask(kvm, 0, address)
    kvm.device.fire(0)

    assert kvm.routes() == {}
    assert kvm.device.counters() == {"msix_failures": 1}
    unmask(kvm, 0)
    assert take(kvm.device.fd(0))  # as soon as the driver gives a message that is one


def test_what_lies_outside_of_words_is_ignored(kvm: Kvm) -> None:
    for offset, size in ((0, 1), (0, 2), (2, 4), (4, 8), (12, 1)):
        kvm.rig.write(lib.MSIX_TABLE, offset, (1 << 8 * size) - 1, size)
    kvm.rig.write(lib.MSIX_PBA, 0, 0xFF, 8)

    assert [kvm.rig.read(lib.MSIX_TABLE, at, 4) for at in (0, 4, 8, 12)] == [0, 0, 0, 1]
    assert kvm.rig.read(lib.MSIX_PBA, 0, 8) == 0


def test_state_goes_to_another_device_with_what_is_pending(kvm: Kvm) -> None:
    enable(kvm)
    unmask(kvm, 0)
    kvm.device.fire(3)
    saved = kvm.device.save()

    with DeviceRig(build(4)) as other:
        other.device.load(saved)
        assert other.device.save() == saved
        assert other.device.pending() == {3}
        other.device.fire(0)
        assert take(other.device.fd(0))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"vectors": 5},
        {"enabled": 2},
        {"function_mask": 7},
        {"table": [1, 0, 0, 0] + [0] * 12},
        {"table": [0, 0, 0, 2] + [0] * 12},
        {"table": [0] * 17},
        {"table": [0] * 9000},
        {"table": 5},
        {"pending": [0x10]},
        {"pending": [0, 1]},
    ],
)
def test_state_that_cannot_be_is_refused(kvm: Kvm, change: dict[str, Any]) -> None:
    before = kvm.device.save()
    if change == {"table": [0] * 17}:
        change = {"table": [0] * 16 + [4]}

    with pytest.raises(StateError, match="saved state of msix does not fit"):
        kvm.device.load({**before, **change})

    assert kvm.device.save() == before


def test_reset_forgets_messages_and_what_was_pending(kvm: Kvm) -> None:
    fresh = kvm.device.save()
    enable(kvm)
    unmask(kvm, 1)
    kvm.device.fire(2)

    kvm.device.reset()

    assert kvm.device.pending() == set()
    assert kvm.device.save() == fresh
    assert take(kvm.device.fd(2)) == 0


def test_another_sink_gets_messages_instead_of_kvm(kvm: Kvm) -> None:
    calls: list[tuple[int, int, int, bool]] = []

    @ffi.callback("void(void *, uint32_t, uint64_t, uint32_t, bool)")
    def changed(_opaque: object, vector: int, address: int, data: int, masked: bool) -> None:
        calls.append((vector, address, data, masked))

    lib.msix_set_sink(kvm.device.pointer, ffi.new("struct msix_sink *", {"changed": changed})[0])
    enable(kvm)
    calls.clear()
    unmask(kvm, 2)
    kvm.device.fire(2)
    kvm.rig.write(lib.MSIX_TABLE, 32 + CONTROL, 1, 4)

    assert calls == [(2, LAPIC, DATA, False), (2, LAPIC, DATA, True)]
    assert kvm.routes() == {}


def test_mask_of_a_vector_is_no_concern_of_its_pirq(kvm: Kvm) -> None:
    """A guest with PIRQs masks event channels, and never clears the bit that reset has set."""
    router, pirq = kvm.rig.context.router, 0xA5
    router.use_pirqs()
    router.set_pirq(pirq, 9, 0)
    enable(kvm)
    for vector, data in ((0, 0x700), (1, 0x751)):  # vector 0 names it
        kvm.rig.write(lib.MSIX_TABLE, 16 * vector, 0xFEE0_0000 | pirq << 12, 4)
        kvm.rig.write(lib.MSIX_TABLE, 16 * vector + 8, data, 4)
        kvm.device.fire(vector)

    assert kvm.device.pending() == {1}
    assert kvm.routes()[0] == (9, 0)
    lib.msix_control(kvm.device.pointer, True, True)
    assert kvm.device.pending() == {0, 1}


def test_closing_gives_gsis_and_descriptors_back() -> None:
    router = IrqRouter(None, split=False)
    before = sorted(os.listdir("/proc/self/fd"))

    for _ in range(3):
        device = Msix("nic", router, -1, 2000)
        device.close()

    assert sorted(os.listdir("/proc/self/fd")) == before
    assert router.alloc_gsi() == 24
