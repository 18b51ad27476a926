"""Runs Intel's ACPI compiler on table bytes. iasl is a build dependency of the tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def disassemble(table: bytes, folder: Path, name: str = "table") -> str:
    """The table as text, without what differs between runs; AssertionError if iasl complains."""
    path = folder / f"{name}.aml"
    path.write_bytes(table)
    said = _run("-d", str(path))
    assert "ACPI Error" not in said, said
    assert "ACPI Warning" not in said, said
    text = path.with_suffix(".dsl").read_text()
    for noise in (r"^ \* Disassembly of .*\n", r"^ \* AML/ASL\+ .*\n", r"^ \* Copyright .*\n"):
        text = re.sub(noise, "", text, flags=re.MULTILINE)
    return text


def compile_back(text: str, folder: Path, name: str = "table") -> bytes:
    """The bytes iasl makes of `text`; AssertionError unless it finds no error and no warning."""
    path = folder / f"{name}-back.dsl"
    path.write_text(text)
    said = _run("-tc", "-oa", str(path))  # -oa: no optimising, so that the bytes must agree
    assert "0 Errors, 0 Warnings" in said, said
    return path.with_suffix(".aml").read_bytes()


def _run(*arguments: str) -> str:
    done = subprocess.run(["iasl", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
