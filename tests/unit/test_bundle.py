"""The bundle of bytecode: what comes from it, what does not, and that nothing depends on it."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vmm.bundle import Bundle


class Started:
    """A package `parcel` in `folder`, imported anew by each start as a process would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.package = folder / "parcel"
        self.file = folder / "parcel.bundle"

    @classmethod
    def made(cls, folder: Path) -> Started:
        package = cls(folder)
        package.package.mkdir()
        package.write("__init__", "")
        package.write("one", "value = 1\ndef where(): raise ValueError\n")
        return package

    def write(self, module: str, text: str) -> None:
        (self.package / f"{module}.py").write_text(text)

    def start(self, *names: str) -> list[ModuleType]:
        """The modules `names`, and the file brought up to date afterwards."""
        bundle = Bundle("parcel", str(self.folder), str(self.file))
        sys.meta_path.insert(0, bundle)
        try:
            modules = [importlib.import_module(name) for name in ("parcel", *names)][1:]
            bundle.update()
        finally:
            sys.meta_path.remove(bundle)
            self.forget()
        return modules

    def run(self) -> list[str]:
        """Which modules a start has before anybody imports one."""
        importlib.import_module("parcel")
        try:
            Bundle("parcel", str(self.folder), str(self.file)).run()
            return [name for name in sys.modules if name.startswith("parcel.")]
        finally:
            self.forget()

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "parcel"]:
            del sys.modules[name]
        importlib.invalidate_caches()


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Started:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Started.made(tmp_path)


def comes_from_bundle(module: ModuleType) -> bool:
    assert module.__spec__ is not None
    return isinstance(module.__spec__.loader, Bundle)


def test_what_one_start_imported_the_next_takes_from_the_bundle(started: Started) -> None:
    (first,) = started.start("parcel.one")
    (second,) = started.start("parcel.one")

    assert (comes_from_bundle(first), comes_from_bundle(second)) == (False, True)
    assert first.value == second.value == 1
    assert second.__file__ == str(started.package / "one.py")
    assert second.__package__ == "parcel"


def test_packages_keep_their_place(started: Started) -> None:
    started.start()
    (started.package / "late.py").write_text("")
    package, late = started.start("parcel", "parcel.late")

    assert comes_from_bundle(package)
    assert list(package.__path__) == [str(started.package)]
    assert not comes_from_bundle(late)


def test_a_traceback_shows_the_source(started: Started) -> None:
    started.start("parcel.one")
    (module,) = started.start("parcel.one")

    with pytest.raises(ValueError) as caught:
        module.where()

    assert caught.traceback[-1].path == started.package / "one.py"
    assert "raise ValueError" in str(caught.traceback[-1].statement)


@pytest.mark.parametrize("text", ["value = 22\n", "value = 2\ndef where(): raise ValueError\n"])
def test_a_changed_source_counts_at_once(started: Started, text: str) -> None:
    """Of another size, or of the same but younger."""
    started.start("parcel.one")
    started.write("one", text)
    source = started.package / "one.py"
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1))

    (changed,) = started.start("parcel.one")
    (again,) = started.start("parcel.one")

    assert changed.value == again.value == int(text.split()[2])
    assert (comes_from_bundle(changed), comes_from_bundle(again)) == (False, True)


def test_a_copy_has_nothing_to_do_with_where_it_came_from(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.start("parcel.one")
    shutil.copytree(started.folder, started.folder / "copy")
    copied = Started(started.folder / "copy")
    monkeypatch.setattr(sys, "path", [str(copied.folder), *sys.path])
    copied.write("two", "value = 2\n")

    one, two = copied.start("parcel.one", "parcel.two")

    assert comes_from_bundle(one)
    assert one.__file__ == str(copied.package / "one.py")
    assert two.value == 2
    with pytest.raises(ValueError) as caught:
        one.where()
    assert caught.traceback[-1].path == copied.package / "one.py"


def test_what_is_elsewhere_is_not_kept(started: Started) -> None:
    started.start("parcel.one")
    moved = Started(started.folder)
    moved.folder = started.folder / "empty"

    assert not comes_from_bundle(moved.start("parcel.one")[0])


def test_what_a_later_start_adds_is_there_too(started: Started) -> None:
    started.start("parcel.one")
    started.write("two", "value = 2\n")
    started.start("parcel.one", "parcel.two")

    one, two = started.start("parcel.one", "parcel.two")

    assert comes_from_bundle(one)
    assert comes_from_bundle(two)
    assert (one.value, two.value) == (1, 2)


def test_a_source_that_is_gone_is_not_imported(started: Started) -> None:
    started.start("parcel.one")
    (started.package / "one.py").unlink()

    with pytest.raises(ModuleNotFoundError):
        started.start("parcel.one")


@pytest.mark.parametrize("became", [None, "value = (", "value = '\\0'\0"])
def test_a_source_that_changes_under_a_run_is_left_out(
    started: Started, monkeypatch: pytest.MonkeyPatch, became: str | None
) -> None:
    """The run is over by then and went well: nothing may be raised any more."""
    update = Bundle.update

    def change_and_update(bundle: Bundle) -> None:
        source = started.package / "one.py"
        source.unlink() if became is None else source.write_text(became)
        update(bundle)

    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "update", change_and_update)
        assert started.start("parcel.one")[0].value == 1
    started.write("one", "value = 3\n")

    assert started.start("parcel.one")[0].value == 3


def test_nothing_new_leaves_the_file_alone(started: Started) -> None:
    started.start("parcel.one")
    before = started.file.stat().st_ino

    started.start("parcel.one")

    assert started.file.stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xe9\x00\x00\x00\x05", b"N", b"i\0\0\0\0"])
def test_a_damaged_file_is_written_anew(started: Started, content: bytes) -> None:
    started.file.write_bytes(content)

    (module,) = started.start("parcel.one")
    (again,) = started.start("parcel.one")

    assert (comes_from_bundle(module), comes_from_bundle(again)) == (False, True)


def test_another_pythons_bytecode_is_not_taken(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("vmm.bundle.MAGIC_NUMBER", b"old!")
        started.start("parcel.one")

    assert not comes_from_bundle(started.start("parcel.one")[0])


def test_where_nobody_can_write_all_goes_on_without(started: Started) -> None:
    started.file = started.package / "missing" / "bundle"

    assert started.start("parcel.one")[0].value == 1
    assert started.start("parcel.one")[0].value == 1


def test_a_full_disk_leaves_nothing_unfinished(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_source: str, _target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vmm.bundle.rename", refuse)
    before = sorted(os.listdir(started.file.parent))

    started.start("parcel.one")

    assert sorted(os.listdir(started.file.parent)) == before


def test_modules_run_each_after_what_it_imports(started: Started) -> None:
    started.write("low", "trail = ['low']\n")
    started.write("high", "from parcel import low\nlow.trail.append('high')\n")
    started.write("top", "import parcel.high\nfrom parcel.low import trail\ntrail.append('top')\n")
    started.start("parcel.top", "parcel.one")

    assert started.run() == ["parcel.low", "parcel.high", "parcel.top", "parcel.one"]


def test_modules_that_run_are_as_if_they_were_imported(started: Started) -> None:
    (started.package / "sub").mkdir()
    started.write("sub/__init__", "from parcel.sub import inner\n")
    started.write("sub/inner", "value = 3\n")
    started.start("parcel.sub", "parcel.one")
    importlib.import_module("parcel")
    try:
        Bundle("parcel", str(started.folder), str(started.file)).run()
        package, one, sub, inner = (
            sys.modules[name] for name in ("parcel", "parcel.one", "parcel.sub", "parcel.sub.inner")
        )
    finally:
        started.forget()

    assert (package.one, package.sub, sub.inner, inner.value) == (one, sub, inner, 3)
    assert list(sub.__path__) == [str(started.package / "sub")]
    assert (one.__package__, sub.__package__) == ("parcel", "parcel.sub")
    assert one.__spec__ is not None
    assert one.__loader__ is one.__spec__.loader
    assert one.__file__ == str(started.package / "one.py")


def test_what_fails_or_has_changed_is_left_to_its_importer(started: Started) -> None:
    started.write("two", "import sys\nif hasattr(sys, 'no_two'): raise RuntimeError\n")
    started.write("three", "")
    started.start("parcel.one", "parcel.two", "parcel.three")
    sys.no_two = True  # type: ignore[attr-defined]
    try:
        assert started.run() == ["parcel.one"]
    finally:
        del sys.no_two  # type: ignore[attr-defined]

    started.write("two", "changed = True\n")
    assert started.run() == ["parcel.one"]
    assert started.start("parcel.two")[0].changed


def test_a_changed_module_runs_at_once_again_when_its_bundle_is_up_to_date(
    started: Started,
) -> None:
    started.write("low", "")
    started.write("top", "import parcel.low\n")
    started.start("parcel.top")
    started.start("parcel.one")  # later: packed
    started.write("low", "import parcel.other\n")
    started.write("other", "")
    assert started.run() == []
    started.start("parcel.top")

    assert started.run() == ["parcel.other", "parcel.low", "parcel.top"]
    assert comes_from_bundle(started.start("parcel.one")[0])
