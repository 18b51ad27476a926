"""What QEMU knows of an L1 that makes no step any more: its CPUs' registers, by QMP.

L1's kernel lies where its System.map says (nokaslr), so that an address tells the function. HLT=1
is a CPU that waits for an interrupt.
"""

from __future__ import annotations

import json
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 3.0  # seconds for an answer
BETWEEN = 0.5  # seconds between two looks: does it move?
ASK = {"execute": "human-monitor-command", "arguments": {"command-line": "info registers -a"}}
SHOWN = ("CPU#", "RIP=", "RSI=", "RAX=", "CR0=")


def registers(monitor: socket.socket) -> str:
    """Lines for a report; nothing if QEMU does not answer."""
    try:
        monitor.settimeout(PATIENCE)
        monitor.sendall(json.dumps({"execute": "qmp_capabilities"}).encode() + b"\n")
        with monitor.makefile("r", encoding="utf-8") as answers:
            first = _ask(monitor, answers)
            time.sleep(BETWEEN)
            later = [line for line in _ask(monitor, answers) if line.startswith("RIP=")]
    except (OSError, ValueError):
        return ""
    return "\n".join(f"  L1| {line}" for line in (*first, *(f"then {line}" for line in later)))


def _ask(monitor: socket.socket, answers: Iterable[str]) -> list[str]:
    monitor.sendall(json.dumps(ASK).encode() + b"\n")
    for line in answers:  # greeting, the empty answer to the first command, events
        text = json.loads(line).get("return")
        if isinstance(text, str):
            return [row.strip() for row in text.splitlines() if row.startswith(SHOWN)]
    return []
