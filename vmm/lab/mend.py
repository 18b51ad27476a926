"""One fault of QEMU's emulated SVM, mended in the lab's own copy of the program.

VMRUN with an interrupt to inject (AMD APM volume 2, 15.20) stores its vector in
CPUState.exception_index, delivers it, and leaves the number there. If the CPU is asked to leave its
loop before the guest's next exit, the loop delivers the interrupt a second time, whatever
RFLAGS.IF says; guests hang, panic or fault three times (docs/decisions/0013-one-cpu-in-the-lab.md).
Without the store the number stays -1, which is right: nothing reads it during the delivery.
"""

from __future__ import annotations

import re
from pathlib import Path

from vmm.host import cache

PROGRAM = "usr/bin/qemu-system-x86_64"
# helper_vmrun(): exception_index = vector; exception_is_int = 0; exception_next_eip = -1; a call
# whose third argument, is_hw, is 1. An event of another type has no such argument.
STORE = re.compile(
    rb"(?P<store>\x89[\x80-\xbf]..\xff\xff)"
    rb"\xc7[\x80-\x87]..\x00\x00\x00\x00\x00\x00"
    rb"\x48\xc7[\x80-\x87]..\x00\x00\xff\xff\xff\xff"
    rb".{0,24}?\xba\x01\x00\x00\x00.{0,8}?\xe8",
    re.DOTALL,
)
NOTHING = b"\x66\x0f\x1f\x44\x00\x00"  # the 6-byte NOP that AMD and Intel recommend


def mended(program: bytes) -> bytes | None:
    """The program without the store; None when it is not there exactly once."""
    found = list(STORE.finditer(program))
    if len(found) != 1:
        return None
    start, end = found[0].span("store")
    return program[:start] + NOTHING + program[end:]


def mend(root: Path) -> None:
    """Mends the QEMU below `root`; leaves one that looks different as it is, and says so."""
    path = root / PROGRAM
    after = mended(path.read_bytes())
    if after is None:
        cache.say(f"{path.name} is not one whose nested SVM is known to need mending")
    else:
        path.write_bytes(after)
