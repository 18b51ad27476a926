"""Unpacks the payload of a bzImage: a compressed ELF followed by its uncompressed size.

The kernel's build appends the size (32 bits, little endian) to every payload; for gzip it is the
stream's own last word. It bounds the output, so a hostile stream cannot exhaust memory. gzip, xz,
lzma and bzip2 come with Python; zstd and lz4 are the `zstandard` and `lz4` packages. All are
imported at first use: a warm boot never unpacks.
"""

from __future__ import annotations

from struct import unpack_from

from vmm.errors import BootError

UNPACKED_MAX = 1 << 30
LZ4_LEGACY_BLOCK = 8 << 20  # every block but the last unpacks to this
LZ4_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (LZ4_LEGACY_MAGIC, "lz4"),
    (b"\x5d\0\0", "lzma"),
    (b"BZh", "bzip2"),
)


def compression(data: bytes) -> str | None:
    """Name of the compression whose magic number `data` starts with."""
    for magic, name in MAGICS:
        if data.startswith(magic):
            return name
    return None


def unpack(payload: bytes, path: str) -> bytes:
    """The unpacked payload of the bzImage at `path`; BootError if it is damaged or unknown."""
    kind = compression(payload)
    if payload.startswith(b"\x7fELF"):
        return payload  # CONFIG_KERNEL_UNCOMPRESSED
    if kind is None or len(payload) < 16:
        raise BootError(f"kernel {path}: its payload has an unknown compression; try --kaslr")
    (size,) = unpack_from("<I", payload, len(payload) - 4)
    if not 0 < size <= UNPACKED_MAX:
        raise BootError(
            f"kernel {path}: its {kind} payload claims to unpack to {size} bytes; "
            "the file is damaged"
        )
    try:
        data = _unpack(kind, payload, size)
    except ImportError as error:
        raise BootError(
            f"kernel {path}: unpacking {kind} needs the Python package {error.name}; install it, "
            "or use --kaslr, which leaves unpacking to the kernel itself"
        ) from None
    except Exception as error:  # each library has its own tree of errors
        reason = " ".join(str(error).split())
        raise BootError(
            f"kernel {path}: unpacking its {kind} payload failed ({reason}); the file is damaged"
        ) from None
    if len(data) != size:
        raise BootError(
            f"kernel {path}: its {kind} payload does not unpack to the {size} bytes "
            "it claims; the file is damaged"
        )
    return data


def _unpack(kind: str, payload: bytes, size: int) -> bytes:
    if kind == "gzip":
        return _gzip(payload, size)
    if kind in ("xz", "lzma"):
        return _xz(payload, size)
    if kind == "bzip2":
        return _bzip2(payload, size)
    return _zstd(payload, size) if kind == "zstd" else _lz4(payload, size)


def _gzip(payload: bytes, size: int) -> bytes:
    import zlib

    return zlib.decompressobj(wbits=31).decompress(payload, size + 1)


def _xz(payload: bytes, size: int) -> bytes:
    import lzma

    return lzma.LZMADecompressor(memlimit=256 << 20).decompress(payload, size + 1)


def _bzip2(payload: bytes, size: int) -> bytes:
    import bz2

    return bz2.BZ2Decompressor().decompress(payload, size + 1)


def _zstd(payload: bytes, size: int) -> bytes:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(payload[:-4])
    parts = []
    while size >= 0 and (part := reader.read(min(size + 1, 4 << 20))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _lz4(payload: bytes, size: int) -> bytes:
    """lz4's legacy frame, the only one the kernel's build uses: magic, then (length, block)."""
    import lz4.block

    parts: list[bytes] = []
    at = len(LZ4_LEGACY_MAGIC)
    left = size
    while left > 0:
        (length,) = unpack_from("<I", payload, at)
        at += 4
        if length > len(payload) - at:
            raise ValueError(f"block of {length} bytes at {at} passes the end")
        block = lz4.block.decompress(
            memoryview(payload)[at : at + length], uncompressed_size=min(left, LZ4_LEGACY_BLOCK)
        )
        if not block:
            raise ValueError(f"empty block at {at}")
        parts.append(block)
        at += length
        left -= len(block)
    return b"".join(parts)
