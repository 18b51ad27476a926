"""`--net`: what is read and refused, in each of its three doors."""

from __future__ import annotations

import pytest

from vmm.config import VmConfig
from vmm.deviceconfig import DeviceConfig
from vmm.errors import ConfigError
from vmm.kinds import wanted, with_names
from vmm.netconfig import read_fds, read_net, write_net


def net(*params: tuple[str, str], **fields: str) -> DeviceConfig:
    return DeviceConfig(kind="virtio-net", params=params, **fields)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("tap", net()),
        ("tap=vm0", net(("tap", "vm0"))),
        ("tap,vhost=off,queues=4", net(("vhost", "off"), ("queues", "4"))),
        ("fd=3:4", net(("fd", "3:4"))),
        ("tap=a,addr=192.0.2.1/24", net(("tap", "a"), ("host-addr", "192.0.2.1/24"))),
        ("tap,mac=52:54:00:00:00:01,id=n", net(("mac", "52:54:00:00:00:01"), id="n")),
        ("tap,bridge=br0,mtu=9000", net(("bridge", "br0"), ("mtu", "9000"))),
    ],
)
def test_text_is_read_and_written(text: str, device: DeviceConfig) -> None:
    assert read_net(text) == device
    assert write_net(device) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "--net starts with tap, tap=NAME or fd=N, not ''"),
        ("user", "--net starts with tap, tap=NAME or fd=N, not 'user'"),
        ("tap,tap=x", "--net virtio-net has tap twice"),
        ("tap,speed=1", "--net virtio-net has no setting 'speed'"),
        ("tap,vhost=maybe", "vhost wants auto, on or off, not 'maybe'"),
        ("tap,queues=x", "queues wants a number"),
        ("tap=much-too-long-a-name", "tap wants an interface's name of up to 15 bytes"),
        ("tap=a/b", "tap wants an interface's name"),
        ("tap=a%d", "tap wants an interface's name"),
        ("tap=a\udcff", "tap wants an interface's name of up to 15 bytes, not 'a\\udcff'"),
        ("tap,bridge=\udc80", "bridge wants an interface's name"),
        ("tap,mac=52:54", "mac wants six bytes such as 52:54:00:12:34:56, not '52:54'"),
        ("tap,mac=1:0:0:0:0:0", "mac is 1:0:0:0:0:0, which is a group's address"),
        ("tap,mac=0:0:0:0:0:0", "mac cannot be all zeros"),
        ("tap,addr=192.0.2.1", "host-addr wants IP/PREFIX such as 192.0.2.1/24"),
        ("tap,addr=1.2.3/8", "host-addr wants IP/PREFIX"),
        ("fd=a", "fd wants a number"),
        ("tap,id=a b", "id may have letters"),
    ],
)
def test_what_cannot_be_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VmConfig.from_argv(["--kernel", "k", "--net", text])
    assert sentence in str(caught.value)


def test_all_doors_lead_to_the_same_machine() -> None:
    argv = ["--kernel", "k", "--net", "tap=a,vhost=on", "--net", "tap", "--net", "fd=9,id=x"]
    toml = 'kernel = "k"\nnet = ["tap=a,vhost=on", {tap = true}, {fd = 9, id = "x"}]'
    config = VmConfig.from_argv(argv)

    assert VmConfig.from_toml(toml) == config
    assert VmConfig.of(kernel="k", nets=["tap=a,vhost=on", "tap", "fd=9,id=x"]) == config
    assert VmConfig.from_toml(config.to_toml()) == config
    names = [device.id for device in with_names(wanted(config))]
    assert names == ["virtio-net0", "virtio-net1", "x"]


def test_table_wants_one_of_tap_and_fd() -> None:
    for table in ("{vhost = true}", "{tap = true, fd = 3}"):
        with pytest.raises(ConfigError, match="wants tap or fd, one of them"):
            VmConfig.from_toml(f'kernel = "k"\nnet = [{table}]')


def test_names_are_one_family_with_those_of_devices() -> None:
    with pytest.raises(ConfigError, match="has two devices with id a"):
        VmConfig.of(kernel="k", devices=["virtio-rng,id=a"], nets=["tap,id=a"])


def test_descriptors_are_numbers() -> None:
    assert read_fds("3") == (3,)
    assert read_fds("3:4:17") == (3, 4, 17)
