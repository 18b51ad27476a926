"""Names what a file is that is no kernel for this VM, so that the user sees the mix-up."""

from __future__ import annotations

from vmm.boot.unpack import compression

ADVICE = "give a bzImage, an x86-64 ELF kernel or a multiboot image"
# (offset, magic, what it is)
KNOWN = (
    (0x38, b"ARM\x64", "an aarch64 Linux image"),
    (0x38, b"RSC\x05", "a RISC-V Linux image"),
    (0x24, b"\x18\x28\x6f\x01", "a 32-bit ARM zImage"),
    (4, b"zimg", "a compressed EFI image"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"\xd0\x0d\xfe\xed", "a device tree or FIT image"),
    (0, b"070701", "a cpio archive, perhaps the initrd"),
    (0, b"QFI\xfb", "a qcow2 disk"),
    (0, b"!<arch>", "a static library or Debian package"),
    (0, b"#!", "a script"),
    (0, b"MZ", "an EFI or DOS program"),
)


def describe(head: bytes) -> str:
    """The rest of a sentence that starts with the file's name."""
    for offset, magic, name in KNOWN:
        if head[offset : offset + len(magic)] == magic:
            return f"is {name}; {ADVICE}"
    kind = compression(head)
    if kind:
        return f"is {kind} data, not a kernel; unpack it, or {ADVICE}"
    return f"has none of the known boot formats; {ADVICE}, or ask for the flat boot protocol"
