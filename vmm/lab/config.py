"""What a lab run is asked to do: pure data, checked before anything is started."""

from __future__ import annotations

import os

from vmm.errors import ConfigError
from vmm.record import Record
from vmm.texts import write_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MEM_MIN = 256 << 20  # bytes; below this L1 has no room for its own files
MEM_MAX = 1 << 40
CPUS_MAX = 64
EXIT_COMMAND_SIGNAL = 128  # + the signal that ended the command, as shells have it


class LabConfig(Record):
    """One run. Sizes are bytes, times seconds."""

    command: tuple[
        str, ...
    ] = ()  # argument vector, found through PATH; a shell's words need `sh -c`
    mem: int = 4 << 30
    cpus: int = 1  # docs/decisions/0013-one-cpu-in-the-lab.md
    devices: tuple[str, ...] = ()  # each one QEMU -device argument: more PCI devices for L1
    qemu_args: tuple[str, ...] = ()  # anything else for QEMU: -drive, -netdev, ...
    kernel_args: tuple[str, ...] = ()  # L1's command line, after the lab's own
    env: tuple[str, ...] = ()  # NAME=VALUE, or NAME to pass on the present value
    cwd: str | None = None  # None: the present working directory
    out: str | None = None  # folder mounted read-write at /out
    timeout: float | None = None  # for the command; the boot has its own watchdog
    count: bool = False  # instruction-counted: every clock inside advances 1 ns per instruction
    boot_patience: float = 60.0  # how long one step of L1's boot may take
    console: str | None = None  # file that receives L1's kernel console; "-" is stderr
    quiet: bool = False  # no progress lines of the lab itself

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> LabConfig:
        """From what a parser of the table of options found; "rest" is the command."""
        fields = {name: value for name, value in values.items() if name != "rest"}
        return cls(command=tuple(values.get("rest", ())), **fields)


def check(config: LabConfig, *, interactive: bool) -> None:
    """Raises ConfigError naming everything that cannot work."""
    problems = []
    if not interactive and not config.command:
        problems.append("run needs a command after --")
    if any("\0" in word for word in (*config.command, *config.env, *config.kernel_args)):
        problems.append("a NUL byte cannot be part of a command, a variable or a kernel argument")
    if not MEM_MIN <= config.mem <= MEM_MAX:
        problems.append(
            f"--mem must be {MEM_MIN >> 20}M to {MEM_MAX >> 30}G, not {write_size(config.mem)}"
        )
    if not 1 <= config.cpus <= CPUS_MAX:
        problems.append(f"--cpus must be 1 to {CPUS_MAX}, not {config.cpus}")
    if config.timeout is not None and config.timeout <= 0:
        problems.append(f"--timeout must be more than 0 seconds, not {config.timeout:g}")
    if config.boot_patience <= 0:
        problems.append(
            f"--boot-patience must be more than 0 seconds, not {config.boot_patience:g}"
        )
    if config.out is not None and not os.path.isdir(config.out):
        problems.append(f"--out {config.out} is not a folder")
    if config.cwd is not None and not os.path.isdir(config.cwd):
        problems.append(f"--cwd {config.cwd} is not a folder")
    problems += [
        f"--device needs a QEMU device, not {d!r}" for d in config.devices if not d.strip()
    ]
    problems += [f"--env needs NAME or NAME=VALUE, not {e!r}" for e in config.env if e[:1] in "="]
    if problems:
        raise ConfigError(*problems)


PASSED_ON = (
    *("PATH", "HOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "TERM"),
    *("VMM_CACHE", "XDG_CACHE_HOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
)


def environment(config: LabConfig, here: dict[str, str]) -> dict[str, str]:
    """The command's whole environment: a few names from `here`, VMM_LAB=1, then --env."""
    values = {name: here[name] for name in PASSED_ON if name in here}
    values.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    values["VMM_LAB"] = "count" if config.count else "1"
    for item in config.env:
        name, equals, value = item.partition("=")
        if equals:
            values[name] = value
        elif name in here:
            values[name] = here[name]
    return values
