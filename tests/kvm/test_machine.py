"""The machine's lifecycle with real vCPUs: pause, resume, reset, stop, save and load."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests import guests
from tests.threadkit import thread_count, thread_name
from vmm import layout, sentences
from vmm.coalesce import Coalesce
from vmm.config import VmConfig
from vmm.devices.ports import BootMarks
from vmm.errors import GuestCrash, StateError
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm")

COUNTERS = 0x400000  # guests/kick: magic, CPUs running, a counter per CPU
CYCLES = 10_000
RESETS = 100
LEVEL, REMOTE_IRR = 1 << 15, 1 << 14  # of a redirection entry
ISR, TMR, IRR = 0x100, 0x180, 0x200  # of a local APIC


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    guests.build()


def config(name: str, **more: object) -> VmConfig:
    settings: dict[str, object] = {"kernel": str(guests.BUILD / name), "mem": "32M"}
    settings |= {"consoles": ["null"], "debug_exit": True, "testdev": True, "timeout": "120"}
    return VmConfig.of(**(settings | more))


def counters(machine: Machine, cpus: int) -> list[int]:
    data = machine.hardware.memory.read(COUNTERS + 16, 8 * cpus)
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, 8 * cpus, 8)]


def wait_running(machine: Machine, cpus: int) -> None:
    give_up = time.monotonic() + 60
    while int.from_bytes(machine.hardware.memory.read(COUNTERS + 8, 8), "little") < cpus:
        assert time.monotonic() < give_up, "the guest's CPUs did not come up"
        time.sleep(0.01)


@pytest.mark.parametrize("irqchip", ["kernel", "split"])
def test_paused_means_standing_still_and_resumed_means_moving(irqchip: str) -> None:
    with Machine(config("kick.elf", cpus=2, append="cpus=2", irqchip=irqchip)) as machine:
        machine.start()
        wait_running(machine, 2)
        for _round in range(20):
            machine.pause()
            still = counters(machine, 2)
            time.sleep(0.005)
            assert counters(machine, 2) == still
            machine.resume()
            while any(now == was for now, was in zip(counters(machine, 2), still, strict=True)):
                time.sleep(0.001)
        machine.stop()
        assert machine.wait(60).cause == "stopped"


def test_ten_thousand_kicks_pauses_and_resumes_lose_no_wakeup() -> None:
    rng = random.Random(1)
    with Machine(config("kick.elf", cpus=2, append="cpus=2 exits")) as machine:
        machine.start()
        wait_running(machine, 2)
        for cycle in range(CYCLES):
            what = cycle % 4
            if what == 0:
                machine.pause()
                machine.resume()
            elif what == 1:
                rng.choice(machine.hardware.vcpus).kick()
            elif what == 2:
                vcpu = rng.choice(machine.hardware.vcpus)
                assert machine.on_vcpu(vcpu, thread_name) == f"vcpu{vcpu.id}"
            elif rng.random() < 0.01:
                time.sleep(0.001)
        machine.stop()
        assert machine.wait(60).cause == "stopped"


@pytest.mark.parametrize("irqchip", ["kernel", "split"])
def test_a_hundred_resets_in_place_each_start_the_guest_afresh(irqchip: str) -> None:
    with Machine(config("kick.elf", cpus=2, append="cpus=2", irqchip=irqchip)) as machine:
        machine.start()
        for _round in range(RESETS):
            wait_running(machine, 2)
            machine.pause()
            machine.hardware.memory.write(COUNTERS, bytes(32))
            machine.resume()
            machine.reset()
        wait_running(machine, 2)
        assert machine.resets == RESETS
        machine.stop()
        machine.wait(60)


def test_a_reset_while_paused_stays_paused() -> None:
    with Machine(config("kick.elf", append="")) as machine:
        machine.start()
        wait_running(machine, 1)
        machine.pause()
        machine.reset()
        before = list(machine.hardware.vcpus[0].pointer.counters.reason)
        time.sleep(0.05)
        assert machine.state == "paused"
        assert list(machine.hardware.vcpus[0].pointer.counters.reason) == before
        machine.resume()
        machine.stop()
        machine.wait(60)


def test_illegal_moves_say_what_state_the_machine_is_in() -> None:
    with Machine(config("kick.elf")) as machine:
        with pytest.raises(StateError, match="Cannot pause a machine that is ready"):
            machine.pause()
        machine.start()
        with pytest.raises(StateError, match="Cannot resume a machine that is running"):
            machine.resume()
        machine.stop()
        machine.wait(60)
        with pytest.raises(StateError, match="Cannot reset a machine that is stopped"):
            machine.reset()


@pytest.mark.parametrize("irqchip", ["kernel", "split"])
def test_a_guest_goes_on_in_another_machine_from_saved_state(irqchip: str, tmp_path: Path) -> None:
    output = tmp_path / "console"
    settings = config(
        "counter.elf", append="rounds=20000 every=200", irqchip=irqchip, consoles=[f"file:{output}"]
    )
    with Machine(settings) as first:
        first.start()
        while b"# round" not in first.console_tail():
            time.sleep(0.01)
        first.pause()
        saved = json.loads(json.dumps(first.save()))
        ram = first.hardware.memory.read(0, 32 * layout.MIB)
        first.resume()
        first.stop()
        first.wait(60)

    with Machine(settings) as second:
        second.hardware.memory.write(0, ram)
        second.load(saved)
        code = second.run().code

    text = output.read_text()
    assert code == 1, text[-500:]
    assert text.rstrip().endswith("ok 1 state-agrees")


@pytest.mark.parametrize("held", [False, True])
def test_a_level_interrupt_ended_just_before_the_saving_comes_again(held: bool) -> None:
    """KVM had not told yet: no KVM_EXIT_IOAPIC_EOI will come for it in the machine that loads."""
    pin, vector, svr, word = 10, 0x51, 0xF0, 0x51 // 32 * 16
    with Machine(config("counter.elf", irqchip="split")) as machine:
        saved = machine.save()
        chip, (vcpu,) = saved["devices"]["ioapic"], saved["vcpus"]
        chip["lines"] |= 1 << pin
        chip["rte"][pin] = REMOTE_IRR | LEVEL | vector
        page = bytearray.fromhex(vcpu["lapic"])
        page[svr + 1] |= 1  # enabled
        for register in (ISR, TMR) if held else ():
            page[register + word + 2] |= 1 << vector % 8
        vcpu["lapic"] = page.hex()

        machine.load(saved)
        after = machine.save()

    page = bytearray.fromhex(after["vcpus"][0]["lapic"])
    assert bool(page[IRR + word + 2] & 1 << vector % 8) is not held
    assert after["devices"]["ioapic"]["rte"][pin] == REMOTE_IRR | LEVEL | vector


def test_saving_what_was_loaded_gives_the_same_state() -> None:
    settings = config("counter.elf", append="rounds=100000000", machine="legacy")
    with Machine(settings) as machine:
        machine.start()
        time.sleep(0.2)
        machine.pause()
        first = machine.save()
        for impossible in (-1, 1 << 63, 0.5):
            with pytest.raises(StateError, match="The saved clock cannot be"):
                machine.load(first | {"clock": impossible})
        machine.load(json.loads(json.dumps(first)))
        second = machine.save()
        machine.resume()
        machine.stop()
        machine.wait(60)
    for moving in ("clock", "kvmclock"):
        assert second.pop(moving) >= first.pop(moving)
    assert second["devices"] == first["devices"]
    assert [v["regs"] for v in second["vcpus"]] == [v["regs"] for v in first["vcpus"]]
    assert [v["sregs"] for v in second["vcpus"]] == [v["sregs"] for v in first["vcpus"]]


def test_a_crash_report_has_registers_code_and_the_last_exits() -> None:
    guest = guests.load()[0]["crash-garbage"]
    settings = config(guest.image, append=guest.append)
    with Machine(settings) as machine, pytest.raises(GuestCrash) as caught:
        machine.run()
    report: Any = caught.value.report
    assert report["registers"]["rip"] > 0
    assert report["exits"], "the flight recorder is empty"
    assert len(report["exits"]) <= 256


def test_255_vcpus_come_up_and_answer() -> None:
    guest = guests.load()[0]["smp-255"]
    with Machine(
        config(guest.image, append=guest.append, cpus=255, mem="128M", timeout="300")
    ) as machine:
        assert machine.run().code == 1


def open_files() -> dict[str, str]:
    links = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return {name: link for name, link in links.items() if "/proc/" not in link}


def test_two_hundred_boots_in_a_row_leave_no_descriptor_thread_or_file(tmp_path: Path) -> None:
    settings = config("null.elf", state_dir="")
    with Machine(settings) as machine:
        machine.run()
    before, threads, maps = open_files(), thread_count(), _mappings()

    for _boot in range(200):
        with Machine(settings) as machine:
            assert machine.run().code == 1

    assert open_files() == before
    assert thread_count(at_most=threads) <= threads
    assert _mappings() <= maps + 8
    assert not list(tmp_path.iterdir())


def _mappings() -> int:
    """Mappings of guest memory and of kvm_run in this process."""
    text = Path("/proc/self/maps").read_text()
    return sum("guest-ram" in line or "kvm-vcpu" in line for line in text.splitlines())


def test_a_failed_build_gives_everything_back() -> None:
    settings = config("null.elf", consoles=["file:/nowhere/at/all"])
    before = open_files()
    for _attempt in range(5):
        with pytest.raises(Exception, match="/nowhere/at/all"), Machine(settings):
            pass
    assert open_files() == before


def test_parts_that_fail_to_close_keep_no_other_part_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before, mappings = open_files(), _mappings()

    def closes_and_fails(kind: Any) -> None:
        close = kind.close

        def fail(self: object) -> None:
            close(self)
            raise OSError("does not close")

        monkeypatch.setattr(kind, "close", fail)

    closes_and_fails(Coalesce)
    closes_and_fails(BootMarks)
    with pytest.raises(BaseExceptionGroup) as caught, Machine(config("counter.elf")):
        raise LookupError("the cause")

    cause, *late = sentences.causes(caught.value)
    assert isinstance(cause, LookupError)
    assert [str(error) for error in late] == ["does not close"] * 2
    assert open_files() == before
    assert _mappings() == mappings
