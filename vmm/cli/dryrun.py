"""`vmm boot --dry-run`: what would be booted, or what stands against it. Makes and starts nothing.

Images go through the code of a real boot, so that they are refused for the same reasons, in the
same words. A kernel that must be unpacked is, and stays in the cache for the boot that follows.
"""

from __future__ import annotations

import os

from vmm.boot import BootResult, prepare
from vmm.boot.plan import plan
from vmm.bootplan import boot_config, check_clock
from vmm.config import VmConfig
from vmm.errors import EXIT_OK, HostError
from vmm.kvm import topology
from vmm.texts import write_size

CONSOLE_FILES = ("file", "socket", "pipe")  # kinds that make one at their path


def dry_run(config: VmConfig) -> int:
    """Says what would be booted.

    Raises what the boot would: ConfigError, BootError, HostError for files it could not make.
    """
    with prepare(boot_config(config, topology.apic_ids(config.cpu, config.cpus))) as images:
        check_clock(config, images.image)
        planned = plan(images, config.mem)
    for option, path in places(config):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise HostError(f"cannot write in {folder}, which {option} {path} needs")
    print(describe(config, planned))
    return EXIT_OK


def describe(config: VmConfig, planned: BootResult) -> str:
    """The machine in a sentence, then a line for each thing in its memory: where, and what."""
    cpus = f"{config.cpus} vCPU{'s' if config.cpus > 1 else ''}"
    lines = [
        f"would boot {config.kernel} ({planned.format}, as {planned.protocol}) with {cpus} and "
        f"{write_size(config.mem)} of memory, entered at {planned.entry.rip:#x}:"
    ]
    for piece in sorted(planned.pieces, key=lambda piece: piece.base):
        lines.append(f"  {piece.base:#011x}..{piece.base + piece.length:#011x} {piece.name}")
    return "\n".join(lines)


def places(config: VmConfig) -> list[tuple[str, str]]:
    """(option, path) of every file that is made."""
    named = [("--exit-report", config.exit_report)]
    named += [("--console", c.path) for c in config.consoles if c.kind in CONSOLE_FILES]
    named += [("--port", p.end.path) for p in config.ports if p.end.kind in CONSOLE_FILES]
    return [(option, path) for option, path in named if path]
