"""docs/extending.md: its devices are short, are found as another package's, and do what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from pathlib import Path

import pytest

from tests.native.virtiorig import PlugRig
from vmm import kinds
from vmm.deviceconfig import read_device

PAGE = Path("docs/extending.md")
MOST_LINES = 40


def blocks() -> dict[str, str]:
    """The modules on the page by their names, and the entry points."""
    text = PAGE.read_text()
    named = re.findall(r"`mydevices/(\w+)\.py` .*?```python\n(.*?)```", text, re.S)
    [points] = re.findall(r"```toml\n\[project.entry-points[^\n]*\n(.*?)```", text, re.S)
    return {**dict(named), "entry_points": points}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's modules, installed as pip would."""
    found = blocks()
    points = found.pop("entry_points").replace('"', "")
    folder = tmp_path / "mydevices"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, code in found.items():
        (folder / f"{name}.py").write_text(code)
    info = tmp_path / "mydevices-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mydevices\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vmm.devices]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mydevices"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["shout", "dice"])
def test_example_is_short(name: str) -> None:
    lines = [line for line in blocks()[name].splitlines() if line.strip()]

    assert 10 < len(lines) < MOST_LINES


def plugged(text: str) -> PlugRig:
    """The device that `--device TEXT` makes, on the bus of a machine without KVM."""
    [config] = kinds.with_names([read_device(text)])
    kind = kinds.find(config.kind)
    assert kind is not None
    return PlugRig(lambda context: kind.make(context, config))


def test_virtio_device_answers_its_driver(package: Path) -> None:
    with plugged("shout,suffix=?!") as rig:
        rig.driver = rig.virtio_driver()
        [ring] = rig.driver.probe(rig.arena)
        for text in (b"hello", b"a longer one"):
            ring.add([text], [64])
            assert rig.exchange(0, ring)[0].data == text.upper() + b"?!"
        assert rig.pci.name == "shout0"
        assert rig.pci.unused() is None


def test_settings_are_checked_before_anything_is_built(package: Path) -> None:
    [problem] = kinds.device_problems([read_device("shout,sufix=x")])

    assert problem == "shout has no setting 'sufix'; did you mean suffix?; it takes suffix"


def test_pci_device_throws_and_tells(package: Path) -> None:
    with plugged("dice") as rig:
        rig.config_space.write(0x04, 2, 2)
        rig.bar(0, 0, value=20)

        shown = rig.bar(0, 4)
        assert rig.bar(0, 0) == 20
        assert 1 <= shown <= 20
        assert rig.bar(0, 8) == 0
        assert rig.pci.msix.pending() == {0}


def test_pci_device_is_reset_and_restored(package: Path) -> None:
    with plugged("dice") as rig:
        rig.config_space.write(0x04, 2, 2)
        rig.bar(0, 0, value=1000)
        shown, saved = rig.bar(0, 4), rig.pci.save()
        rig.pci.reset()
        assert rig.pci.state() == [6, 1]

        rig.pci.load(saved)

        assert [rig.bar(0, 0), rig.bar(0, 4)] == [1000, shown]


def test_command_finds_devices_of_other_packages(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vmm.__main__ import main

    devices = ["--device", "shout,id=loud", "--device", "dice,addr=7"]
    assert main(["boot", "--dump-config", "-k", "image", *devices]) == 0
    assert '"shout,id=loud", "dice,addr=7"' in capsys.readouterr().out
    assert main(["boot", "--dump-config", "-k", "image", "--device", "shuot"]) == 2
    assert "--device knows no shuot" in capsys.readouterr().err
