"""The host as these tests see it: `vmm vfio`, and its own drivers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from vmm.__main__ import main
from vmm.record import Record
from vmm.vfio.sysfs import DEVICES, function

PATIENCE = 60.0  # seconds after which something hangs


class Done(Record):
    """What a command wrote and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def vmm(*words: str) -> Done:
    """`vmm vfio WORDS`, in this process: starting Python on an emulated CPU takes a second."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["vfio", *words])
    return Done(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


def vmm_after(before: Sequence[str], *words: str) -> Done:
    """`vmm vfio WORDS` as a process, with the words `before` in front."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "vmm", "vfio", *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Done(returncode=done.returncode, stdout=done.stdout, stderr=done.stderr)


@contextmanager
def holding(code: str, *words: str) -> Iterator[int]:
    """The pid of a process that runs `code`, which says "open" and waits for a line."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, *words]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        yield holder.pid
        holder.communicate(b"\n")


def load(module: str) -> None:
    subprocess.run(["modprobe", module], check=True, timeout=PATIENCE)


def driver(address: str) -> str:
    return function(address).driver


def override(address: str) -> str:
    return function(address).override


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "gave up waiting"
        time.sleep(0.02)


def drive(address: str, name: str) -> None:
    """The driver `name` runs the function, by hand and without `vmm`."""
    if driver(address) != name:
        if driver(address):
            write(f"{DEVICES}/{address}/driver/unbind", address)
        write(f"/sys/bus/pci/drivers/{name}/bind", address)


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
