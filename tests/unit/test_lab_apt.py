"""apt's source lists read, the private configuration made, the cache filled once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from vmm.errors import HostError
from vmm.host import apt, cache, sources

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/example.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://key.example/other
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""


def test_deb822_gives_one_source_for_each_suite() -> None:
    found = list(sources.parse_deb822(DEB822))
    assert [(s.uri, s.suite) for s in found] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://key.example/other", "stable"),
    ]
    assert found[0].components == ("main", "contrib")
    assert found[0].signed_by == "/usr/share/keyrings/example.gpg"
    assert found[2].signed_by is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.example/debian bookworm main", ("http://m.example/debian", "bookworm")),
        (
            "  deb\thttp://m.example/debian  bookworm main # x",
            ("http://m.example/debian", "bookworm"),
        ),
        ("deb [arch=amd64 trusted=no] http://a.example/d sid main", ("http://a.example/d", "sid")),
        ("deb [ arch=amd64 ] http://a.example/d sid main", ("http://a.example/d", "sid")),
    ],
)
def test_one_line_sources_are_read(line: str, expected: tuple[str, str]) -> None:
    [found] = sources.parse_one_line(line)
    assert (found.uri, found.suite) == expected


def test_one_line_options_name_the_keyring() -> None:
    [found] = sources.parse_one_line(
        "deb [signed-by=/k.gpg arch=amd64] http://a.example/d sid main"
    )
    assert found.signed_by == "/k.gpg"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# deb http://m.example/debian sid main",
        "deb-src http://m.example/d sid main",
        "deb",
        "deb http://m.example/debian",
        "deb [arch=amd64 http://m.example/d sid main",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert list(sources.parse_one_line(line)) == []


def test_the_system_is_read_in_both_formats(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/old.list.disabled").write_text("deb http://no.example/x y main\n")
    uris = [s.uri for s in sources.system_sources(tmp_path)]
    assert uris[0] == "http://one.example/debian"
    assert "http://mirror.example/debian" in uris
    assert "http://no.example/x" not in uris


def test_the_mirror_of_the_release_is_preferred() -> None:
    found = list(
        sources.parse_one_line(
            "deb http://tool.example/apt bookworm-tool main\n"
            "deb http://security.example/debian-security bookworm-security main\n"
            "deb http://m.example/debian trixie main\n"
            "deb http://n.example/any bookworm main\n"
        )
    )
    assert sources.choose_mirror(found, "bookworm").uri == "http://n.example/any"
    assert sources.choose_mirror(found, "sid").uri == "http://m.example/debian"


def test_no_mirror_is_one_sentence() -> None:
    with pytest.raises(HostError, match="no mirror that serves Debian bookworm"):
        sources.choose_mirror([], "bookworm")


def test_private_sources_add_backports_with_a_keyring_that_exists(tmp_path: Path) -> None:
    keyring = tmp_path / "k.gpg"
    mirror = sources.Source(uri="http://m.example/d", suite="x", components=("main",))
    named = sources.Source(
        uri="http://m.example/d", suite="x", components=("main",), signed_by=str(keyring)
    )
    assert f"signed-by={sources.KEYRING}" in sources.private_sources(mirror, "bookworm")
    assert f"signed-by={sources.KEYRING}" in sources.private_sources(named, "bookworm")
    keyring.write_bytes(b"")
    text = sources.private_sources(named, "bookworm")
    assert text.count(f"signed-by={keyring}") == 2
    assert "bookworm-backports main" in text


def test_uris_of_apt_are_read_with_epochs_and_tildes() -> None:
    text = (
        "Reading package lists...\n"
        "'http://m.example/q/qemu_10.deb' qemu-x_1%3a10.0.2+ds-2~bpo12+1_amd64.deb 123 SHA256:a\n"
        "'http://m.example/x' broken 12\n"
    )
    assert apt.parse_uris(text) == [
        apt.Deb(name="qemu-x", version="1:10.0.2+ds-2~bpo12+1", size=123)
    ]


def test_absolute_links_stay_inside_what_was_unpacked(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "sbin").mkdir()
    (tmp_path / "bin/kmod").write_text("inside")
    (tmp_path / "sbin/depmod").symlink_to("/bin/kmod")
    (tmp_path / "folder").symlink_to("/bin")
    apt.settle(tmp_path)
    assert (tmp_path / "sbin/depmod").read_text() == "inside"
    assert os.readlink(tmp_path / "folder") == "bin"


def test_special_bits_are_cleared_and_relative_links_left(tmp_path: Path) -> None:
    program = tmp_path / "bin"
    program.write_text("")
    program.chmod(0o4755)
    (tmp_path / "link").symlink_to("nowhere")
    apt.settle(tmp_path)
    assert program.stat().st_mode & 0o7777 == 0o755
    assert os.readlink(tmp_path / "link") == "nowhere"


def test_a_program_runs_with_the_loader_and_libraries_of_its_root() -> None:
    words = apt.Root(path=Path("/r")).command("usr/bin/tool", "-x")
    assert words[0].startswith("/r/")
    assert words[-2:] == ["/r/usr/bin/tool", "-x"]
    assert words[words.index("--argv0") + 1] == "tool"
    assert all(p.startswith("/r/") for p in words[words.index("--library-path") + 1].split(":"))


def test_an_entry_is_filled_once_and_seen_whole(tmp_path: Path) -> None:
    calls: list[int] = []

    def fill(path: Path) -> None:
        calls.append(1)
        assert not (tmp_path / "thing").exists()
        (path / "file").write_text("x")

    threads = [
        threading.Thread(target=cache.entry, args=("thing", fill, tmp_path)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert (cache.entry("thing", fill, tmp_path) / "file").read_text() == "x"


def test_a_failed_fill_leaves_nothing_and_a_dead_one_is_cleared(tmp_path: Path) -> None:
    (tmp_path / f"{cache.TEMPORARY}dead").mkdir()

    def fail(path: Path) -> None:
        (path / "half").write_text("x")
        raise HostError("no network")

    with pytest.raises(HostError, match="no network"):
        cache.entry("thing", fail, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lock"]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(HostError, match="No space left"):
        cache.entry("thing", fail, tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"VMM_CACHE": "/a/b", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/vmm"),
        ({"HOME": "/h"}, "/h/.cache/vmm"),
    ],
)
def test_the_cache_folder_follows_the_environment(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VMM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_dir() == Path(expected)


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="set VMM_CACHE"):
        cache.entry("thing", lambda path: None, tmp_path / "file" / "below")
