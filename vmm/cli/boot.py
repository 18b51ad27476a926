"""`vmm boot`, the lean way: argv to VmConfig to Machine to exit code, importing only what runs."""

from __future__ import annotations

from vmm.argv import scan
from vmm.config import VmConfig
from vmm.errors import EXIT_OK
from vmm.options import BOOT_OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def boot(argv: Sequence[str]) -> int:
    """`vmm boot ARGV`; returns the exit code."""
    values, problems = scan(argv, BOOT_OPTIONS)
    if values.get("help"):
        from vmm.cli.main import run

        return run(["boot", "--help"])
    return boot_values(values, problems)


def boot_values(values: Mapping[str, Any], problems: Sequence[str] = ()) -> int:
    """What both parsers end in. Raises ConfigError, HostError, KvmError, BootError, GuestCrash."""
    config = VmConfig.from_values(values, problems)
    if values.get("dump_config"):
        print(config.to_toml(), end="")
        return EXIT_OK
    if values.get("dry_run"):
        from vmm.cli.dryrun import dry_run

        return dry_run(config)
    from vmm.control.run import run_machine

    return run_machine(config, stop_before=values.get("stop_before", ""))
