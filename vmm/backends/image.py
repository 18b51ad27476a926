"""Images of disks on the host: opening, locking, measuring raw files and block devices."""

from __future__ import annotations

import fcntl
import os
import stat
from struct import pack

from vmm import log
from vmm.errors import HostError
from vmm.native import Fd, ffi, lib
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SECTOR = int(lib.BLK_SECTOR)
PAGE = 4096
# What images of other formats begin with.
MAGICS = {
    b"QFI\xfb": "qcow2",
    b"KDMV": "VMDK",
    b"vhdxfile": "VHDX",
    b"conectix": "VHD",
    b"<<< ": "VDI",
}


class BlockConfig(Record):
    """engine: "auto", "io_uring" or "threads". raw: the image is not asked what it is."""

    path: str
    read_only: bool = False
    direct: bool = False
    engine: str = "auto"
    raw: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> BlockConfig:
        """From the settings of `--disk`, whatever bus the disk is on."""
        return cls(
            path=settings["path"],
            read_only=settings["ro"] == "on",
            direct=settings["direct"] == "on",
            engine=settings["engine"],
            raw=settings["format"] == "raw",
        )


class Geometry(Record):
    """What a disk is like. Sizes in bytes; min_io, opt_io and alignment in blocks."""

    sectors: int
    block_size: int = SECTOR
    physical_size: int = PAGE
    min_io: int = 0
    opt_io: int = 0
    alignment: int = 0


def open_image(config: BlockConfig) -> Fd:
    """Open, and locked against other machines. HostError says why not."""
    path = config.path
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise HostError(f"{path} is a directory; a disk is an image file or a block device")
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise HostError(f"{path} is neither a file nor a block device, so it cannot be a disk")
        flags = os.O_CLOEXEC | (os.O_RDONLY if config.read_only else os.O_RDWR)
        if stat.S_ISBLK(mode) and not config.read_only:
            flags |= os.O_EXCL  # not what is mounted here
        file = Fd(os.open(path, flags))
    except OSError as error:
        raise HostError(_not_opened(config, error)) from error
    try:
        _lock(file, config)
    except BaseException:
        file.close()
        raise
    return file


def _not_opened(config: BlockConfig, error: OSError) -> str:
    import errno

    advice = ""
    if error.errno == errno.EBUSY:
        return (
            f"{config.path} is in use on this host, mounted or part of another device, so no guest "
            "may write to it; unmount it, or add ro"
        )
    if error.errno in (errno.EACCES, errno.EROFS) and not config.read_only:
        advice = "; ro is for disks that are only read"
    return f"Opening {config.path} as a disk failed: {error.strerror}{advice}"


def _lock(file: Fd, config: BlockConfig) -> None:
    """Of the open file: it lasts until the last descriptor of it is closed, whoever else closes."""
    kind = fcntl.F_RDLCK if config.read_only else fcntl.F_WRLCK
    whole = pack("@hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)  # struct flock
    try:
        fcntl.fcntl(file.number, fcntl.F_OFD_SETLK, whole)
    except BlockingIOError as error:
        other = "is written to" if config.read_only else "is used"
        raise HostError(
            f"{config.path} {other} by another machine or disk, so it cannot be a disk here; only "
            "disks that all have ro may share an image"
        ) from error
    except OSError as error:
        raise HostError(
            f"Locking {config.path} failed: {error.strerror}; a disk must be on a file system "
            "with locks"
        ) from error


def check_format(file: Fd, config: BlockConfig) -> None:
    """HostError if this is an image that only looks like a disk to those who know its format."""
    if config.raw:
        return
    begin = os.pread(file.number, 8, 0)
    for magic, name in MAGICS.items():
        if begin.startswith(magic):
            raise HostError(
                f"{config.path} is a {name} image, and disks are raw ones: convert it with "
                f"qemu-img convert -O raw, or add format=raw if a guest wrote that beginning"
            )


def measure(file: Fd, config: BlockConfig) -> Geometry:
    """HostError if there is nothing in it."""
    size = os.lseek(file.number, 0, os.SEEK_END)
    if size < SECTOR:
        raise HostError(
            f"{config.path} has {size} bytes, less than a sector; give it the size of a disk, "
            f"such as with truncate -s 1G {config.path}"
        )
    if size % SECTOR:
        log.warning("disk.tail_hidden", path=config.path, bytes=size % SECTOR)
    if not is_device(file):
        return Geometry(sectors=size // SECTOR)
    block, physical = _ask(file, "BLKSSZGET"), _ask(file, "BLKPBSZGET")
    if physical < block or physical & (physical - 1):
        physical = block  # drivers pass on whatever the hardware says
    return Geometry(
        sectors=size // SECTOR,
        block_size=block,
        physical_size=physical,
        min_io=min(_ask(file, "BLKIOMIN") // block, 0xFFFF),
        opt_io=_ask(file, "BLKIOOPT") // block,
        alignment=max(0, _ask(file, "BLKALIGNOFF")) // block,
    )


def is_device(file: Fd) -> bool:
    """Whether it is a block device."""
    return stat.S_ISBLK(os.fstat(file.number).st_mode)


def _ask(file: Fd, name: str) -> int:
    answer = ffi.new("int *")
    file.ioctl(name, answer, "a disk")
    return int(answer[0])


def open_again(file: Fd, config: BlockConfig, more: int = 0) -> Fd:
    """The same file once more; `more` is O_DIRECT to go past the page cache."""
    flags = os.O_CLOEXEC | more | (os.O_RDONLY if config.read_only else os.O_RDWR)
    try:
        return Fd(os.open(f"/proc/self/fd/{file.number}", flags))
    except OSError as error:
        how = " with O_DIRECT" if more else ""
        advice = "; leave out direct" if more else ""
        raise HostError(f"Opening {config.path}{how} failed: {error.strerror}{advice}") from error


def direct_align(file: Fd) -> tuple[int, int]:
    """Bytes that addresses, and that offsets and lengths, must be multiples of."""
    memory, block = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    if lib.blk_direct_align(file.number, memory, block):
        return int(memory[0]), int(block[0])
    return PAGE, PAGE  # what is smaller goes through the page cache
