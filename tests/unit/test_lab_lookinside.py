"""What is told of an L1 that stands still (vmm/lab/lookinside.py)."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from vmm.lab import lookinside

TEXT = "\r\nCPU#0\r\nRAX=1 RBX=2\r\nR8 =3\r\nRIP={} RFL=2 HLT=1\r\nES =0\r\nCR0=4\r\nXMM00=5\r\n"


def qemu(end: socket.socket) -> None:
    """Greets, and says where its CPU is each time it is asked; an event comes between."""
    with end, end.makefile("r", encoding="utf-8") as asked:
        end.sendall(b'{"QMP": {}}\r\n')
        places = iter("ab")
        for line in asked:
            if "qmp_capabilities" in line:
                end.sendall(b'{"return": {}}\r\n{"event": "STOP"}\r\n')
            else:
                said = {"return": TEXT.format(next(places))}
                end.sendall(json.dumps(said).encode() + b"\r\n")


def test_registers_are_told_and_whether_they_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookinside, "BETWEEN", 0)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=qemu, args=(theirs,))
    thread.start()
    with ours:
        lines = lookinside.registers(ours).splitlines()
    thread.join()
    assert [line.removeprefix("  L1| ") for line in lines] == [
        "CPU#0",
        "RAX=1 RBX=2",
        "RIP=a RFL=2 HLT=1",
        "CR0=4",
        "then RIP=b RFL=2 HLT=1",
    ]


def test_nothing_is_told_of_a_qemu_that_has_ended_or_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lookinside, "PATIENCE", 0.1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert lookinside.registers(ours) == ""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        assert lookinside.registers(ours) == ""
