"""newc archives, read back by a reader of their own."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.lab import initramfs
from vmm.lab.initramfs import Entry

FIELDS = (
    *("ino", "mode", "uid", "gid", "nlink", "mtime", "filesize", "devmajor", "devminor"),
    *("rdevmajor", "rdevminor", "namesize", "check"),
)


def read(archive: bytes) -> list[tuple[str, dict[str, int], bytes]]:
    """Every member up to and without the trailer; the rest must be empty."""
    at = 0
    members: list[tuple[str, dict[str, int], bytes]] = []
    while True:
        assert archive[at : at + 6] == b"070701"
        numbers = [archive[at + 6 + 8 * i : at + 14 + 8 * i] for i in range(len(FIELDS))]
        head = dict(zip(FIELDS, (int(n, 16) for n in numbers), strict=True))
        start = at + 110
        name = archive[start : start + head["namesize"] - 1].decode()
        assert archive[start + head["namesize"] - 1] == 0
        body = -(-(start + head["namesize"]) // 4) * 4
        at = -(-(body + head["filesize"]) // 4) * 4
        if name == "TRAILER!!!":
            assert at == len(archive)
            return members
        members.append((name, head, archive[body : body + head["filesize"]]))


def test_a_file_keeps_name_mode_and_bytes() -> None:
    [(name, head, data)] = read(initramfs.pack([initramfs.file("init", b"\0\1\2", 0o755)]))
    assert (name, head["mode"], data) == ("init", stat.S_IFREG | 0o755, b"\0\1\2")


def test_a_device_node_keeps_its_numbers() -> None:
    members = read(initramfs.pack([initramfs.character_device("dev/console", 5, 1)]))
    head = members[-1][1]
    assert (head["mode"], head["rdevmajor"], head["rdevminor"]) == (stat.S_IFCHR | 0o600, 5, 1)


def test_a_link_holds_its_target() -> None:
    members = read(initramfs.pack([initramfs.link("bin/sh", "busybox")]))
    assert stat.S_ISLNK(members[-1][1]["mode"])
    assert members[-1][2] == b"busybox"


def test_missing_parents_come_first_and_once() -> None:
    archive = initramfs.pack([initramfs.file("a/b/c", b""), initramfs.file("a/b/d", b"")])
    assert [name for name, _, _ in read(archive)] == ["a", "a/b", "a/b/c", "a/b/d"]


def test_a_named_parent_keeps_its_own_mode() -> None:
    archive = initramfs.pack([initramfs.directory("tmp", 0o1777), initramfs.file("tmp/x", b"")])
    modes = {name: head["mode"] for name, head, _ in read(archive)}
    assert modes["tmp"] == stat.S_IFDIR | 0o1777


def test_inode_numbers_differ_so_that_no_members_are_hard_links() -> None:
    archive = initramfs.pack([initramfs.file("x/1", b"1"), initramfs.file("x/2", b"2")])
    numbers = [head["ino"] for _, head, _ in read(archive)]
    assert len(set(numbers)) == len(numbers)


def test_the_same_members_make_the_same_bytes() -> None:
    members = [initramfs.file("a", b"1"), initramfs.directory("b")]
    assert initramfs.pack(members) == initramfs.pack(members)


def test_leading_slashes_are_dropped() -> None:
    assert read(initramfs.pack([initramfs.file("/init", b"")]))[0][0] == "init"


@pytest.mark.parametrize("name", ["", "/", "a\0b", "x" * 4096])
def test_a_name_the_kernel_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        initramfs.pack([initramfs.file(name, b"")])


def test_a_member_beyond_the_size_field_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initramfs, "FIELD_MAX", 3)
    assert initramfs.pack([Entry(name="x", mode=0, data=b"123")])
    with pytest.raises(ValueError, match="too large"):
        initramfs.pack([Entry(name="x", mode=0, data=b"1234")])


NAMES = st.text(alphabet="abc.-é", min_size=1, max_size=9).filter(lambda n: set(n) != {"."})


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=8))
def test_any_files_come_back(files: dict[str, bytes]) -> None:
    archive = initramfs.pack([initramfs.file(name, data) for name, data in files.items()])
    assert {name: data for name, _, data in read(archive)} == files
    assert len(archive) % 4 == 0
