"""L1 seen from outside, with a test in L1's place: progress, freezes, deaths, the exit status."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from vmm.lab import session as module
from vmm.lab.session import CommandTimeout, Session, Trouble, tail


class FakeMachine:
    """A QEMU that is what the test says."""

    def __init__(self) -> None:
        read, self.complain = os.pipe()
        self.messages = os.fdopen(read, "rb")
        os.set_blocking(read, False)
        self.dead = False
        self.cpu: Callable[[], float] = lambda: 0.0

    def ended(self) -> bool:
        return self.dead

    def cpu_seconds(self) -> float:
        return self.cpu()


class Inside:
    """Both ends: `session` as the lab has it, `ends` as L1 writes to them."""

    def __init__(self) -> None:
        self.machine = FakeMachine()
        ours: dict[str, socket.socket] = {}
        self.ends: dict[str, socket.socket] = {}
        for name in ("console", "control", "stdout", "stderr"):
            ours[name], self.ends[name] = socket.socketpair()
            ours[name].setblocking(False)
        self.ours = ours
        self.session = Session(self.machine, ours)  # type: ignore[arg-type]

    def say(self, *lines: str) -> None:
        self.ends["control"].sendall("".join(f"{line}\n" for line in lines).encode())

    def run(self, patience: float = 60, timeout: float | None = None, counted: bool = False) -> int:
        return self.session.run(patience=patience, timeout=timeout, counted=counted)


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    monkeypatch.setattr(module, "TICK", 0.01)
    made = Inside()
    yield made
    for end in (*made.ends.values(), *made.ours.values()):
        end.close()
    made.machine.messages.close()
    os.close(made.machine.complain)


@pytest.mark.parametrize("status", [0, 1, 7, 127, 137, 255])
def test_the_commands_status_is_returned(inside: Inside, status: int) -> None:
    inside.say("stage kernel", "stage job", f"exit {status}")
    assert inside.run() == status


def test_output_goes_to_its_own_descriptor_byte_for_byte(
    inside: Inside, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    every = bytes(range(256)) * 100
    inside.ends["stdout"].sendall(every)
    inside.ends["stderr"].sendall(b"error\n")
    inside.ends["console"].sendall(b"kernel noise")
    inside.say("stage job", "exit 0")
    assert inside.run() == 0
    assert capfdbinary.readouterr() == (every, b"error\n")
    assert bytes(inside.session.console) == b"kernel noise"


def test_output_larger_than_any_buffer_arrives_whole(
    inside: Inside, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = os.urandom(5 << 20)

    def write() -> None:
        inside.ends["stdout"].sendall(data)
        inside.say("stage job", "exit 3")

    writer = threading.Thread(target=write)
    writer.start()
    assert inside.run() == 3
    writer.join()
    assert capfdbinary.readouterr().out == data


def test_a_control_line_in_pieces_is_one_line(inside: Inside) -> None:
    inside.ends["control"].sendall(b"stage j")
    inside.ends["control"].sendall(b"ob\nexit 4")
    inside.ends["control"].sendall(b"2\n")
    assert inside.run() == 42


def test_notes_are_passed_on_and_unknown_lines_ignored(inside: Inside) -> None:
    heard: list[str] = []
    inside.session.note = heard.append
    inside.say("note something is missing", "weather fine", "exit x", "exit 0")
    assert inside.run() == 0
    assert heard == ["something is missing"]


def test_a_boot_without_progress_is_trouble_before_the_command(inside: Inside) -> None:
    inside.say("stage kernel")
    with pytest.raises(Trouble, match="froze during its boot, after 'kernel'") as caught:
        inside.run(patience=0.05)
    assert not caught.value.started


def test_patience_ends_with_the_boot(inside: Inside) -> None:
    inside.say("stage job")
    later = threading.Timer(0.3, inside.say, ["exit 0"])
    later.start()
    assert inside.run(patience=0.1) == 0


def test_a_qemu_that_ends_during_the_boot_may_be_tried_again(inside: Inside) -> None:
    inside.machine.dead = True
    with pytest.raises(Trouble, match="died during its boot") as caught:
        inside.run()
    assert not caught.value.started


def test_a_qemu_that_ends_during_the_command_may_not(inside: Inside) -> None:
    inside.say("stage job")
    later = threading.Timer(0.1, setattr, [inside.machine, "dead", True])
    later.start()
    with pytest.raises(Trouble, match="died while the command ran") as caught:
        inside.run()
    assert caught.value.started


def test_a_status_said_just_before_the_end_counts(inside: Inside) -> None:
    inside.say("stage job", "exit 9")
    inside.machine.dead = True
    assert inside.run() == 9


def test_the_command_has_its_own_deadline(inside: Inside) -> None:
    inside.say("stage job")
    with pytest.raises(CommandTimeout):
        inside.run(timeout=0.05)


def test_a_counting_qemu_without_cpu_time_is_frozen(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FROZEN", 0.05)
    inside.say("stage job")
    with pytest.raises(Trouble, match="QEMU idles") as caught:
        inside.run(counted=True)
    assert caught.value.started


def test_a_counting_qemu_that_works_is_not_frozen(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FROZEN", 0.05)
    steps = iter(range(1_000_000))
    inside.machine.cpu = lambda: float(next(steps))
    inside.say("stage job")
    later = threading.Timer(0.3, inside.say, ["exit 0"])
    later.start()
    assert inside.run(counted=True) == 0


def test_an_l1_that_gives_no_beat_is_frozen(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT", 0.05)
    inside.say("stage job")
    with pytest.raises(Trouble, match="froze while the command ran: silent") as caught:
        inside.run()
    assert caught.value.started


def test_an_l1_that_beats_is_not_frozen(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT", 0.5)
    inside.say("stage job")

    def beat() -> None:
        for _second in range(8):
            time.sleep(0.1)
            inside.say("beat")
        inside.say("exit 0")

    threading.Thread(target=beat).start()
    assert inside.run() == 0


def test_a_large_paste_and_large_output_do_not_wait_for_each_other(
    inside: Inside, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    data = os.urandom(2 << 20)
    inside.ours["control"].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    inside.session.send("control", data)

    def echo() -> None:
        taken = 0
        while taken < len(data):
            piece = inside.ends["control"].recv(1 << 16)
            inside.ends["stdout"].sendall(piece)
            taken += len(piece)
        inside.say("exit 0")

    reader = threading.Thread(target=echo)
    reader.start()
    assert inside.run() == 0
    reader.join()
    assert capfdbinary.readouterr().out == data


def test_a_fault_of_l1_is_trouble_with_its_words(inside: Inside) -> None:
    inside.say("stage kernel", "fault no root")
    with pytest.raises(Trouble, match="no root"):
        inside.run()


def test_qemus_complaints_are_kept_with_the_console(inside: Inside) -> None:
    os.write(inside.machine.complain, b"qemu: no such device\n")
    inside.say("exit 0")
    inside.run()
    assert "no such device" in tail(inside.session.console)


def test_the_kept_console_is_bounded(inside: Inside) -> None:
    def write() -> None:
        inside.ends["console"].sendall(b"x" * (module.CONSOLE_KEPT * 3))
        inside.say("exit 0")

    writer = threading.Thread(target=write)
    writer.start()
    inside.run()
    writer.join()
    assert len(inside.session.console) == module.CONSOLE_KEPT


def test_an_endless_control_line_is_bounded(inside: Inside) -> None:
    def write() -> None:
        inside.ends["control"].sendall(b"y" * (module.LINE_MAX * 50))
        inside.say("", "exit 0")

    writer = threading.Thread(target=write)
    writer.start()
    assert inside.run() == 0
    writer.join()


def test_the_tail_shows_no_control_characters() -> None:
    assert tail(bytearray(b"one\r\n\n\x1b[31mtwo\n")) == "  L1| one\n  L1| ?[31mtwo"
