"""A guest's output to readers that are slow, leave, come late or never: the whole command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("kvm")

EXIT_CODE = 1  # of isa-debug-exit with value 0
PATIENCE = 120
BLOCK = 0x8000


def flood(blocks: int) -> bytes:
    """Fills 0x8000 to 0xffff with 0, 1, 2, ... 255, 0, ... and sends that `blocks` times."""
    return bytes.fromhex(
        "31c0 8ed8 8ec0 fc"  # xor %ax, %ax; mov %ax, %ds; mov %ax, %es; cld
        "bf0080 aa 40 83ff00 75f9"  # mov $0x8000, %di; 1: stosb; inc %ax; cmp $0, %di; jne 1b
        "bafa03 b001 ee"  # FIFO on, so that KVM queues what is sent
        f"baf803 bb{blocks.to_bytes(2, 'little').hex()}"  # mov $0x3f8, %dx; mov $blocks, %bx
        "be0080 b90080 f36e 4b 75f5"  # 2: mov $0x8000, %si and %cx; rep outsb; dec %bx; jnz 2b
        "b000 e6f4 ebfe"  # debug exit with 0
    )


def command(folder: Path, blocks: int, *options: str) -> list[str]:
    """`vmm boot` of the flood."""
    image = folder / "flood"
    image.write_bytes(flood(blocks).ljust(510, b"\0") + b"\x55\xaa")
    return [
        *(sys.executable, "-m", "vmm", "boot", "--kernel", str(image), "--mem", "16M"),
        *("--debug-exit", "--timeout", str(PATIENCE), *options),
    ]


def start(words: list[str], console: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [*words, "--console", console],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        **options,
    )


def test_slow_reader_of_ten_megabytes_loses_nothing(tmp_path: Path) -> None:
    size = 320 * BLOCK
    expected = hashlib.sha256(bytes(range(256)) * (size // 256))
    options = ("--console-overflow", "drop")
    process = start(command(tmp_path, 320, *options), "stdio", stdout=subprocess.PIPE)
    assert process.stdout is not None
    seen, digest = 0, hashlib.sha256()
    while piece := os.read(process.stdout.fileno(), 32768):
        seen += len(piece)
        digest.update(piece)
        time.sleep(0.001)
    assert process.wait(PATIENCE) == EXIT_CODE
    assert seen == size
    assert digest.digest() == expected.digest()


def test_reader_that_leaves_ends_neither_the_guest_nor_the_command(tmp_path: Path) -> None:
    process = start(command(tmp_path, 64), "stdio", stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert os.read(process.stdout.fileno(), 3) == b"\0\1\2"
    process.stdout.close()
    _out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == EXIT_CODE
    assert loss(said) == ("com1", "the reader of standard output left before the guest ended")


def test_a_pipeline_ends_with_the_guest_not_with_its_reader(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = [*command(tmp_path, 64, "--exit-report", str(report)), "--console", "stdio"]
    shell = ["/bin/sh", "-c", '{ "$@"; echo "code $?" >&2; } | head -c 3', "sh", *words]

    done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    assert done.stdout == b"\0\1\2"
    assert done.stderr.endswith(b"code 1\n")
    body = json.loads(report.read_text())
    assert (body["cause"], body["code"]) == ("debug-exit", EXIT_CODE)
    assert [lost["console"] for lost in body["lost"]] == ["com1"]
    assert 0 < body["lost"][0]["bytes"] < 64 * BLOCK


def loss(said: bytes) -> tuple[str, str]:
    """(console, reason) of the only sentence in `said`, which tells of lost output."""
    found = re.fullmatch(rb"vmm: [\d,]+ bytes of (\w+)'s output are lost: (.*)\n", said)
    assert found is not None, said
    return found[1].decode(), found[2].decode()


def test_full_disk_is_told_with_what_was_lost(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    process = start(command(tmp_path, 1, "--exit-report", str(report)), "file:/dev/full")
    _out, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_CODE
    assert said.decode() == (
        f"vmm: {BLOCK:,} bytes of com1's output are lost: writing to /dev/full failed: "
        "No space left on device; make room there, or use another --console\n"
    )
    lost = json.loads(report.read_text())["lost"]
    assert [(row["console"], row["bytes"]) for row in lost] == [("com1", BLOCK)]


def test_socket_that_nobody_reads_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    process = start(command(tmp_path, 1), f"socket:{path}")
    _out, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_CODE
    assert loss(said)[1].startswith(f"nobody was connected to {path}; connect earlier")


def test_what_a_ring_holds_at_the_end_is_not_called_lost(tmp_path: Path) -> None:
    process = start(command(tmp_path, 1), "ring")
    _out, said = process.communicate(timeout=PATIENCE)

    assert (process.returncode, said) == (EXIT_CODE, b"")


def test_socket_peer_that_never_comes_back_is_told(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "sock"))
    listener.listen(1)
    process = start(command(tmp_path, 64), f"connect:{tmp_path}/sock")
    peer, _address = listener.accept()
    assert peer.recv(1) == b"\0"
    peer.close()
    listener.close()
    _out, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == EXIT_CODE
    assert loss(said)[1] == f"the reader of {tmp_path}/sock left before the guest ended"


def test_socket_peer_that_leaves_makes_room_for_the_next(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    process = start(command(tmp_path, 128), f"socket:{path}")

    def connect() -> socket.socket:
        end = time.monotonic() + PATIENCE
        while True:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(PATIENCE)
            try:
                peer.connect(str(path))
            except OSError:
                peer.close()
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return peer

    with connect() as first:
        assert first.recv(1000)
    with connect() as second:
        last = b""
        while piece := second.recv(1 << 20):
            last = piece
    assert last.endswith(b"\xff")
    assert process.wait(PATIENCE) == EXIT_CODE
    assert not path.exists()


def test_interrupt_during_a_flood_nobody_reads_ends_in_order(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    process = start(command(tmp_path, 320), "stdio", stdout=write_end)
    os.close(write_end)
    assert os.read(read_end, 1) == b"\0"
    process.send_signal(signal.SIGTERM)
    seen = 1
    while piece := os.read(read_end, 1 << 20):
        seen += len(piece)
    process.wait(PATIENCE)
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    assert seen > 1
    os.close(read_end)
