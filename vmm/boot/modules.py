"""Boot modules of PVH and multiboot: the initrd first, then what --module names."""

from __future__ import annotations

from vmm.boot.loader import Loader
from vmm.boot.records import BootConfig
from vmm.boot.source import Source, open_source
from vmm.errors import BootError
from vmm.layout import HIGH_MEMORY

MODULES_MAX = 32


class Module:
    """An open module file and the string handed over with it."""

    def __init__(self, source: Source, text: str) -> None:
        self.source = source
        self.text = text


def open_modules(config: BootConfig) -> list[Module]:
    """All module files, open; their strings are "PATH ARGUMENTS", as multiboot has them."""
    if len(config.modules) > MODULES_MAX:
        raise BootError(
            f"{len(config.modules)} boot modules are given; at most {MODULES_MAX} are supported"
        )
    opened: list[Module] = []
    try:
        if config.initrd:
            opened.append(Module(open_source(config.initrd, "initrd"), config.initrd))
        for path, args in config.modules:
            opened.append(Module(open_source(path, "module"), f"{path} {args}" if args else path))
    except BootError:
        for module in opened:
            module.source.close()
        raise
    return opened


def place_modules(
    loader: Loader, modules: list[Module], limit: int, low: int = HIGH_MEMORY
) -> list[tuple[int, int, str]]:
    """Load each module at the top of free memory in [low, limit): (base, size, string)."""
    placed = []
    for module in modules:
        source = module.source
        base = loader.find(source.size, limit, low)
        if base is None:
            raise source.refuse(
                f"has {source.size} bytes, for which this VM's memory has no room; "
                "give it more memory or a smaller file"
            )
        loader.put_file(source.what, base, source, (0, source.size), source.size)
        placed.append((base, source.size, module.text))
    return placed
