"""virtio-blk: every kind of request, over both engines, and what it makes of odd ones."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.native.blkrig import (
    DISCARD,
    ENGINES,
    F_CONFIG_WCE,
    F_DISCARD,
    F_FLUSH,
    F_MQ,
    F_RO,
    F_WRITE_ZEROES,
    FLUSH,
    GET_ID,
    IN,
    OK,
    OUT,
    SECTOR,
    SECTORS,
    UNMAP,
    WRITE_ZEROES,
    BlkRig,
    header,
    sectors,
    segment,
)
from tests.virtiopci import DEVICE


@pytest.fixture(params=ENGINES)
def rig(request: pytest.FixtureRequest, image: Path) -> Iterator[BlkRig]:
    with BlkRig(image, engine=request.param) as rig:
        rig.start()
        yield rig


def test_configuration_tells_the_shape(rig: BlkRig) -> None:
    layout = "<QIIHBBIBBHIBBHIIIIIB"
    raw = bytes(rig.driver.read(DEVICE, at, 1) for at in range(60))
    found = struct.unpack_from(layout, raw)

    assert found[0] == SECTORS
    assert found[2] == 254  # seg_max
    assert found[6] == SECTOR
    assert found[7] == 3  # physical blocks of 4 KiB
    assert found[11] == 1  # writeback
    assert found[13] == 1  # queues
    assert found[14:16] == (1 << 22, 16)
    assert found[17:19] == (1 << 22, 16)


def test_features(image: Path) -> None:
    writable = {F_FLUSH, F_CONFIG_WCE, F_DISCARD, F_WRITE_ZEROES}
    cases = [
        ({}, writable, {F_RO, F_MQ}),
        ({"queues": 4}, {*writable, F_MQ}, {F_RO}),
        ({"read_only": True}, {F_RO, F_FLUSH}, {F_DISCARD, F_WRITE_ZEROES}),
    ]
    for settings, there, missing in cases:
        with BlkRig(image, **settings) as rig:  # type: ignore[arg-type]
            offered = rig.driver.offered()
        assert all(offered >> bit & 1 for bit in there)
        assert not any(offered >> bit & 1 for bit in missing)


def test_reads_give_what_is_there(rig: BlkRig, image: Path) -> None:
    for first, count in ((0, 1), (7, 9), (SECTORS - 1, 1), (0, 2048)):
        status, data = rig.request(IN, first, room=count * SECTOR)
        assert status == OK
        assert data == sectors(image, first, count)


def test_writes_change_what_they_should(rig: BlkRig, image: Path) -> None:
    data = os.urandom(5 * SECTOR)

    assert rig.request(OUT, 11, data) == (OK, b"")
    assert sectors(image, 11, 5) == data
    assert sectors(image, 10) == struct.pack("<Q504x", 10)
    assert sectors(image, 16) == struct.pack("<Q504x", 16)
    assert rig.request(IN, 11, room=5 * SECTOR)[1] == data


def test_header_data_and_status_may_be_cut_anywhere(rig: BlkRig, image: Path) -> None:
    ring, data = rig.rings[0], os.urandom(2 * SECTOR)
    whole = header(OUT, 20) + data
    for cuts in ([1], [15, 17], [16], [3, 9, 600], [16, 528], [20, 21, 22, 1039]):
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        ring.add(pieces, [1], indirect=len(pieces) > 3)
        assert rig.exchange(0, ring)[0].data == b"\0"
        assert sectors(image, 20, 2) == data
        ring.add([header(IN, 20)], [100, 412, 500, 12, 1])
        assert rig.exchange(0, ring)[0].data == data + b"\0"
    ring.add([header(IN, 20)], [700, 325])  # the status ends the last piece of data
    assert rig.exchange(0, ring)[0].data == data + b"\0"


def test_longest_request_that_linux_makes(rig: BlkRig, image: Path) -> None:
    ring = rig.rings[0]
    ring.add([header(IN, 0)], [4096] * 254 + [1], indirect=True)

    assert rig.exchange(0, ring)[0].data == sectors(image, 0, 254 * 8) + b"\0"


def test_full_ring_of_reads(rig: BlkRig) -> None:
    ring = rig.rings[0]
    for round in range(4):
        for n in range(256):
            ring.add([header(IN, n + round)], [SECTOR, 1], indirect=True)
        done = rig.exchange(0, ring, 256)
        assert sorted(struct.unpack_from("<Q", used.data)[0] for used in done) == list(
            range(round, round + 256)
        )
    assert rig.counters()["reads"] == 1024


def test_every_queue_is_served(image: Path) -> None:
    for engine in ENGINES:
        with BlkRig(image, engine=engine, queues=4) as rig:
            rig.start()
            for number, ring in enumerate(rig.rings):
                ring.add([header(IN, number)], [SECTOR, 1])
                [used] = rig.exchange(number, ring)
                assert struct.unpack_from("<Q", used.data)[0] == number
                rig.await_interrupt(number + 1)


def test_flush_and_identity(rig: BlkRig) -> None:
    assert rig.request(FLUSH) == (OK, b"")
    assert rig.request(GET_ID, room=20) == (OK, b"a serial".ljust(20, b"\0"))
    assert rig.request(GET_ID, room=4) == (OK, b"a se")
    assert rig.counters()["flushes"] == 1


def test_discard_and_zeroes(rig: BlkRig, image: Path) -> None:
    assert rig.request(OUT, 0, b"x" * 64 * SECTOR)[0] == OK
    assert rig.request(DISCARD, 0, segment(8, 8)) == (OK, b"")
    assert rig.request(WRITE_ZEROES, 0, segment(17, 3)) == (OK, b"")
    assert rig.request(WRITE_ZEROES, 0, segment(24, 16, UNMAP)) == (OK, b"")
    assert rig.request(DISCARD, 0, segment(0, 0)) == (OK, b"")

    assert sectors(image, 16) == b"x" * SECTOR
    assert sectors(image, 17, 3) == bytes(3 * SECTOR)
    assert sectors(image, 20, 4) == b"x" * 4 * SECTOR
    assert sectors(image, 24, 16) == bytes(16 * SECTOR)
    assert sectors(image, 40) == b"x" * SECTOR
    assert image.stat().st_size == SECTORS * SECTOR
    counters = rig.counters()
    assert (counters["discards"], counters["zeros"]) == (1, 2)


def test_empty_requests_are_done(rig: BlkRig) -> None:
    assert rig.request(IN, 0) == (OK, b"")
    assert rig.request(OUT, 0) == (OK, b"")
    assert rig.counters()["reads"] == rig.counters()["writes"] == 0


# BLKDISCARD of a file, as a block device takes it; says on which thread.
DISCARDING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
int ioctl(int fd, unsigned long request, void *argument)
{
	const uint64_t *range = argument;
	char thread[16];
	if (request != BLKDISCARD)
		return ((int (*)(int, unsigned long, void *))dlsym(RTLD_NEXT, "ioctl"))(
			fd, request, argument);
	prctl(PR_GET_NAME, thread);
	printf("%s discards %llu\\n", thread, (unsigned long long)range[1]);
	fflush(stdout);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, range[0], range[1]);
}
"""
# The command of io_uring that discards is for block devices; old kernels have it for none.
DISCARD_BY_WORKER = """
import sys
from pathlib import Path
import vmm.backends.block
vmm.backends.block.is_device = lambda file: True
from tests.native.blkrig import DISCARD, IN, OK, OUT, SECTOR, BlkRig, segment
with BlkRig(Path(sys.argv[1]), engine="io_uring") as rig:
    rig.start()
    for _ in range(3):
        assert rig.request(OUT, 8, b"x" * 8 * SECTOR) == (OK, b"")
        assert rig.request(DISCARD, 0, segment(8, 8) + segment(64, 8)) == (OK, b"")
        assert rig.request(IN, 8, room=SECTOR) == (OK, bytes(SECTOR))
    counters = rig.counters()
    assert counters["again"] == counters["errors"] == counters["unsupported"] == 0, counters
"""


def test_what_the_ring_cannot_discard_a_worker_does(image: Path, tmp_path: Path) -> None:
    source, library = tmp_path / "discarding.c", tmp_path / "discarding.so"
    source.write_text(DISCARDING)
    flags = ["-shared", "-fPIC", "-o", str(library)]
    subprocess.run(["gcc", *flags, str(source), "-ldl"], check=True)

    done = subprocess.run(
        [sys.executable, "-c", DISCARD_BY_WORKER, str(image)],
        env=os.environ | {"LD_PRELOAD": str(library)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "disk0-0 discards 4096\n" * 6), done.stderr
