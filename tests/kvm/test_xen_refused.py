"""A Xen guest that cannot be built: one sentence, and all that was made so far is given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import guests

pytestmark = pytest.mark.needs("kvm")
XEN = (sys.executable, "-m", "vmm", "boot", "--xen", "--xen-backend", "userspace")


def boot(*options: str, stderr: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    guests.build()
    return subprocess.run(
        [*XEN, "--kernel", str(guests.BUILD / "xen.elf"), "--timeout", "10", *options],
        stdout=subprocess.DEVNULL, stderr=stderr, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--disk", "/nonexistent"), "/nonexistent"),
        (("--disk", "/nonexistent,bus=xen"), "/nonexistent"),
        (("--net", "fd=77"), "77"),
        (("--trace", "xen", "--disk", "/nonexistent"), "/nonexistent"),
        (("--trace", "xen:/nonexistent/trace"), "/nonexistent/trace"),
    ],
)
def test_one_sentence_and_no_more(options: tuple[str, ...], says: str) -> None:
    done = boot(*options)
    assert done.returncode == 4, done.stderr
    [line] = done.stderr.splitlines()
    assert says in line


def test_trace_needs_somewhere_to_go() -> None:
    guests.build()
    words = (*XEN, "--kernel", str(guests.BUILD / "xen.elf"), "--timeout", "1")
    codes = [
        subprocess.run(
            ["sh", "-c", 'exec 2>&-; exec "$@"', "sh", *words, *trace],
            stdout=subprocess.DEVNULL, timeout=60, check=False,
        ).returncode
        for trace in ((), ("--trace", "xen"))
    ]  # fmt: skip
    assert codes[0] != 4 == codes[1]
