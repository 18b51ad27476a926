"""How a machine ends and starts anew when several things happen at once, or half of them fail."""

from __future__ import annotations

import threading

import pytest

from tests import guests
from tests.kvm.test_machine import config, wait_running
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm")

HANG = 60  # seconds after which a thread that should have ended is taken for hung


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    guests.build()


def test_leaving_a_started_machine_that_nobody_stopped_ends_it() -> None:
    machine = Machine(config("kick.elf", append=""))
    machine.__enter__()
    machine.start()
    wait_running(machine, 1)

    closing = threading.Thread(target=machine.close, daemon=True)
    closing.start()
    closing.join(HANG)

    assert not closing.is_alive()
    assert machine.state == "closed"
    assert machine.wait().cause == "stopped"


@pytest.mark.parametrize("name", ["io0", "vcpu0", "vcpu1", "manager"])
def test_a_thread_that_cannot_start_takes_the_others_down(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    before = set(threading.enumerate())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with (
        pytest.raises(RuntimeError, match="can't start new thread"),
        Machine(config("kick.elf", cpus=2, append="cpus=2")) as machine,
    ):
        machine.start()

    left = set(threading.enumerate()) - before
    for vcpu in machine.hardware.vcpus:  # let the interpreter end if the assertion does not hold
        machine.gate.stop()
        vcpu.join()
    assert not left
