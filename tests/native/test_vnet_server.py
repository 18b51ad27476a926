"""Who serves a network card: vhost, or this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmm.backends import vhost
from vmm.backends.tap import Tap
from vmm.errors import ConfigError, HostError
from vmm.native import Fd
from vmm.virtio.net import choose_vhost


@pytest.fixture
def wire() -> Iterator[Tap]:
    """A socket, of which some tests say that it is a tap: nobody asks it for anything."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    tap = Tap("wire", [Fd(ours.detach())], is_tap=False)
    with theirs:
        yield tap
    tap.close()


@pytest.fixture
def refusing(wire: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tap:
    """A tap on a host whose vhost opens and then refuses."""
    node = tmp_path / "vhost-net"
    node.touch()
    monkeypatch.setattr(vhost, "PATH", str(node))
    wire.is_tap = True
    return wire


def test_socket_cannot_be_served_by_vhost(wire: Tap) -> None:
    with pytest.raises(ConfigError, match="vhost=on needs a tap, and fd= is a socket"):
        choose_vhost("on", wire)
    assert choose_vhost("auto", wire) is None


def test_vhost_that_refuses_ends_the_start_only_if_asked_for(refusing: Tap) -> None:
    with pytest.raises(HostError, match=r"VHOST_SET_OWNER on .*vhost-net failed: .*vhost=off"):
        choose_vhost("on", refusing)
    assert choose_vhost("auto", refusing) is None
    assert choose_vhost("off", refusing) is None
