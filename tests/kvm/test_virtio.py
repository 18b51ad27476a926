"""A virtio device under traffic of a guest while the machine pauses, is saved, resets or stalls."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import guests
from tests.virtiopci import wait_for
from vmm.config import VmConfig
from vmm.machine import Machine

GUEST = guests.load()[0]["virtio-load"]
STALL = 5  # s

pytestmark = pytest.mark.needs("kvm", *GUEST.needs)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    guests.build()


def requests(machine: Machine) -> int:
    return int(machine.hardware.device("virtio-rng0").counters()["chains"])  # type: ignore[union-attr]


def under_traffic(
    folder: Path, irqchip: str, count: int, act: Callable[[Machine], object]
) -> tuple[str, int]:
    """What the guest said and its code, after `act(machine)` in the middle of its requests."""
    output = folder / "console"
    settings = GUEST.settings(irqchip, folder) | {"append": f"requests={count}"}
    with Machine(VmConfig.of(consoles=[f"file:{output}"], **settings)) as machine:
        machine.start()
        wait_for(lambda: requests(machine) > 100, "traffic")
        act(machine)
        code = machine.wait(120).code
        assert requests(machine) >= count
    return output.read_text(errors="replace"), code


@pytest.mark.parametrize("irqchip", GUEST.irqchips)
def test_guest_goes_on_from_a_saved_state(irqchip: str, tmp_path: Path) -> None:
    def save_and_load(machine: Machine) -> None:
        for _ in range(12):
            machine.pause()
            before = requests(machine)
            saved = machine.save()
            machine.load(saved)
            assert machine.save()["devices"] == saved["devices"]
            assert requests(machine) == before
            machine.resume()

    output, code = under_traffic(tmp_path, irqchip, 4_000, save_and_load)

    assert not GUEST.complaints(output, code)


def test_io_thread_that_stands_still_loses_nothing(tmp_path: Path) -> None:
    def stall(machine: Machine) -> None:
        [loop] = [loop for loop in machine.hardware.loops.all if loop.name == "io1"]
        loop.call(lambda: time.sleep(STALL))

    output, code = under_traffic(tmp_path, "kernel", 4_000, stall)

    assert not GUEST.complaints(output, code)


def test_reset_of_the_machine_in_mid_traffic(tmp_path: Path) -> None:
    def reset(machine: Machine) -> None:
        for _ in range(3):
            machine.reset()
            before = requests(machine)
            wait_for(lambda before=before: requests(machine) > before + 100, "traffic")

    output, code = under_traffic(tmp_path, "kernel", 4_000, reset)

    assert output.count("KTAP version") == 4
    assert not GUEST.complaints("KTAP version" + output.rpartition("KTAP version")[2], code)
