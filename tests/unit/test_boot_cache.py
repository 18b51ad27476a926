"""The cache of unpacked kernels: warm without hashing, safe against damage, strangers and races."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests import bootkit
from vmm.boot import cache
from vmm.boot.image import identify
from vmm.errors import BootError


def boot(kernel: Path, directory: Path) -> tuple[bool, bytes]:
    """Unpack through the cache; returns whether it was warm, and the ELF."""
    image = identify(str(kernel))
    image.unpack(str(directory))
    data = image.source.read(0, image.source.size)
    image.close()
    return image.warm, data


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "bzImage"
    path.write_bytes(bootkit.bzimage())
    return path


def no_hash(_data: bytes) -> str:
    raise AssertionError("hashed")


def only_elf(directory: Path) -> Path:
    (found,) = directory.glob("*.elf")
    return found


def test_the_second_boot_is_warm_and_hashes_nothing(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = boot(kernel, tmp_path / "cache")
    monkeypatch.setattr(cache, "_sha256", no_hash)

    second = boot(kernel, tmp_path / "cache")

    assert first[0] is False
    assert second == (True, first[1])


def test_a_copy_of_a_known_kernel_is_warm_by_its_contents(kernel: Path, tmp_path: Path) -> None:
    boot(kernel, tmp_path / "cache")
    copy = tmp_path / "copy"
    copy.write_bytes(kernel.read_bytes())

    warm, _ = boot(copy, tmp_path / "cache")

    assert warm
    assert len(list((tmp_path / "cache").glob("*.elf"))) == 1


def test_a_changed_kernel_is_unpacked_again(kernel: Path, tmp_path: Path) -> None:
    boot(kernel, tmp_path / "cache")
    kernel.write_bytes(bootkit.bzimage(bootkit.gzip_payload(bootkit.linux_elf(b"\x90" * 5000))))

    warm, data = boot(kernel, tmp_path / "cache")

    assert not warm
    assert b"\x90" * 5000 in data


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"\x7fELF" + bytes(path.stat().st_size - 4))


def touch_header(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(24)
        file.write(b"\xff" * 4)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def change_quietly(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xcc" * 100)


@pytest.mark.parametrize(
    "damage", [cut, empty, overwrite, touch_header, change_quietly, Path.unlink]
)
def test_a_damaged_entry_is_made_again(kernel: Path, tmp_path: Path, damage: object) -> None:
    _, good = boot(kernel, tmp_path / "cache")
    damage(only_elf(tmp_path / "cache"))  # type: ignore[operator]

    warm, data = boot(kernel, tmp_path / "cache")

    assert (warm, data) == (False, good)
    assert boot(kernel, tmp_path / "cache") == (True, good)


@pytest.mark.parametrize(
    "line", [b"", b"\xff\xff", b"../../etc/passwd 1 1 0\n", b"a" * 64 + b" x y z\n", b"a" * 9999]
)
def test_damaged_index_entries_are_ignored(kernel: Path, tmp_path: Path, line: bytes) -> None:
    _, good = boot(kernel, tmp_path / "cache")
    for entry in (tmp_path / "cache" / "index").iterdir():
        entry.write_bytes(line)

    assert boot(kernel, tmp_path / "cache") == (False, good)


def test_files_of_another_user_are_not_trusted(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot(kernel, tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    warm, _ = boot(kernel, tmp_path / "cache")

    assert not warm


def test_a_cache_that_cannot_be_written_still_boots(kernel: Path, tmp_path: Path) -> None:
    _, good = boot(kernel, tmp_path / "cache")
    (tmp_path / "file").write_bytes(b"")

    assert boot(kernel, tmp_path / "file") == (False, good)


def test_a_full_disk_still_boots_and_leaves_nothing_behind(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    warm, data = boot(kernel, tmp_path / "cache")

    assert not warm
    assert data.startswith(b"\x7fELF")
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_only_the_newest_kernels_are_kept(tmp_path: Path) -> None:
    for number in range(cache.KEEP + 3):
        kernel = tmp_path / f"kernel{number}"
        payload = bootkit.gzip_payload(bootkit.linux_elf(bytes([number + 1]) * 5000))
        kernel.write_bytes(bootkit.bzimage(payload))
        boot(kernel, tmp_path / "cache")

    assert len(list((tmp_path / "cache").glob("*.elf"))) == cache.KEEP
    assert boot(tmp_path / f"kernel{cache.KEEP + 2}", tmp_path / "cache")[0]
    assert not boot(tmp_path / "kernel0", tmp_path / "cache")[0]


def test_concurrent_first_boots_all_get_the_kernel(kernel: Path, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(boot(kernel, tmp_path / "cache")[1]))
        for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list((tmp_path / "cache").glob("*"))) == 2  # the ELF and the index folder


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("VMM_CACHE", raising=False)
    assert cache.folder("") == "/home/someone/.cache/vmm/kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.folder("") == "/x/vmm/kernels"
    monkeypatch.setenv("VMM_CACHE", "/c")
    assert cache.folder("") == "/c/kernels"
    assert cache.folder("/given") == "/given/kernels"


def test_pvh_asked_of_a_kernel_without_the_note_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(bootkit.bzimage(bootkit.gzip_payload(bootkit.linux_elf(pvh=0))))
    image = identify(str(path), "pvh")

    with pytest.raises(BootError, match="no PVH entry note"):
        image.unpack(str(tmp_path / "cache"))
    image.close()
