"""`vmm boot --dry-run`: would this configuration find its files? Makes and starts nothing."""

from __future__ import annotations

import os

from vmm.config import VmConfig
from vmm.errors import EXIT_OK, BootError, HostError
from vmm.values import write_size


def dry_run(config: VmConfig) -> int:
    """Says what would be booted. Raises BootError or HostError for what cannot be opened."""
    for what, path in files(config):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise BootError(f"cannot read the {what} {path}: {error.strerror}") from error
    for option, path in places(config):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise HostError(f"cannot write in {folder}, which {option} {path} needs")
    print(
        f"would boot {config.kernel} with {config.cpus} vCPU{'s' if config.cpus > 1 else ''} and "
        f"{write_size(config.mem)} of memory"
    )
    return EXIT_OK


def files(config: VmConfig) -> list[tuple[str, str]]:
    """(what, path) of every file that is read at boot."""
    named = [("kernel", config.kernel), ("initrd", config.initrd)]
    named += [("module", module.path) for module in config.modules]
    return [(what, path) for what, path in named if path]


def places(config: VmConfig) -> list[tuple[str, str]]:
    """(option, path) of every file that is made."""
    named = [("--exit-report", config.exit_report)]
    named += [
        ("--console", console.path) for console in config.consoles if console.kind != "connect"
    ]
    return [(option, path) for option, path in named if path]
