"""The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst, field offsets in hex)."""

from __future__ import annotations

from struct import unpack_from

from vmm.boot.source import Source
from vmm.record import Record

HEADER = 0x1F1  # first byte of the setup header, in the file and in the zero page
HEADER_MAX = 0x290  # the zero page has room for the header up to here
BOOT_FLAG = b"\x55\xaa"  # at 0x1fe
MAGIC = b"HdrS"  # at 0x202
VERSION_MIN = 0x20C  # first with xloadflags: tells whether a 64-bit entry exists
LOADED_HIGH = 1  # loadflags
XLF_KERNEL_64 = 1  # xloadflags
ENTRY64 = 0x200  # from the start of the protected-mode part
SETUP_SECTS_MAX = 64
KERNEL_MAX = 1 << 30  # bytes; distribution kernels need about 64 MiB


class SetupHeader(Record):
    """Checked fields of the header; `raw` is what goes into the zero page at 0x1f1."""

    raw: bytes
    code_offset: int  # in the file: the protected-mode part
    code_size: int
    payload_offset: int  # in the file: the compressed ELF; size 0 when unknown
    payload_size: int
    cmdline_size: int  # longest command line without its NUL
    initrd_addr_max: int  # highest address of an initrd's last byte
    kernel_alignment: int
    pref_address: int
    init_size: int
    relocatable: bool


# What a bare ELF kernel, which carries no header, is taken to ask for.
DEFAULTS = SetupHeader(
    raw=b"",
    code_offset=0,
    code_size=0,
    payload_offset=0,
    payload_size=0,
    cmdline_size=2047,
    initrd_addr_max=0x7FFF_FFFF,
    kernel_alignment=0x20_0000,
    pref_address=0x100_0000,
    init_size=0,
    relocatable=False,
)


def is_bzimage(head: bytes) -> bool:
    return head[0x202:0x206] == MAGIC and head[0x1FE:0x200] == BOOT_FLAG


def _check_kind(source: Source, head: bytes) -> None:
    """Refuse kernels without the 64-bit entry that is used here."""
    if len(head) < HEADER_MAX:
        raise source.refuse("is truncated inside its Linux setup header; get the whole file")
    (version,) = unpack_from("<H", head, 0x206)
    if version < VERSION_MIN:
        raise source.refuse(
            f"speaks boot protocol {version >> 8}.{version & 255:02}; "
            "2.12 (Linux 3.8) or newer is needed"
        )
    if not unpack_from("<H", head, 0x236)[0] & XLF_KERNEL_64:
        raise source.refuse("is a 32-bit Linux kernel; give an x86-64 one")
    if not head[0x211] & LOADED_HIGH:
        raise source.refuse("is a zImage, which loads below 1 MiB; give a bzImage")


def parse(source: Source, head: bytes) -> SetupHeader:
    """Check the header at the start of `source` (`head`: its first 4 KiB)."""
    _check_kind(source, head)
    code_offset = ((head[0x1F1] or 4) + 1) * 512
    code_size = source.size - code_offset
    if code_offset > (SETUP_SECTS_MAX + 1) * 512 or code_size <= ENTRY64:
        raise source.refuse("is truncated: its kernel proper is missing; get the whole file")
    (syssize,) = unpack_from("<I", head, 0x1F4)  # 16-byte units, file end excluding signatures
    payload_offset, payload_size = unpack_from("<II", head, 0x248)
    if syssize * 16 > code_size + 15 or payload_offset + payload_size > code_size:
        raise source.refuse(
            f"is truncated: it has {source.size} bytes, its header describes "
            f"{code_offset + max(syssize * 16, payload_offset + payload_size)}; get the whole file"
        )
    pref_address, init_size = unpack_from("<QI", head, 0x258)
    if max(init_size, code_size) > KERNEL_MAX or pref_address > KERNEL_MAX:
        raise source.refuse(
            f"asks for {init_size} bytes at {pref_address:#x}, which no kernel needs"
        )
    alignment = unpack_from("<I", head, 0x230)[0]
    if alignment == 0 or alignment & (alignment - 1):
        raise source.refuse(f"asks for an alignment of {alignment}, which is not a power of two")
    return SetupHeader(
        raw=head[HEADER : min(0x202 + head[0x201], HEADER_MAX)],
        code_offset=code_offset,
        code_size=code_size,
        payload_offset=code_offset + payload_offset,
        payload_size=payload_size,
        cmdline_size=unpack_from("<I", head, 0x238)[0],
        initrd_addr_max=unpack_from("<I", head, 0x22C)[0],
        kernel_alignment=alignment,
        pref_address=pref_address,
        init_size=init_size,
        relocatable=bool(head[0x234]),
    )
