"""How a machine ends and starts anew when several things happen at once, or half of them fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import guests
from tests.kvm.test_machine import config, wait_running
from vmm.errors import StateError
from vmm.kvm import clock
from vmm.lifecycle import RESETS_MARKED
from vmm.machine import Machine
from vmm.native import lib
from vmm.threads import Thread

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
    start = Thread.start
    started: list[Thread] = []

    def refuse(thread: Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(Thread, "start", refuse)
    with (
        pytest.raises(RuntimeError, match="can't start new thread"),
        Machine(config("kick.elf", cpus=2, append="cpus=2")) as machine,
    ):
        machine.start()

    left = [thread.name for thread in started if thread.is_alive()]
    for vcpu in machine.hardware.vcpus:  # let the interpreter end if the assertion does not hold
        machine.gate.stop()
        vcpu.join()
    assert not left


def ask(machine: Machine, vcpu_id: int, code: int, value: int = 0) -> None:
    """What happens on a vCPU's thread when a device of its asks the machine for something."""
    vcpu = machine.hardware.vcpus[vcpu_id]
    event = SimpleNamespace(kind=lib.VCPU_DEVICE, code=code, value=value)
    machine.on_vcpu(vcpu, lambda: vcpu.on_event(vcpu, event))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A paused machine with two vCPUs."""
    with Machine(config("kick.elf", cpus=2, append="cpus=2", machine="legacy")) as running:
        running.start()
        wait_running(running, 2)
        running.pause()
        yield running


@pytest.fixture
def busy(machine: Machine) -> Iterator[threading.Event]:
    """The managing thread does nothing before this is set."""
    go = threading.Event()

    def wait() -> None:
        go.wait(HANG)

    machine.post(wait)
    yield go
    go.set()


def managed(machine: Machine) -> None:
    """Returns when the managing thread has done all that was posted."""
    done = threading.Event()

    def note() -> None:
        done.set()

    machine.post(note)
    assert done.wait(HANG)


def test_two_vcpus_that_ask_for_a_reset_at_once_get_one(
    machine: Machine, busy: threading.Event
) -> None:
    ask(machine, 0, lib.DEV_EVENT_RESET)
    ask(machine, 1, lib.DEV_EVENT_RESET)
    busy.set()
    managed(machine)
    assert machine.resets == 1

    ask(machine, 1, lib.DEV_EVENT_RESET)
    managed(machine)
    assert machine.resets == 2


def test_a_power_off_that_comes_second_to_a_reset_is_forgotten(
    machine: Machine, busy: threading.Event
) -> None:
    ask(machine, 0, lib.DEV_EVENT_RESET)
    ask(machine, 1, lib.DEV_EVENT_POWER_OFF)
    busy.set()
    managed(machine)

    assert (machine.resets, machine.state) == (1, "paused")
    machine.resume()
    wait_running(machine, 2)


def test_a_reset_that_comes_second_to_a_power_off_does_not_happen(
    machine: Machine, busy: threading.Event
) -> None:
    ask(machine, 0, lib.DEV_EVENT_POWER_OFF)
    ask(machine, 1, lib.DEV_EVENT_RESET)
    busy.set()

    assert machine.wait(HANG).cause == "power-off"
    assert machine.resets == 0


def pit_channels(machine: Machine) -> list[tuple[int, int]]:
    return [(c.mode, c.count) for c in machine.hardware.vm.get_pit2().channels]


def program_pit(machine: Machine, count: int) -> None:
    state = machine.hardware.vm.get_pit2()
    state.channels[0].mode, state.channels[0].rw_mode, state.channels[0].count = 2, 3, count
    machine.hardware.vm.set_pit2(state)


def test_a_reset_while_paused_resets_the_timer_for_good(machine: Machine) -> None:
    machine.reset()
    fresh = pit_channels(machine)
    machine.resume()
    program_pit(machine, 1193)

    machine.pause()
    machine.reset()
    machine.resume()

    assert pit_channels(machine) == fresh


def test_clocks_loaded_while_paused_are_those_it_goes_on_with(machine: Machine) -> None:
    program_pit(machine, 20000)
    saved = machine.save()
    machine.resume()
    program_pit(machine, 1193)
    while machine.hardware.vm.get_clock().clock < saved["kvmclock"] + 200_000_000:
        time.sleep(0.01)

    machine.pause()
    late = machine.hardware.vm.get_clock().clock
    machine.load(saved)
    machine.resume()

    assert pit_channels(machine)[0] == (2, 20000)
    assert machine.hardware.vm.get_clock().clock < late


def test_the_timeline_does_not_grow_with_every_reset(machine: Machine) -> None:
    for _reset in range(RESETS_MARKED + 10):
        machine.reset()

    marks = [name for name, _at in machine.timeline]
    assert marks.count("reset") == RESETS_MARKED


def test_a_machine_that_keeps_no_reset_state_refuses_a_reset_and_runs_on() -> None:
    with Machine(config("kick.elf", append="", reboot="exit")) as machine:
        machine.start()
        wait_running(machine, 1)
        with pytest.raises(StateError, match="--reboot exit"):
            machine.reset()
        assert machine.state == "running"


def test_a_failure_at_the_very_end_reaches_who_waits() -> None:
    def fail(name: str, _fields: dict[str, object]) -> None:
        if name == "STOP":
            raise LookupError("nobody takes the news")

    with Machine(config("kick.elf", append="")) as machine:
        machine.on_event = fail
        machine.start()
        machine.stop()
        with pytest.raises(LookupError, match="nobody takes the news"):
            machine.wait(HANG)


@pytest.mark.parametrize("asked_by", ["guest", "caller"])
def test_a_reset_that_fails_half_way_ends_the_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, asked_by: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("half-way")

    monkeypatch.setattr(machine.hardware, "enter", fail)
    machine.resume()
    if asked_by == "guest":
        ask(machine, 0, lib.DEV_EVENT_RESET)
    else:
        with pytest.raises(OSError, match="half-way"):
            machine.reset()

    with pytest.raises(OSError, match="half-way"):
        machine.wait(HANG)
    machine.close()


def test_a_closed_machine_has_no_counters_commands_or_power_button() -> None:
    with Machine(config("kick.elf", append="")) as machine:
        machine.start()
        wait_running(machine, 1)

    with pytest.raises(StateError, match="read the counters of a machine that is closed"):
        machine.stats()
    with pytest.raises(StateError, match="press the power button of a machine that is closed"):
        machine.power_button()
    with pytest.raises(StateError, match="has stopped"):
        machine.on_vcpu(machine.hardware.vcpus[0], lambda: None)


def test_a_pause_that_fails_leaves_the_machine_running(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("no clock")

    machine.resume()
    with monkeypatch.context() as broken:
        broken.setattr(clock, "paused", fail)
        with pytest.raises(OSError, match="no clock"):
            machine.pause()

    assert machine.state == "running"
    machine.reset()
    wait_running(machine, 2)
    machine.pause()
    machine.resume()
