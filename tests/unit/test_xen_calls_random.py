"""Random hypercalls over the whole table: each gets a result or one of Xen's errors, and no more.

Numbers, operations and structures are drawn from what means something to some call (ports, vCPUs,
domains, frames, pointers, counts at their limits) more often than not, so that calls are refused
late as well as early. That they come that far is counted and asserted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest

from vmm.bus import MMIO_LIMIT, Bus
from vmm.loop import IoLoop
from vmm.memory import GuestMemory
from vmm.native import lib
from vmm.xen import abi, hypercalls
from vmm.xen.abi import Again, XenError
from vmm.xen.call import Call
from vmm.xen.domain import XenDomain
from vmm.xen.schedop import Shutdown

CASES = 12_000
RAM, SCRATCH, ABSENT = 4 << 20, 1 << 20, 3 << 20  # the page at ABSENT is mapped nowhere
VCPUS = 3
REPEATS = 20  # of one call, which goes on where it was
ERRORS = {
    abi.EPERM, abi.ENOENT, abi.ESRCH, abi.ENXIO, abi.ENOMEM, abi.EACCES, abi.EFAULT, abi.EEXIST,
    abi.EINVAL, abi.ENOSPC, abi.ENOSYS, abi.ETIME, abi.EOPNOTSUPP,
}  # fmt: skip
POINTERS = (
    *(SCRATCH + 8 * n for n in range(8)), 0, ABSENT, ABSENT - 4, RAM - 8, RAM - 1, RAM, 1 << 40,
    (1 << 32) - 4, (1 << 64) - 4,
)  # fmt: skip
VALUES = (
    0, 0, 0, 1, 1, 2, 3, 4, 5, 9, 15, 16, 23, 24, 31, 32, 64, 65, 77, 127, 128, 129, 1000, 1023,
    1024, 4095, 4096, 0x7FF0, 0x7FF0, 0x7FF1, 0xFFFF, 1 << 26, 1 << 31, (1 << 32) - 1, 1 << 40,
    1 << 62, 1 << 63, (1 << 64) - 1, *POINTERS,
)  # fmt: skip


class Namespace:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Vcpu:
    """Linear addresses are physical ones, but for a page that is missing."""

    def translate(self, linear: int) -> int | None:
        return linear if linear < 1 << 41 and linear & -abi.PAGE != ABSENT else None

    def get_regs(self) -> Any:
        return Namespace(rflags=1 << 9)

    def get_mp_state(self) -> int:
        return int(lib.KVM_MP_STATE_RUNNABLE)

    def set_mp_state(self, state: int) -> None: ...
    def nmi(self) -> None: ...
    def flush_tlb(self) -> None: ...


class Backend:
    """Takes everything. What it was told last is of no interest here."""

    features, has_update_flag = abi.FEATURES, True
    pirqs = Namespace(
        bind_gsi=lambda *_a: None,
        bind_message=lambda *_a: None,
        set_level=lambda *_a: None,
        eoi=lambda _gsi: None,
    )

    def __init__(self) -> None:
        self._wide, self._ns = True, 10**9

    def wide(self) -> bool:
        return self._wide

    def set_wide(self, wide: bool) -> None:
        self._wide = wide

    def now(self) -> int:
        self._ns += 1000
        return self._ns

    def vcpu_runstate_times(self, _vcpu: object) -> tuple[int, int, tuple[int, ...]]:
        return 0, self._ns, (self._ns, 0, 0, 0)

    def __getattr__(self, name: str) -> Any:
        return lambda *_arguments: True


class Rig:
    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.memory, self.loop = GuestMemory(RAM), IoLoop()
        context: Any = Namespace(
            memory=self.memory, loop=self.loop, mmio=Bus("address", MMIO_LIMIT), upcalls=[],
            config=Namespace(xen_pirqs="all"),
        )  # fmt: skip
        version = self.dice.choice([4 << 16 | 16, 4 << 16 | 17, 4 << 16 | 18])
        backend: Any = Backend()
        self.domain = XenDomain(backend, context, VCPUS, version)
        vcpu: Any = Vcpu()
        for _ in range(VCPUS):
            self.domain.add_vcpu(vcpu, None)
        self.results: dict[tuple[str, int], set[int]] = {}

    def close(self) -> None:
        self.domain.close()
        self.loop.close()
        self.memory.close()

    def structure(self) -> bytes:
        """A few words of a few sizes."""
        parts = []
        for _ in range(self.dice.randrange(1, 12)):
            shape, bits = self.dice.choice([("<H", 16), ("<I", 32), ("<I", 32), ("<Q", 64)])
            parts.append(pack(shape, self.dice.choice(VALUES) & (1 << bits) - 1))
        return b"".join(parts)

    def call(self) -> Call:
        dice = self.dice
        number = dice.choice([*hypercalls.TABLE, abi.MULTICALL, dice.randrange(70)])
        operations = list(hypercalls.TABLE.get(number, ("", {0: None}, 0))[1])
        first = dice.choice(operations) if dice.random() < 0.9 else dice.choice(VALUES)
        if number == abi.MULTICALL:
            first = dice.choice(POINTERS)
        params = [first, *(dice.choice((*POINTERS, dice.choice(VALUES))) for _ in range(5))]
        if dice.random() < 0.5:  # vcpu_op, grant_table_op: a number, or one of them
            params[1], params[2] = dice.choice([(0, SCRATCH), (1, SCRATCH), (SCRATCH, 1)])
        wide = dice.random() < 0.6
        mask = (1 << (64 if wide else 32)) - 1
        registers = Namespace(number=number, params=[p & mask for p in params], longmode=wide)
        vcpu: Any = Vcpu()
        return Call(dice.randrange(VCPUS), vcpu, self.domain.memory, registers)

    def make(self) -> None:
        for at in {SCRATCH, self.dice.choice(POINTERS[:8])}:
            self.memory.write(at, self.structure())
        call = self.call()
        group, operations, mask = hypercalls.TABLE.get(call.number, ("other", {}, 0))
        key = (group, call.params[0] & mask) if operations else (group, 0)
        result = self.answer(call)
        assert 0 <= result < 1 << 63 or -result in ERRORS, (call.number, call.params)
        self.results.setdefault(key, set()).add(min(result, 0))

    def answer(self, call: Call) -> int:
        """The result, or an error below 0."""
        for _ in range(REPEATS):
            try:
                return hypercalls.answer(self.domain, call)
            except XenError as refused:
                return -refused.number
            except Shutdown:
                return 0
            except Again as again:
                params = (*again.params, *call.params[len(again.params) :])
                call = call.another(call.number, tuple(p & call.mask for p in params))
        return 0  # it would go on for long yet, with all else between

    def check(self) -> None:
        """What holds between any two calls."""
        domain = self.domain
        with domain.lock:
            opened = dict(domain.ports)
        assert all(0 < number < lib.EVTCHN_PORTS64 for number in opened)
        assert all(port.vcpu < VCPUS for port in opened.values())
        assert 0 <= domain.reservation.given_back <= domain.reservation.total


@pytest.fixture(params=[1, 2, 3])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(request.param)
    yield rig
    rig.close()


def test_random_calls_end_with_a_result_or_an_error_of_xens(rig: Rig) -> None:
    for number in range(CASES // 3):
        rig.make()
        if not number % 100:
            rig.check()
        if not number % 700:
            rig.domain.soft_reset()

    known = {(group, op) for group, ops, _mask in hypercalls.TABLE.values() for op in ops}
    reached = set(rig.results)
    assert not known - reached
    late = [key for key in known if len(rig.results[key]) > 1 or 0 in rig.results[key]]
    assert len(late) > 0.8 * len(known), sorted(known - set(late))
