"""Boot images and firmware tables: from files to guest memory and the boot vCPU's first state.

`prepare` opens and checks the images and unpacks the kernel, before anything of KVM exists;
`Prepared.load` writes them, with ACPI, SMBIOS and MP tables, into guest memory, as often as the
machine is reset. `image` recognises files, `linux` `pvh` `multiboot` `flat` are the protocols,
`acpi` `dsdt` `aml` `smbios` `mptable` the tables, `loader` is the only writer of memory.
"""

from __future__ import annotations

from vmm.boot.image import Image, identify
from vmm.boot.loader import Loader
from vmm.boot.modules import Module, open_modules
from vmm.boot.records import AcpiConfig, BootConfig, BootResult, Piece
from vmm.kvm.regs import EntryState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.boot.loader import GuestRam

__all__ = [
    "AcpiConfig",
    "BootConfig",
    "BootResult",
    "EntryState",
    "Piece",
    "Prepared",
    "load",
    "prepare",
]


class Prepared:
    """Open, checked and unpacked boot images. Close it (or use `with`) when no reset can follow."""

    def __init__(self, config: BootConfig, image: Image, modules: list[Module]) -> None:
        self.config = config
        self.image = image
        self.modules = modules

    def load(self, memory: GuestRam, fresh: bool = True) -> BootResult:
        """Write everything into `memory`. `fresh`: RAM that was not written reads as zero.

        Raises BootError if something does not fit or a file changed under our hands.
        """
        from vmm.boot import firmware

        loader = Loader(memory, fresh)
        rsdp = firmware.place(loader, self.config)
        entry = self._place(loader, rsdp)
        return BootResult(
            entry=entry,
            pieces=tuple(loader.pieces),
            format=self.image.format,
            protocol=self.image.protocol,
            warm=self.image.warm,
            reserved=self.config.reserved,
        )

    def _place(self, loader: Loader, rsdp: int) -> EntryState:
        config, image, modules = self.config, self.image, self.modules
        protocol = image.protocol
        if protocol in ("linux", "elf64"):
            from vmm.boot import linux

            initrd = modules[0].source if modules else None
            enter = linux.load_bzimage if protocol == "linux" else linux.load_elf
            return enter(loader, config, image, initrd, rsdp)
        if protocol == "pvh":
            from vmm.boot import pvh

            return pvh.load(loader, config, image, modules, rsdp)
        if protocol == "multiboot":
            from vmm.boot import multiboot

            return multiboot.load(loader, config, image, modules)
        from vmm.boot import flat

        return flat.load(loader, image)

    def close(self) -> None:
        self.image.close()
        for module in self.modules:
            module.source.close()

    def __enter__(self) -> Prepared:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def prepare(config: BootConfig) -> Prepared:
    """Open and check every image `config` names; unpack the kernel if its protocol needs that."""
    from vmm.boot import cmdline

    image = identify(config.kernel, config.protocol, config.kaslr)
    modules: list[Module] = []
    try:
        cmdline.encode(config.cmdline, image.header.cmdline_size)
        modules = open_modules(config)
        _check_modules(config, image)
        if image.format == "bzImage" and image.protocol != "linux":
            from vmm.boot import cache

            image.unpack(cache.folder(config.cache_dir))
        return Prepared(config, image, modules)
    except BaseException:
        image.close()
        for module in modules:
            module.source.close()
        raise


def _check_modules(config: BootConfig, image: Image) -> None:
    """Refuse modules that the protocol has no way to hand over."""
    if config.modules and image.protocol in ("linux", "elf64", "flat"):
        raise image.source.refuse(
            f"is started as {image.protocol}, which takes no modules beside the initrd"
        )
    if config.initrd and image.protocol == "flat":
        raise image.source.refuse("is a flat image, which takes no initrd")


def load(config: BootConfig, memory: GuestRam) -> BootResult:
    """`prepare` and load once, for callers that never reset the machine."""
    with prepare(config) as prepared:
        return prepared.load(memory)
