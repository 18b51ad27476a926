"""Images as disks: what is refused and how, locks, shapes, what O_DIRECT does not take."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.native.blkrig import (
    ENGINES,
    IN,
    OK,
    OUT,
    SECTOR,
    WRITE_ZEROES,
    BlkRig,
    header,
    segment,
)
from tests.native.devrig import Rig
from tests.virtiodriver import Chain
from vmm import kinds
from vmm.backends.image import BlockConfig, Geometry, open_image
from vmm.config import VmConfig
from vmm.deviceconfig import read_device
from vmm.errors import ConfigError, HostError
from vmm.kindtable import KINDS
from vmm.record import replace
from vmm.virtio.blk import make

SIZE = 1 << 20
TAKES_LOCK = """
import sys
from vmm.backends.image import BlockConfig, open_image
file = open_image(BlockConfig(path=sys.argv[1], read_only=sys.argv[2] == "ro"))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(SIZE))
    return path


def refusal(path: Path, **config: bool) -> str:
    with pytest.raises(HostError) as refused:
        BlkRig(path, **config)  # type: ignore[arg-type]
    return str(refused.value)


def test_what_cannot_be_a_disk_is_said_in_one_sentence(tmp_path: Path) -> None:
    empty, fifo, short = tmp_path / "empty", tmp_path / "fifo", tmp_path / "short"
    empty.touch()
    short.write_bytes(b"x" * 511)
    os.mkfifo(fifo)

    assert refusal(tmp_path / "none") == (
        f"Opening {tmp_path}/none as a disk failed: No such file or directory"
    )
    assert "is a directory; a disk is an image file or a block device" in refusal(tmp_path)
    assert refusal(fifo).endswith("is neither a file nor a block device, so it cannot be a disk")
    assert "has 0 bytes, less than a sector" in refusal(empty)
    assert "has 511 bytes, less than a sector" in refusal(short)


@pytest.mark.parametrize(
    ("begin", "name"),
    [(b"QFI\xfb\0\0\0\3", "qcow2"), (b"KDMV\1", "VMDK"), (b"vhdxfile", "VHDX")],
)
def test_images_of_other_formats_are_named(begin: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(begin.ljust(SIZE, b"\0"))

    assert f"is a {name} image, and disks are raw ones: convert it" in refusal(path)
    with BlkRig(path, raw=True) as rig:
        rig.start()
        assert rig.request(IN, 0, room=SECTOR)[1].startswith(begin)


def test_file_without_permission_to_write_may_be_read(image: Path) -> None:
    """As somebody else than root, whom permissions do not hold up."""
    image.chmod(0o444)
    for folder in list(image.parents)[:3]:
        folder.chmod(folder.stat().st_mode | 0o755)
    code = (
        "import os, sys; os.setuid(65534)\n"
        "from vmm.backends.image import BlockConfig, open_image\n"
        "from vmm.errors import HostError\n"
        "open_image(BlockConfig(path=sys.argv[1], read_only=True))\n"
        "try: open_image(BlockConfig(path=sys.argv[1]))\n"
        "except HostError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(image)], capture_output=True, text=True, check=True
    )

    assert done.stdout == (
        f"Opening {image} as a disk failed: Permission denied; ro is for disks that are only read\n"
    )


def test_last_bytes_that_fill_no_sector_are_hidden(image: Path) -> None:
    os.truncate(image, SIZE + 100)
    with BlkRig(image) as rig:
        assert rig.device.backend.geometry == Geometry(sectors=SIZE // SECTOR)


# --- locks


@pytest.mark.parametrize(
    ("first", "second", "goes"),
    [("rw", "rw", False), ("rw", "ro", False), ("ro", "rw", False), ("ro", "ro", True)],
)
def test_only_readers_share_an_image(first: str, second: str, goes: bool, image: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", TAKES_LOCK, str(image), first],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    config = BlockConfig(path=str(image), read_only=second == "ro")
    with other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        if goes:
            open_image(config).close()
        else:
            with pytest.raises(HostError, match="by another machine or disk, so it cannot be"):
                open_image(config)
        other.kill()
    open_image(config).close()  # a lock ends with its process, however that ends


def test_two_disks_of_one_machine_do_not_share_an_image_either(image: Path) -> None:
    with BlkRig(image) as rig:
        rig.start()
        assert "is used by another machine or disk" in refusal(image)
        # Whoever else opens and closes the file in this process takes no lock away.
        os.close(os.open(image, os.O_RDWR))
        assert "is used by another machine or disk" in refusal(image)
    with BlkRig(image, read_only=True), BlkRig(image, read_only=True):
        assert "is used by another" in refusal(image)


@pytest.mark.parametrize("engine", ENGINES)
def test_lock_ends_with_the_disk(engine: str, image: Path) -> None:
    for _ in range(20):
        with BlkRig(image, engine=engine) as rig:
            rig.start()
            assert rig.request(IN, 0, room=SECTOR)[0] == OK


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("virtio-blk", "disk needs path=, the image or block device that it is"),
        ("virtio-blk,path=x,queues=0", "disk has queues=0; a disk has 1 to 64"),
        ("virtio-blk,path=x,queues=65", "disk has queues=65; a disk has 1 to 64"),
        (f"virtio-blk,path=x,serial={'s' * 21}", "of disk has over 20 bytes"),
    ],
)
def test_settings_that_cannot_be(device: str, sentence: str) -> None:
    kind = KINDS["virtio-blk"]
    config = replace(read_device(device), id="disk")
    with pytest.raises(ConfigError, match=re.escape(sentence)), Rig() as rig:
        make(rig.context, config, kind.settings(config))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (["x,engine=aio"], "--disk virtio-blk: engine wants auto, io_uring or threads"),
        (["x,path=y"], "--disk has a path already, x"),
        ([",ro"], "--disk wants the path of an image or block device first"),
        (["x,id=a", "y,id=a"], "--disk has two devices with id a"),
        (["x,readonly"], "virtio-blk has no setting 'readonly'"),
    ],
)
def test_mistakes_in_options(text: list[str], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        VmConfig.from_argv(["--kernel", "k", *(word for t in text for word in ("--disk", t))])


def test_options_and_files_say_the_same() -> None:
    typed = VmConfig.from_argv(
        ["--kernel", "k", "--disk", "a,,b.img,ro,queues=2,id=d,addr=5", "--disk", "/dev/sdz"]
    )
    file = VmConfig.from_toml(
        'kernel = "k"\n[[disk]]\npath = "a,b.img"\nro = true\nqueues = 2\nid = "d"\naddr = "5"\n'
        '[[disk]]\npath = "/dev/sdz"\n'
    )
    assert typed == file
    assert [disk.id for disk in kinds.with_names(typed.disks)] == ["d", "virtio-blk0"]
    assert VmConfig.from_toml(typed.to_toml()) == typed
    with pytest.raises(ConfigError, match="has a table without path"):
        VmConfig.from_toml('kernel = "k"\n[[disk]]\nro = true\n')


# --- O_DIRECT


@pytest.mark.parametrize("engine", ENGINES)
def test_direct_disk_takes_requests_of_any_alignment(engine: str, image: Path) -> None:
    before = image.read_bytes()
    with BlkRig(image, engine=engine, direct=True) as rig:
        ring = rig.start()
        page = rig.arena.alloc(8192, 4096)
        cases = [(page, 4096), (page + 1, 4096), (page + 512, 1536), (page, 512)]
        for sector in (0, 1, 8):
            for gpa, length in cases:
                head = rig.arena.put(header(IN, sector))
                status = rig.arena.alloc(1)
                ring.add_chain(Chain([(head, 16)], [(gpa, length), (status, 1)]))
                [used] = rig.exchange(0, ring)
                at = sector * SECTOR
                assert used.data == before[at : at + length] + b"\0"
        data = os.urandom(3 * SECTOR)
        assert rig.request(OUT, 5, data)[0] == OK
        assert rig.request(IN, 5, room=3 * SECTOR) == (OK, data)
        assert rig.request(WRITE_ZEROES, 0, segment(100, 100))[0] == OK
        counters = rig.counters()
        assert 0 < counters["cached"] < counters["reads"]
    after = image.read_bytes()
    assert after[5 * SECTOR : 8 * SECTOR] == data
    assert after[100 * SECTOR : 200 * SECTOR] == bytes(100 * SECTOR)
    assert after[200 * SECTOR :] == before[200 * SECTOR :]


@pytest.mark.parametrize("engine", ENGINES)
def test_zeros_are_written_where_the_file_system_cannot_make_them(engine: str) -> None:
    """As in tmpfs, which knows holes but no ranges of zeros."""
    path = Path("/dev/shm") / f"vmm-test-{os.getpid()}.img"
    try:
        path.write_bytes(b"x" * (4 << 20))
        with BlkRig(path, engine=engine) as rig:
            rig.start()
            for first, count in ((1, 4095), (5000, 3), (8000, 192)):
                assert rig.request(WRITE_ZEROES, 0, segment(first, count))[0] == OK
            data = path.read_bytes()
            assert rig.counters()["errors"] == 0
        zeros = {*range(1, 4096), *range(5000, 5003), *range(8000, 8192)}
        for sector in range(8192):
            want = b"\0" if sector in zeros else b"x"
            assert data[sector * SECTOR : (sector + 1) * SECTOR] == want * SECTOR
    finally:
        path.unlink(missing_ok=True)
