"""QEMU's VMRUN without the store that makes it deliver an interrupt twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmm.lab.mend import PROGRAM, mend, mended

# exception_index = vector (esi, relative to rbx); exception_is_int = 0; exception_next_eip = -1
STORE = bytes.fromhex("89b310d7ffff")
REST = bytes.fromhex("c783e433000000000000 48c783e8330000ffffffff f6059aa73c0102 0f856c010000")
HARDWARE = bytes.fromhex("ba01000000 4889df e877a60600")  # do_interrupt_x86_hardirq(env, vector, 1)
LOOP_EXIT = bytes.fromhex("4889ef e8f190d0ff")  # cpu_loop_exit(cs), as for the other types
BEFORE, AFTER = b"\x90" * 40, b"\xc3" * 40


def test_the_store_and_nothing_else_becomes_a_nop() -> None:
    program = BEFORE + STORE + REST + HARDWARE + AFTER
    after = mended(program)
    assert after == BEFORE + bytes.fromhex("660f1f440000") + REST + HARDWARE + AFTER
    assert mended(after) is None  # done before


@pytest.mark.parametrize(
    "program",
    [
        b"",
        BEFORE + AFTER,
        BEFORE + STORE + REST + LOOP_EXIT + AFTER,
        BEFORE + STORE + REST.replace(b"\xff" * 4, b"\x00" * 4) + HARDWARE + AFTER,
        (STORE + REST + HARDWARE + AFTER) * 2,
    ],
    ids=["empty", "elsewhere", "other-type", "next-eip", "twice"],
)
def test_a_program_that_looks_different_is_left_alone(program: bytes, tmp_path: Path) -> None:
    assert mended(program) is None
    path = tmp_path / PROGRAM
    path.parent.mkdir(parents=True)
    path.write_bytes(program)
    mend(tmp_path)
    assert path.read_bytes() == program


def test_the_program_is_mended_in_place(tmp_path: Path) -> None:
    path = tmp_path / PROGRAM
    path.parent.mkdir(parents=True)
    path.write_bytes(STORE + REST + HARDWARE)
    path.chmod(0o755)
    mend(tmp_path)
    assert path.read_bytes() == bytes.fromhex("660f1f440000") + REST + HARDWARE
    assert path.stat().st_mode & 0o777 == 0o755
