"""A vCPU thread on its way between the guest and the gate."""

from __future__ import annotations

from _queue import SimpleQueue
from collections.abc import Callable, Iterator

from vmm.schedule import Schedule
from vmm.vcpu import Command, Vcpu


class Recorder(Vcpu):
    """A vCPU without KVM that notes what its thread would do."""

    def __init__(self) -> None:
        self.id = 0
        self.did: list[str] = []
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self.schedule = Schedule()

    def complete_io(self) -> None:
        self.did.append("complete")


class Answers:
    """A gate whose answers are given; None left means closed."""

    def __init__(self, vcpu: Recorder, *must_park: bool) -> None:
        self.vcpu = vcpu
        self._answers: Iterator[bool] = iter(must_park)

    def must_park(self, _vcpu_id: int) -> bool:
        return next(self._answers, True)

    def park(self, _vcpu_id: int, commands: Callable[[], None]) -> bool:
        self.vcpu.did.append("park")
        commands()
        return True


def passed(vcpu: Recorder, *must_park: bool) -> bool:
    return vcpu._pass(Answers(vcpu, *must_park))  # type: ignore[arg-type]


def test_an_open_gate_costs_one_look() -> None:
    vcpu = Recorder()

    assert passed(vcpu, False)

    assert vcpu.did == []


def test_an_access_is_completed_before_parking_also_when_the_gate_closes_just_then() -> None:
    for answers in ((True,), (True, True), (False, True)):
        vcpu = Recorder()
        assert passed(vcpu, *answers)
        assert "park" not in vcpu.did or vcpu.did == ["complete", "park"]


def test_commands_find_the_access_completed() -> None:
    vcpu = Recorder()
    vcpu._commands.put(Command(lambda: vcpu.did.append("command")))

    assert passed(vcpu, False)

    assert vcpu.did == ["complete", "command"]
