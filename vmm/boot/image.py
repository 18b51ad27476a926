"""Tells boot images apart: bzImage, ELF64 vmlinux, PVH ELF, multiboot 1, flat real-mode binary.

`identify` looks at headers only and decides the boot protocol: the one asked for if the image can,
else the first that fits of multiboot (header in the first 8 KiB), Linux (its notes or a setup
header), PVH (entry note), bare ELF64. A flat binary shows nothing but a boot sector's signature, so
any other file must be asked for as "flat". Everything else is refused in a sentence.
"""

from __future__ import annotations

from vmm import layout
from vmm.boot import bzimage, elf
from vmm.boot.loader import Loader
from vmm.boot.records import PROTOCOLS
from vmm.boot.source import Source, open_source
from vmm.errors import BootError
from vmm.record import replace

HEAD = 8192  # bytes in which a multiboot header must lie
FLAT_MAX = layout.EBDA - layout.REAL_MODE_IMAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.boot.mbheader import MultibootHeader

ANY_ELF_HEADER = replace(
    bzimage.DEFAULTS, cmdline_size=layout.CMDLINE_MAX - 1, initrd_addr_max=layout.HOLE - 1
)


class Image:
    """An identified kernel: `format` says what the file is, `protocol` how it will be started."""

    def __init__(self, source: Source, file_format: str, protocol: str) -> None:
        self.source = source
        self.format = file_format
        self.protocol = protocol
        self.header = ANY_ELF_HEADER
        self.warm = True  # False once something had to be unpacked
        self.pvh_entry = 0
        self._elf: elf.Elf | None = None
        self._multiboot: MultibootHeader | None = None

    @property
    def is_linux(self) -> bool:
        """A Linux kernel, known by its setup header or its notes, whatever the protocol."""
        return self.header is not ANY_ELF_HEADER

    @property
    def elf(self) -> elf.Elf:
        assert self._elf is not None, "only after identify or unpack found an ELF"
        return self._elf

    @property
    def multiboot(self) -> MultibootHeader:
        assert self._multiboot is not None, "only after identify found a multiboot header"
        return self._multiboot

    def put_segments(self, loader: Loader) -> None:
        """Load every PT_LOAD segment at its physical address."""
        loads = self.elf.loads()
        start = min(s.paddr for s in loads)
        loader.expect(start, self.elf.end() - start)
        for s in loads:
            name = f"kernel segment {s.paddr:#x}"
            loader.put_file(name, s.paddr, self.source, (s.offset, s.filesz), s.memsz)

    def set_elf(self, source: Source) -> list[tuple[bytes, int, bytes]]:
        """Take `source` as this image's ELF; returns its notes."""
        self.source = source
        self._elf = elf.parse(source)
        notes = elf.notes(source, self._elf)
        self.pvh_entry = elf.pvh_entry(notes) or 0
        return notes

    def set_multiboot(self, header: MultibootHeader | None) -> None:
        self._multiboot = header

    def unpack(self, cache_dir: str) -> None:
        """Replace a bzImage by the ELF inside it."""
        from vmm.boot import cache

        packed = self.source
        found, self.warm = cache.unpacked(packed, self.header, cache_dir)
        packed.close()
        self.set_elf(found)
        if self.protocol == "pvh" and not self.pvh_entry:
            raise packed.refuse("has no PVH entry note; leave --boot-protocol to auto")

    def close(self) -> None:
        self.source.close()


def identify(path: str, protocol: str = "auto", kaslr: bool = False) -> Image:
    """Open and recognise the kernel at `path`. The caller closes the result."""
    if protocol not in PROTOCOLS:
        raise BootError(f"boot protocol {protocol} is unknown; use one of {', '.join(PROTOCOLS)}")
    source = open_source(path, "kernel")
    try:
        image = _identify(source, protocol, kaslr)
        if kaslr and image.protocol != "linux":
            raise source.refuse(
                "cannot be randomised: only bzImages started as Linux can (--kaslr)"
            )
        return image
    except BaseException:
        source.close()
        raise


def _identify(source: Source, protocol: str, kaslr: bool) -> Image:
    head = source.head(HEAD)
    if protocol == "flat":
        return _flat(source)
    if bzimage.is_bzimage(head):
        return _bzimage(source, head, protocol, kaslr)
    if head.startswith(elf.MAGIC):
        return _elf(source, head, protocol)
    if protocol in ("auto", "multiboot"):
        from vmm.boot import mbheader

        header = mbheader.find(source, head)
        if header is not None:
            if header.addresses is None:
                raise source.refuse(
                    "has a multiboot header, but is no ELF file and gives no load addresses; "
                    "link it as ELF or fill the header's address fields"
                )
            image = Image(source, "multiboot", "multiboot")
            image.set_multiboot(header)
            return image
    if protocol != "auto":
        raise source.refuse(f"cannot be started as {protocol}: it is neither bzImage nor ELF")
    # MZ: the stump of a bzImage, whose first sector is signed too.
    if head[510:512] == bzimage.BOOT_FLAG and head[:2] != b"MZ" and source.size <= FLAT_MAX:
        return _flat(source)
    from vmm.boot.rubbish import describe

    raise source.refuse(describe(head))


def _flat(source: Source) -> Image:
    if source.size > FLAT_MAX:
        raise source.refuse(
            f"has {source.size} bytes; a flat real-mode image can have {FLAT_MAX} at most"
        )
    return Image(source, "flat", "flat")


def _bzimage(source: Source, head: bytes, protocol: str, kaslr: bool) -> Image:
    header = bzimage.parse(source, head)
    if protocol == "multiboot":
        raise source.refuse(
            "is a bzImage, which has no multiboot header; leave the protocol to auto"
        )
    if protocol == "auto":
        protocol = "linux" if kaslr else "elf64"
    if protocol != "linux" and not header.payload_size:
        raise source.refuse("does not say where its payload is; use the linux boot protocol")
    image = Image(source, "bzImage", protocol)
    image.header = header
    return image


def _elf(source: Source, head: bytes, protocol: str) -> Image:
    from vmm.boot import mbheader

    image = Image(source, "ELF", protocol)
    notes = image.set_elf(source)
    image.format = f"ELF{image.elf.bits}"
    image.set_multiboot(mbheader.find(source, head) if protocol in ("auto", "multiboot") else None)
    if elf.is_linux(notes):
        image.header = bzimage.DEFAULTS
    can = {
        "multiboot": image._multiboot is not None,
        "elf64": image.elf.bits == 64,
        "pvh": image.pvh_entry != 0,
        "linux": False,
    }
    if protocol == "auto":
        preferred = ("multiboot", "elf64" if elf.is_linux(notes) else "pvh", "elf64", "pvh")
        image.protocol = next((name for name in preferred if can[name]), "")
        if not image.protocol:
            raise source.refuse(
                "is a 32-bit ELF with neither a multiboot header nor a PVH note; "
                "link it with one of them"
            )
    elif not can[protocol]:
        raise source.refuse(
            f"is an ELF{image.elf.bits} file that cannot be started as {protocol}; "
            "leave the protocol to auto"
        )
    return image
