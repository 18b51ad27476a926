"""`--device` and its kin: what is read, what is refused, where kinds come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm import kinds, kindtable
from vmm.config import VmConfig
from vmm.deviceconfig import DeviceConfig, parse_address, read_device, write_device
from vmm.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("pci-testdev", DeviceConfig(kind="pci-testdev")),
        ("x,id=a,addr=1f.7", DeviceConfig(kind="x", id="a", addr="1f.7")),
        ("x,path=a,,b,ro", DeviceConfig(kind="x", params=(("path", "a,b"), ("ro", "on")))),
        ("x,a=", DeviceConfig(kind="x", params=(("a", ""),))),
        ("x,a=b=c,,,,", DeviceConfig(kind="x", params=(("a", "b=c,,"),))),
    ],
)
def test_text_is_read(text: str, device: DeviceConfig) -> None:
    assert read_device(text) == device
    assert read_device(write_device(device)) == device


words = st.text(st.characters(codec="ascii", exclude_characters="=,\0"), min_size=1)
values = st.text(st.characters(codec="ascii", exclude_characters="\0"))


@given(words, st.dictionaries(words.filter(lambda key: key not in ("id", "addr")), values))
def test_what_is_written_reads_back(kind: str, params: dict[str, str]) -> None:
    device = DeviceConfig(kind=kind, params=tuple(params.items()))

    assert read_device(write_device(device)) == device


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "wants the name of a device first"),
        (",id=a", "wants the name of a device first"),
        ("x,=1", "x wants KEY=VALUE, not '=1'"),
        ("x,a=1,a=2", "x has a twice"),
    ],
)
def test_text_that_makes_no_sense_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_device(text)


@pytest.mark.parametrize(("text", "place"), [("1", (1, 0)), ("1f.7", (31, 7)), ("a.0", (10, 0))])
def test_addresses_are_hexadecimal(text: str, place: tuple[int, int]) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize("text", ["0", "20", "1.8", "1.", "x", "-1", "", "1.2.3"])
def test_addresses_off_the_bus_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wants SLOT\[.FUNCTION\]"):
        parse_address(text)


def problems(*devices: str) -> list[str]:
    """What the command line says to these."""
    argv = ["-k", "k"]
    for device in devices:
        argv += ["--device", device]
    try:
        VmConfig.from_argv(argv)
    except ConfigError as error:
        return list(error.problems)
    return []


def test_every_problem_of_every_device_is_reported_at_once() -> None:
    found = problems(
        "pci-testdef",
        "pci-testdev,membra=1M",
        "pci-testdev,membar=lots",
        "pci-testdev,id=a",
        "pci-testdev,id=a",
        "pci-testdev,id=a b",
        "pci-testdev,addr=3.1",
        "pci-testdev,addr=4",
        "pci-testdev,addr=4",
        "pci-testdev,addr=99",
    )

    assert found == [
        "--device knows no pci-testdef; did you mean pci-testdev?",
        "--device pci-testdev has no setting 'membra'; did you mean membar?; it takes membar",
        "--device pci-testdev: membar wants a size such as 512M, 6G or 0x20000000, not 'lots'",
        "--device has two devices with id a",
        "--device id may have letters, digits, - _ and . only, so not 'a b'",
        "--device has addr=3.1 without addr=3.0 before it: a guest looks for further functions "
        "only where there is the first",
        "--device has two devices at addr=4.0",
        "--device wants SLOT[.FUNCTION], 1 to 1f and 0 to 7 hexadecimal, not '99'",
    ]


def test_devices_of_a_file_are_tables_or_texts() -> None:
    tables = """
        kernel = "k"
        [[device]]
        kind = "pci-testdev"
        id = "one"
        membar = "1M"
        [[device]]
        kind = "pci-testdev"
        addr = "7.0"
    """
    texts = """
        kernel = "k"
        device = ["pci-testdev,id=one,membar=1M", "pci-testdev,addr=7.0"]
    """

    config = VmConfig.from_toml(tables)

    assert config == VmConfig.from_toml(texts)
    assert config == VmConfig.from_toml(config.to_toml())
    assert config.devices[0] == DeviceConfig(
        kind="pci-testdev", id="one", params=(("membar", "1M"),)
    )


def test_numbers_and_flags_of_a_table_are_spelt_out() -> None:
    text = '{kind = "virtio-rng", period = 500, access-platform = true, notify = "mmio"}'

    config = VmConfig.from_toml(f'kernel = "k"\ndevice = [{text}]')

    assert dict(config.devices[0].params) == {
        "period": "500",
        "access-platform": "on",
        "notify": "mmio",
    }


@pytest.mark.parametrize("table", ['{id = "a"}', '{kind = ["x"]}', '{kind = "x", a = {}}'])
def test_tables_that_make_no_sense_are_refused(table: str) -> None:
    with pytest.raises(ConfigError, match="device has a table"):
        VmConfig.from_toml(f'kernel = "k"\ndevice = [{table}]')


def test_devices_on_the_command_line_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('kernel = "k"\n[[device]]\nkind = "pci-testdev"\n')

    config = VmConfig.from_argv(["--config", str(path), "--device", "pci-testdev,id=other"])

    assert [device.id for device in config.devices] == ["other"]


def test_settings_are_converted_and_completed() -> None:
    kind = kindtable.KINDS["virtio-rng"]
    device = read_device("virtio-rng,max-bytes=1K")

    found = kind.settings(device)

    assert found["max-bytes"] == 1024
    assert found["period"] == 1000
    assert found["source"] is None


def test_unnamed_devices_get_their_kind_and_a_free_number() -> None:
    devices = [read_device(text) for text in ("a", "b,id=a1", "a", "a", "b")]

    names = [device.id for device in kinds.with_names(devices, used=["a0"])]

    assert names == ["a2", "a1", "a3", "a4", "b0"]


@pytest.mark.parametrize("name", kindtable.KINDS)
def test_every_row_names_something_that_makes_devices(name: str) -> None:
    from importlib import import_module

    module, _, function = kindtable.KINDS[name].maker.partition(":")

    assert callable(getattr(import_module(module), function))


# --- other packages


class EntryPoint:
    value = "their.package:make"

    def __init__(self, maker: Any) -> None:
        self.maker = maker

    def load(self) -> Any:
        return self.maker


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Another package offers a device `theirs`; what its maker was called with."""
    calls: list[Any] = []

    def make(*arguments: Any) -> str:
        calls.append(arguments)
        return "made"

    def entry_points(group: str, name: str) -> list[EntryPoint]:
        found = group == "vmm.devices" and name == "theirs"
        return [EntryPoint(make)] if found else []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    return calls


def test_a_kind_of_another_package_is_found_by_its_entry_point(offered: list[Any]) -> None:
    device = read_device("theirs,anything=goes")
    kind = kinds.find("theirs")

    assert kind is not None
    assert kind.make("context", device) == "made"
    assert offered == [("context", device, {"anything": "goes"})]
    assert problems("theirs,anything=goes") == []


def test_a_kind_of_another_package_may_say_what_it_takes(
    offered: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*_arguments: Any) -> None:
        pass

    make.params = (kindtable.param("size", "size", "1M", "How much."),)  # type: ignore[attr-defined]
    entries = [EntryPoint(make)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group, name: entries)

    kind = kinds.find("theirs")

    assert kind is not None
    assert kind.settings(read_device("theirs")) == {"size": 1 << 20}
    assert problems("theirs,colour=red") == [
        "--device theirs has no setting 'colour'; it takes size"
    ]
    assert offered == []


def test_our_own_kinds_ask_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: 1 / 0)

    assert problems("pci-testdev", "virtio-rng") == []
