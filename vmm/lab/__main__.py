"""`python -m vmm.lab`: the lab without the rest of the command line, for use before anything is
built.

run [options] -- CMD, shell [options] [-- CMD]: the lab. fetch: fill the cache. headers: fill it,
then print the include folder of the lab's kernel.
"""

from __future__ import annotations

import argparse
import sys

from vmm.errors import VmmError
from vmm.lab import LabConfig, lab_run, lab_shell
from vmm.lab.kernel import kernel


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="vmm lab", allow_abbrev=False)
    made.add_argument("verb", choices=("run", "shell", "fetch", "headers"))
    made.add_argument("-m", "--mem", type=size, default=LabConfig().mem, metavar="SIZE")
    made.add_argument("-c", "--cpus", type=int, default=LabConfig().cpus)
    made.add_argument("--device", action="append", default=[], metavar="QEMU_DEVICE")
    made.add_argument("--qemu-arg", action="append", default=[], metavar="WORD")
    made.add_argument("--kernel-arg", action="append", default=[], metavar="ARGUMENT")
    made.add_argument("--env", action="append", default=[], metavar="NAME[=VALUE]")
    made.add_argument("--cwd")
    made.add_argument("--out", metavar="DIR")
    made.add_argument("--timeout", type=float, metavar="SECONDS")
    made.add_argument("--count", action="store_true", help="count instructions: exact, one CPU")
    made.add_argument("--boot-patience", type=float, default=LabConfig().boot_patience)
    made.add_argument("--console", metavar="FILE|-")
    made.add_argument("--quiet", action="store_true")
    return made


def size(text: str) -> int:
    """512M, 4G, or plain MiB; in bytes."""
    units = {"K": 10, "M": 20, "G": 30}
    unit = text[-1:].upper()
    if unit in units:
        return int(text[:-1]) << units[unit]
    return int(text) << 20


def main(argv: list[str]) -> int:
    end = argv.index("--") if "--" in argv else len(argv)
    words = parser().parse_args(argv[:end])
    try:
        if words.verb in ("fetch", "headers"):
            found = kernel()
            print(found.headers if words.verb == "headers" else found.version)
            return 0
        config = configured(words, argv[end + 1 :])
        return lab_run(config) if words.verb == "run" else lab_shell(config)
    except VmmError as error:
        print(f"vmm lab: {error}", file=sys.stderr)
        return error.exit_code


def configured(words: argparse.Namespace, command: list[str]) -> LabConfig:
    return LabConfig(
        command=tuple(command),
        mem=words.mem,
        cpus=words.cpus,
        devices=tuple(words.device),
        qemu_args=tuple(words.qemu_arg),
        kernel_args=tuple(words.kernel_arg),
        env=tuple(words.env),
        cwd=words.cwd,
        out=words.out,
        timeout=words.timeout,
        count=words.count,
        boot_patience=words.boot_patience,
        console=words.console,
        quiet=words.quiet,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
