"""The console's escape key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.control.escape import HELP, KEYS, Keys, Scanner, status_line


class FakeMachine:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.state = "running"
        self.config = type("Config", (), {"name": "vm", "cpus": 2})()

    def stop(self, cause: str = "stopped", **detail: object) -> None:
        self.calls.append(f"{cause} {detail}")

    def stats(self) -> dict[str, object]:
        return {"vcpus": [{"exits": 1000}, {"exits": 234}]}


class FakeConsoles:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def port(self, source: object) -> FakePort:
        return FakePort(self, source)

    def next(self) -> str:
        if "break" not in "".join(self.calls):
            raise RuntimeError("there is only one console")
        return "com2"


class FakePort:
    def __init__(self, consoles: FakeConsoles, source: object) -> None:
        self.consoles, self.source = consoles, source

    def send_break(self) -> None:
        self.consoles.calls.append(f"break {self.source}")


def press(*keys: str) -> tuple[FakeMachine, FakeConsoles, str]:
    machine, consoles = FakeMachine(), FakeConsoles()
    shown: list[str] = []
    pressed = Keys(machine, consoles, shown.append)  # type: ignore[arg-type]
    for key in keys:
        pressed.press(ord(key), "com1")
    return machine, consoles, "".join(shown)


@pytest.mark.parametrize(
    ("data", "guest", "commands"),
    [
        (b"ls\r", b"ls\r", b""),
        (b"\x01x", b"", b"x"),
        (b"a\x01cb", b"ab", b"c"),
        (b"\x01\x01", b"\x01", b""),
        (b"\x01\x01x", b"\x01x", b""),
        (b"\x01\x01\x01x", b"\x01", b"x"),
        (b"\x01", b"", b""),
        (b"\x01\x00", b"", b"\x00"),
    ],
)
def test_scanner(data: bytes, guest: bytes, commands: bytes) -> None:
    assert Scanner().feed(data) == (guest, list(commands))


@given(st.lists(st.sampled_from([b"\x01", b"x", b"ab", b"\x01\x01"])))
def test_scanner_does_not_care_how_bytes_are_cut(pieces: list[bytes]) -> None:
    scanner = Scanner()
    parts = [scanner.feed(piece) for piece in pieces]

    guest = b"".join(part[0] for part in parts)
    commands = [command for part in parts for command in part[1]]
    assert (guest, commands) == Scanner().feed(b"".join(pieces))


@given(st.binary())
def test_doubling_the_key_sends_anything_to_the_guest(data: bytes) -> None:
    assert Scanner().feed(data.replace(b"\x01", b"\x01\x01")) == (data, [])


def test_x_ends_the_machine() -> None:
    machine, _consoles, shown = press("x")

    assert machine.calls == ["stopped {'reason': 'Ctrl-A x'}"]
    assert shown == ""


def test_b_sends_a_break_to_the_console_it_came_from() -> None:
    assert press("b")[1].calls == ["break com1"]


def test_n_names_the_next_console() -> None:
    assert press("b", "n")[2] == "the keyboard is with com2\n"


def test_c_shows_one_line_of_status() -> None:
    machine, _consoles, shown = press("C")

    assert shown == "vm: running, 2 vCPU, 1,234 exits\n" == status_line(machine)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["h", "?", "\x00", "\xff"])
def test_h_and_unknown_keys_show_the_help(key: str) -> None:
    machine, _consoles, shown = press(key)

    assert shown == HELP
    assert machine.calls == []


def test_what_fails_is_said_and_the_next_key_works() -> None:
    _machine, consoles, shown = press("n", "b")

    assert shown == "Ctrl-A n: there is only one console\n"
    assert consoles.calls == ["break com1"]


def test_help_names_every_key() -> None:
    assert [line.split()[1] for line in HELP.splitlines()] == [*KEYS, "Ctrl-A"]
