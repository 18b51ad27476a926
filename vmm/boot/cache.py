"""Unpacked kernels, kept between boots.

`kernels/SHA256.elf` is the ELF of the bzImage with that digest, rewritten so that loading is a few
reads: headers and notes in the first page, then page-aligned segment contents without symbols,
relocations or long runs of zeros. Two kinds of index file hold one line about it: the one named by
the digest, and one named by the bzImage's device, inode, size and times, which makes a warm boot
free of hashing. The line records the ELF's size, modification time and first page's checksum; an
ELF that does not match was damaged or cut short and is made again. Files appear by rename, so
concurrent boots see whole ones only.
"""

from __future__ import annotations

import os

from vmm.boot.bzimage import SetupHeader
from vmm.boot.source import Source, memory_source, open_source, write_all
from vmm.errors import BootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "1"  # part of every index name: changing the ELF's layout abandons old entries
PAGE = 4096
KEEP = 8  # kernels; the least recently made ones go first


def folder(configured: str) -> str:
    """Where unpacked kernels live; it need not exist yet."""
    base = configured or os.environ.get("VMM_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = os.path.join(home, "vmm")
    return os.path.join(base, "kernels")


def unpacked(source: Source, header: SetupHeader, directory: str) -> tuple[Source, bool]:
    """The unpacked ELF of a bzImage as an open file, and whether it was there already."""
    stat = source.stat
    quick = (
        f"{FORMAT}-{stat.st_dev:x}-{stat.st_ino:x}-{stat.st_size:x}"
        f"-{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}"
    )
    found = _look_up(directory, quick)
    if found:
        return found, True
    data = source.read(0, source.size)
    digest = _sha256(data)
    found = _look_up(directory, f"{FORMAT}-{digest}")
    if found:
        _try_record(directory, quick, _index_line(found, digest))
        return found, True
    start = header.payload_offset
    image = _unpack(data[start : start + header.payload_size], source)
    return _store(directory, image, digest, quick, source), False


def _unpack(payload: bytes, source: Source) -> list[bytes | memoryview]:
    from vmm.boot import compact, unpack

    image = unpack.unpack(payload, source.path)
    with memory_source(source.path, "unpacked kernel", [image]) as whole:
        return compact.compact(whole, image)


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _look_up(directory: str, key: str) -> Source | None:
    """The ELF that the index entry `key` names, if both are sound and this user's own."""
    try:
        with open(os.path.join(directory, "index", key), "rb") as file:
            line = file.read(512).decode("ascii")
        digest = line.split(" ", 1)[0]
        if len(digest) != 64 or not digest.isalnum():
            return None
        source = open_source(os.path.join(directory, digest + ".elf"), "cached kernel")
    except (OSError, ValueError, BootError):
        return None
    if source.stat.st_uid == os.geteuid() and line == _index_line(source, digest):
        return source
    source.close()
    return None


def _index_line(source: Source, digest: str) -> str:
    from binascii import crc32

    return f"{digest} {source.size} {source.stat.st_mtime_ns} {crc32(source.head(PAGE)):08x}\n"


def _store(
    directory: str, image: list[bytes | memoryview], digest: str, quick: str, bzimage: Source
) -> Source:
    """Put `image` into the cache; where that is impossible, hold it in memory for this boot."""
    try:
        os.makedirs(os.path.join(directory, "index"), mode=0o700, exist_ok=True)
        path = os.path.join(directory, digest + ".elf")
        _write(path, image)
        found = open_source(path, "cached kernel")
        line = _index_line(found, digest)
        _record(directory, f"{FORMAT}-{digest}", line)
        _record(directory, quick, line)
        _prune(directory)
        return found
    except OSError:
        return memory_source(bzimage.path, "unpacked kernel", image)


def _record(directory: str, key: str, line: str) -> None:
    _write(os.path.join(directory, "index", key), [line.encode("ascii")])


def _try_record(directory: str, key: str, line: str) -> None:
    from contextlib import suppress

    with suppress(OSError):  # a cache that cannot be written still works, only slower
        _record(directory, key, line)


def _write(path: str, parts: Iterable[bytes | memoryview]) -> None:
    """Create or replace `path` in one step, with its contents on disk before its name is."""
    temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, parts)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _prune(directory: str) -> None:
    """Drop all but the KEEP newest kernels, and index entries older than the oldest kept one."""
    from contextlib import suppress

    kernels = [e for e in os.scandir(directory) if e.name.endswith((".elf", ".tmp"))]
    kernels.sort(key=lambda e: e.stat().st_mtime_ns, reverse=True)
    if len(kernels) <= KEEP:
        return
    oldest = kernels[KEEP - 1].stat().st_mtime_ns
    index = os.scandir(os.path.join(directory, "index"))
    for entry in [*kernels[KEEP:], *(e for e in index if e.stat().st_mtime_ns < oldest)]:
        with suppress(FileNotFoundError):  # another boot was faster
            os.unlink(entry.path)
