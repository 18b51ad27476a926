"""Ports of a machine: `machine.ports`, the verbs of its control socket, what its user sees."""

from __future__ import annotations

import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import guests
from tests.commandkit import SPIN
from tests.terminalkit import Terminal
from vmm.config import VmConfig
from vmm.control.session import StateSession
from vmm.errors import ConfigError, HostError, StateError
from vmm.machine import Machine

pytestmark = pytest.mark.needs("kvm")


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    guests.build()


def config(**more: object) -> VmConfig:
    settings: dict[str, object] = {"kernel": str(guests.BUILD / "kick.elf"), "mem": "32M"}
    settings |= {"consoles": ["null"], "timeout": "120"}
    return VmConfig.of(**(settings | more))


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine(config(ports=["name=a,ring", "name=b,nr=5,null"])) as machine:
        machine.start()
        yield machine


def names(machine: Machine) -> list[str]:
    return [port.label for port in machine.ports.all()]


def test_ports_of_the_configuration_are_there(machine: Machine) -> None:
    assert machine.ports.info() == [
        {
            "device": "virtio-console0",
            "name": "a",
            "nr": 1,
            "console": False,
            "backend": "ring",
            "path": "",
            "host-open": True,
            "guest-open": False,
        },
        {
            "device": "virtio-console0",
            "name": "b",
            "nr": 5,
            "console": False,
            "backend": "null",
            "path": "",
            "host-open": True,
            "guest-open": False,
        },
    ]


def test_15_ports_come_and_go_in_every_state(machine: Machine, tmp_path: Path) -> None:
    machine.ports.add(f"name=c,socket={tmp_path}/c")
    machine.pause()
    machine.ports.add("name=d,nr=7,pty")
    machine.ports.remove("b")
    machine.resume()
    assert names(machine) == ["a", "c", "d"]
    machine.ports.remove("c")
    assert not (tmp_path / "c").exists()
    machine.reset()
    assert names(machine) == ["a", "d"]
    machine.stop()
    machine.wait()
    with pytest.raises(StateError, match="Cannot add a port to a machine that is stopped"):
        machine.ports.add("name=e,null")


def test_17_what_cannot_be_is_said_in_a_sentence(machine: Machine) -> None:
    ports = machine.ports
    with pytest.raises(StateError, match="There is a port called a already"):
        ports.add("name=a,null")
    with pytest.raises(StateError, match="Number 5 of virtio-console0 belongs to its port b"):
        ports.add("name=x,nr=5,null")
    with pytest.raises(StateError, match="has numbers 0 to 7; start with --device"):
        ports.add("name=x,nr=8,null")
    with pytest.raises(StateError, match="no virtio console called other; start it with"):
        ports.add("name=x,device=other,null")
    with pytest.raises(ConfigError, match="the port wants one of stdio"):
        ports.add("name=x")
    with pytest.raises(ConfigError, match="the port's end wants one of stdio"):
        ports.swap("a", "nonsense")
    with pytest.raises(StateError, match="no port called z; there are a, b"):
        ports.remove("z")
    with pytest.raises(StateError, match="The end of b is null; only a ring can be asked"):
        ports.read("b")
    with pytest.raises(HostError, match=r"Listening on /missing/s for port x failed"):
        ports.add("name=x,socket=/missing/s")
    assert names(machine) == ["a", "b"]


def test_machine_without_a_virtio_console_says_how_to_have_one() -> None:
    with Machine(config()) as machine, pytest.raises(StateError, match="--device virtio-console"):
        machine.ports.add("name=x,null")


def test_18_whole_controller_comes_and_goes_with_its_ports(machine: Machine) -> None:
    machine.attach_device("virtio-console,id=late,ports=2")
    machine.ports.add("name=c,device=late,ring")
    assert names(machine) == ["a", "b", "c"]
    assert machine.ports.find("c")[0].max_ports == 3
    with pytest.raises(StateError, match="There is a port called c already"):
        machine.ports.add("name=c,null")


def test_19_another_end_is_taken_while_the_machine_runs(machine: Machine, tmp_path: Path) -> None:
    told = machine.ports.swap("b", f"file={tmp_path}/log")
    assert (told["backend"], told["path"]) == ("file", f"{tmp_path}/log")
    with pytest.raises(HostError):
        machine.ports.swap("b", f"file={tmp_path}/missing/log")
    assert machine.ports.find("b")[1].chan.path == f"{tmp_path}/log"


def test_23_ports_are_part_of_the_saved_state(machine: Machine) -> None:
    machine.pause()
    saved = json.loads(json.dumps(machine.save()))
    machine.load(saved)
    machine.ports.add("name=c,null")
    with pytest.raises(StateError, match="it has other ports"):
        machine.load(saved)


class Client:
    """Speaks to a control socket."""

    def __init__(self, path: Path) -> None:
        self.peer = socket.socket(socket.AF_UNIX)
        self.peer.settimeout(20)
        self.peer.connect(str(path))
        self.stream = self.peer.makefile("rw", encoding="utf-8")
        self.stream.readline()
        self.run("qmp_capabilities")

    def run(self, verb: str, **arguments: object) -> Any:
        """The answer; a sentence if the verb was refused."""
        self.stream.write(json.dumps({"execute": verb, "arguments": arguments}) + "\n")
        self.stream.flush()
        while "event" in (answer := json.loads(self.stream.readline())):
            pass
        return answer["return"] if "return" in answer else answer["error"]["desc"]


@pytest.fixture
def client(machine: Machine, tmp_path: Path) -> Iterator[Client]:
    session = StateSession(config(state_dir=str(tmp_path / "state")))
    session.serve(machine)
    yield Client(tmp_path / "state" / "control.sock")
    session.close()


def test_control_socket_has_a_verb_for_everything(client: Client, tmp_path: Path) -> None:
    assert client.run("add-port", port=f"name=c,socket={tmp_path}/c")["nr"] == 2
    assert client.run("add-port", port="name=c,null") == "There is a port called c already"
    assert client.run("swap-port", name="c", end="ring=8K")["backend"] == "ring"
    assert not (tmp_path / "c").exists()
    assert [port["name"] for port in client.run("query-ports")] == ["a", "b", "c"]
    assert client.run("write-port", name="c", data=b64encode(b"typed").decode()) == {"bytes": 5}
    assert client.run("write-port", name="c", data="?") == "write-port: data must be base64"
    assert b64decode(client.run("read-port", name="c")["data"]) == b""
    assert client.run("read-port", name="b") == "The end of b is null; only a ring can be asked"
    assert client.run("remove-port", name="c") == {}
    assert "no port called c" in client.run("remove-port", name="c")
    stats = client.run("stats")["devices"]["virtio-console0"]
    assert stats["a_tx_bytes"] == stats["control_in"] == 0


def test_user_is_told_where_the_terminals_are() -> None:
    terminal = Terminal(*SPIN, "--console", "virtio:pty", "--port", "name=org.x,pty")
    terminal.wait_for(b"hvc0 is /dev/pts/")
    terminal.wait_for(b"port org.x is /dev/pts/")
    terminal.close()


def test_keyboard_goes_from_hvc0_to_the_serial_port_and_back() -> None:
    terminal = Terminal(*SPIN, "--console", "virtio", "--console", "stdio")
    terminal.wait_for(b"crash by spin")
    for name in (b"com1", b"hvc0", b"com1"):
        terminal.seen = b""
        terminal.type(b"\x01n")
        terminal.wait_for(b"the keyboard is with " + name)
    terminal.type(b"\x01n")
    terminal.wait_for(b"the keyboard is with hvc0")
    terminal.type(b"\x01b")
    terminal.wait_for(b"hvc0 has no break; Ctrl-O")
    terminal.type(b"\x01x")
    assert terminal.end() == 0


def test_serial_port_is_silent_when_hvc0_is_the_console(tmp_path: Path) -> None:
    console = tmp_path / "log"
    terminal = Terminal(*SPIN, "--console", f"virtio:file:{console}", "--timeout", "3")
    assert terminal.end() == 124
    assert b"crash by spin" not in terminal.seen
    assert console.read_bytes() == b""
