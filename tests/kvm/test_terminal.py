"""`vmm boot` on a terminal: keys, signals, and where its own words stand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commandkit import PASSED, SPIN, guest_saying
from tests.terminalkit import Terminal
from vmm.errors import EXIT_OK, EXIT_SIGNAL

pytestmark = pytest.mark.needs("kvm")


def on_terminal(*argv: str) -> Iterator[Terminal]:
    made = Terminal(*SPIN, *argv)
    made.wait_for(b"crash by spin")
    assert not made.cooked()
    yield made
    made.close()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    yield from on_terminal()


@pytest.fixture
def shared_terminal() -> Iterator[Terminal]:
    yield from on_terminal("--machine=legacy", "--console=stdio", "--console=stdio")


def test_console_keys_speak_to_the_machine(terminal: Terminal) -> None:
    for keys, answer in (
        (b"\x01h", b"end the machine"),
        (b"\x01c", b"vmm: running, 1 vCPU"),
        (b"\x01n", b"only one console"),
        (b"\x01?", b"send Ctrl-A itself"),
    ):
        terminal.type(keys)
        terminal.wait_for(answer)
    terminal.type(b"\x01b\x01x")

    assert terminal.end() == EXIT_OK
    assert terminal.cooked()


def test_two_consoles_on_one_terminal_take_turns(shared_terminal: Terminal) -> None:
    for name in (b"com2", b"com1", b"com2"):
        shared_terminal.seen = b""
        shared_terminal.type(b"\x01n")
        shared_terminal.wait_for(b"the keyboard is with " + name)
    shared_terminal.type(b"\x01b\x01x")

    assert shared_terminal.end() == EXIT_OK
    assert shared_terminal.cooked()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(terminal: Terminal, number: signal.Signals) -> None:
    os.kill(terminal.pid, number)
    terminal.wait_for(f"stopped by {number.name}".encode())

    assert terminal.end() == EXIT_SIGNAL
    assert terminal.cooked()


def test_keys_work_when_the_reader_of_a_pipe_has_left() -> None:
    shell = ["/bin/sh", "-c", '"$@" | true', "sh"]
    terminal = Terminal(*SPIN, before=shell)
    terminal.wait_for(b"vmm: nobody reads the console any more; Ctrl-A x ends the machine\r\n")
    terminal.type(b"\x01x")

    assert terminal.end() == EXIT_OK
    assert terminal.cooked()
    terminal.close()


# --- messages beside a guest's unfinished line ---------------------------------------------------


@pytest.fixture
def prompting(tmp_path: Path) -> Iterator[Terminal]:
    """A guest that shows a prompt and waits for ever."""
    made = Terminal("-k", guest_saying(tmp_path, b"login: ", then="spin"), "--mem=16M")
    made.wait_for(b"login: ")
    yield made
    made.close()


def test_a_message_begins_on_a_line_of_its_own(prompting: Terminal) -> None:
    prompting.type(b"\x01c")
    prompting.wait_for(b"vCPU")
    prompting.type(b"\x01c")
    prompting.wait_for(b"exits\r\nvmm: running")
    os.kill(prompting.pid, signal.SIGTERM)

    assert prompting.end() == EXIT_SIGNAL
    said = prompting.seen.replace(b"\r", b"").splitlines()
    assert said[0] == b"login: "
    assert [line[:12] for line in said[1:]] == [b"vmm: running", b"vmm: running", b"vmm: stopped"]


def test_an_unfinished_line_is_ended_when_the_machine_ends(prompting: Terminal) -> None:
    prompting.type(b"\x01x")

    assert prompting.end() == EXIT_OK
    assert prompting.seen == b"login: \r\n"


@pytest.mark.parametrize("text", [b"bye\r\n", b"bye\n\r", b""])
def test_a_finished_line_is_left_alone(tmp_path: Path, text: bytes) -> None:
    terminal = Terminal(
        "-k", guest_saying(tmp_path, text, then="exit"), "--mem=16M", "--debug-exit"
    )

    assert terminal.end() == PASSED
    assert terminal.seen.replace(b"\r", b"") == text.replace(b"\r", b"")
    terminal.close()


def test_log_lines_keep_clear_of_the_guests_lines(tmp_path: Path) -> None:
    image = guest_saying(tmp_path, b"login: ", then="exit")
    terminal = Terminal("-k", image, "--mem=16M", "--debug-exit", "--log-level=info")

    assert terminal.end() == PASSED
    lines = terminal.seen.replace(b"\r", b"").splitlines()
    assert lines[-2] == b"login: "
    assert b"machine.reached" in lines[-1]
    terminal.close()
