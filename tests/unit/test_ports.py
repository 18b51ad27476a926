"""`--port` and `--console virtio`: what they say, what cannot be, which device gets which port."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.bootplan import boot_config
from vmm.config import VmConfig
from vmm.consoleconfig import ConsoleConfig
from vmm.consoleplan import ports_of, room
from vmm.errors import ConfigError
from vmm.kinds import ids_of, wanted
from vmm.portconfig import PortConfig, port_of_table, read_port, write_port


def config(**settings: Any) -> VmConfig:
    return VmConfig.of(kernel="k", **settings)


def problems_of(**settings: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        config(**settings)
    return caught.value.problems


# --- the text


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (
            "name=org.x,socket=/run/x",
            PortConfig(name="org.x", end=ConsoleConfig(kind="socket", path="/run/x")),
        ),
        ("nr=3,pty", PortConfig(number=3, end=ConsoleConfig(kind="pty"))),
        ("name=a,fd=7", PortConfig(name="a", end=ConsoleConfig(kind="fd", path="7"))),
        ("name=a,ring=64K", PortConfig(name="a", end=ConsoleConfig(kind="ring", path="64K"))),
        (
            "name=a,device=c1,null",
            PortConfig(name="a", device="c1", end=ConsoleConfig(kind="null")),
        ),
        ("console,pty", PortConfig(console=True, end=ConsoleConfig(kind="pty"))),
        (
            "nr=0,console,overflow=block,file=log",
            PortConfig(
                number=0,
                console=True,
                overflow="block",
                end=ConsoleConfig(kind="file", path="log"),
            ),
        ),
    ],
)
def test_port_is_read_and_written(text: str, port: PortConfig) -> None:
    assert read_port(text) == port
    assert write_port(port) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "takes name, nr"),
        ("name=x", "wants one of stdio, pty"),
        ("name=x,pty,null", "such as socket=PATH, not pty and null"),
        ("name=x,sokcet=p", "takes name, nr"),
        ("name=x,name=y,pty", "has name twice"),
        ("name=,pty", "name wants 1 to 255 bytes"),
        (f"name={'n' * 256},pty", "name wants 1 to 255 bytes"),
        ("name=a/b,pty", "cannot become a file name"),
        ("name=a\tb,pty", "cannot become a file name"),
        ("nr=0,pty", "nr=0 is reserved for a console; a serial port starts at 1"),
        ("nr=63,pty", "nr is 63; numbers go from 0 to 62"),
        ("nr=x,pty", "wants a number"),
        ("name=x,socket", "socket wants a value: socket=PATH"),
        ("name=x,fd", "fd wants a value: fd=N"),
        ("name=x,pty=/dev/x", "pty takes no path"),
        ("name=x,ring=1B", "ring wants 4K to 1G"),
        ("console=1,pty", "console stands alone"),
        ("name=x,overflow=drop,pty", "overflow is for consoles"),
        ("console,overflow=maybe,pty", "overflow wants drop or block"),
    ],
)
def test_14_port_that_cannot_be_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        read_port(text)


def test_table_says_the_same() -> None:
    table = {"name": "a", "nr": 2, "socket": "/run/a"}

    assert port_of_table(table) == read_port("name=a,nr=2,socket=/run/a")
    assert port_of_table({"console": True, "pty": True}) == read_port("console,pty")
    with pytest.raises(ValueError, match="neither a text, a number nor true"):
        port_of_table({"console": False, "pty": True})


@given(
    st.builds(
        PortConfig,
        end=st.sampled_from([ConsoleConfig(kind="pty"), ConsoleConfig(kind="file", path="a=b")]),
        name=st.sampled_from(["", "org.x", "ä"]),
        number=st.one_of(st.none(), st.integers(1, 62)),
        console=st.booleans(),
    )
)
def test_every_port_survives_toml(port: PortConfig) -> None:
    one = config(ports=[port])

    assert VmConfig.from_toml(one.to_toml()) == one


# --- the machine


def test_first_console_device_gets_the_ports_that_name_none() -> None:
    one = config(
        consoles=["virtio:pty", "virtio:null"],
        ports=["name=a,null", "name=b,device=second,null"],
        devices=["virtio-console,id=first", "virtio-console,id=second"],
    )

    first = ports_of(one, "first", first=True)
    assert [(port.console, port.end.kind, port.name) for port in first] == [
        (True, "pty", ""),
        (True, "null", ""),
        (False, "null", "a"),
    ]
    assert [port.name for port in ports_of(one, "second", first=False)] == ["b"]


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, []),
        ({"consoles": ["virtio"]}, ["virtio-console"]),
        ({"ports": ["name=a,null"], "rng": True}, ["virtio-console", "virtio-rng"]),
        (
            {"ports": ["name=a,null"], "devices": ["virtio-console,ports=3"]},
            ["virtio-console"],
        ),
    ],
)
def test_a_console_device_is_there_when_it_is_needed(
    settings: dict[str, Any], kinds: list[str]
) -> None:
    assert [device.kind for device in wanted(config(**settings))] == kinds


def test_room_is_for_what_there_is_and_some_more() -> None:
    console = read_port("console,pty")
    serial = [read_port(f"name=p{n},null") for n in range(20)]

    assert room([console], None, alone=True) == 1
    assert room([], None) == 8
    assert room([console, *serial[:4]], None, alone=True) == 8
    assert room([console, *serial], None, alone=True) == 21
    assert room(serial, None) == 21
    assert room([read_port("nr=40,null")], None, alone=True) == 41
    assert room(serial, 3) == 4


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ports": ["name=a,null", "name=a,pty"]}, "two ports cannot both be called a"),
        ({"ports": ["nr=2,null", "nr=2,pty"]}, "cannot both have nr=2"),
        ({"ports": ["name=a,device=x,null"]}, "device=x, which is no virtio-console"),
        ({"ports": [f"name=p{n},null" for n in range(63)]}, "has 63 at most"),
        ({"ports": ["name=a,socket=s", "name=b,file=s"]}, "two consoles cannot share s"),
        ({"ports": ["name=a,stdio"]}, "a port on stdio wants it alone"),
        ({"consoles": ["pty", "null"]}, "or use --console virtio:"),
    ],
)
def test_17_machine_that_cannot_be_is_refused(settings: dict[str, Any], sentence: str) -> None:
    assert any(sentence in problem for problem in problems_of(**settings))


def test_port_may_have_the_terminal_to_itself() -> None:
    assert config(consoles=["null"], ports=["name=a,stdio"]).ports


def test_names_of_devices_follow_their_kind() -> None:
    assert ids_of("virtio-console", config(ports=["name=a,null"])) == ["virtio-console0"]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, ""),
        ({"consoles": ["virtio"]}, "console=hvc0"),
        ({"consoles": ["virtio"], "append": "quiet"}, "quiet"),
        ({"consoles": ["pty", "virtio"]}, ""),
    ],
)
def test_kernel_is_told_of_a_virtio_console_unless_the_user_speaks(
    settings: dict[str, Any], line: str
) -> None:
    assert boot_config(config(**settings), (0,)).cmdline == line
