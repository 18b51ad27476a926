"""From exec to the first guest instruction: a guest that ends at once, whole process CPU."""

from __future__ import annotations

from tests.benchmarks import tools
from tests.benchmarks.process import cpu_of, say
from tests.benchmarks.results import Measures

NULL = tools.BUILD / "null.elf"


def subjects() -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """Command and accepted exit codes by name. 1 is what the guest says."""
    null, done = ["--kernel", str(NULL)], (1,)
    return {
        "rawvmm": ([*tools.RAW, str(NULL)], done),
        "python -I -S": ([*tools.PYTHON, "-I", "-S", "-c", "pass"], (0,)),
        "python": ([*tools.PYTHON, "-c", "pass"], (0,)),
        "vmm boot": (tools.vmm_boot(*null, "--debug-exit"), done),
        "qemu --version": (tools.qemu_words("--version"), (0,)),
        "qemu microvm": (tools.microvm("-kernel", str(NULL), *tools.EXIT), done),
        "qemu pc": (tools.pc("-kernel", str(NULL.with_suffix(".mb")), *tools.EXIT), done),
    }


def measure(rounds: int) -> Measures:
    """CPU seconds of each subject; the first of `rounds` does not count."""
    found = Measures()
    for number in range(rounds):
        say(f"startup: round {number}")
        for name, (argv, codes) in subjects().items():
            seconds, _said = cpu_of(argv, codes)
            if number:
                found.add(f"startup/{name}", seconds)
    return found
