"""Taps of the host: made and gone, adopted, refused with a sentence; packets through a real one."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.virtiopci import wait_for
from vmm.backends import tap as taps
from vmm.backends.card import tap_config
from vmm.backends.tap import ALL_OFFLOADS, Tap, TapConfig, open_tap
from vmm.errors import ConfigError, HostError
from vmm.host import net
from vmm.native import Fd, ffi, lib

TUNSETPERSIST = 0x400454CB
NAME = f"vmmt{os.getpid() % 100000}"
pytestmark = pytest.mark.needs("root", "tap")


@contextmanager
def made(**settings: object) -> Iterator[Tap]:
    tap = open_tap(TapConfig(name=NAME, **settings))  # type: ignore[arg-type]
    try:
        yield tap
    finally:
        tap.close()


@contextmanager
def persistent(*, multi_queue: bool = False) -> Iterator[None]:
    """A tap that somebody else has made."""
    request = ffi.new("struct ifreq *", {"ifr_name": NAME.encode()})
    request.ifr_flags = lib.IFF_TAP | lib.IFF_NO_PI | lib.IFF_VNET_HDR
    request.ifr_flags |= lib.IFF_MULTI_QUEUE if multi_queue else 0
    with Fd(os.open(taps.TUN, os.O_RDWR)) as fd:
        fd.ioctl("TUNSETIFF", request)
        fcntl.ioctl(fd.number, TUNSETPERSIST, 1)
    try:
        yield
    finally:
        with Fd(os.open(taps.TUN, os.O_RDWR)) as fd:
            fd.ioctl("TUNSETIFF", request)
            fcntl.ioctl(fd.number, TUNSETPERSIST, 0)


def read(name: str) -> str:
    return Path(f"/sys/class/net/{NAME}/{name}").read_text().strip()


def test_tap_is_made_and_gone() -> None:
    with made() as tap:
        assert tap.name == NAME
        assert net.exists(NAME)
        assert int(read("flags"), 16) & lib.IFF_UP
        assert tap.offloads & lib.TUN_F_CSUM
    assert not net.exists(NAME)


def test_kernel_chooses_a_name() -> None:
    tap = open_tap(TapConfig())
    assert tap.name.startswith("tap")
    assert net.exists(tap.name)
    tap.close()


def test_tap_gets_what_was_asked_for() -> None:
    from pyroute2 import IPRoute

    with IPRoute() as ip:
        bridge = f"{NAME}b"
        ip.link("add", ifname=bridge, kind="bridge")
        try:
            with made(mtu=1400, bridge=bridge):
                assert read("mtu") == "1400"
                assert os.path.basename(os.readlink(f"/sys/class/net/{NAME}/master")) == bridge
            with made(address="198.51.100.1/30"):
                index = ip.link_lookup(ifname=NAME)[0]
                [found] = [a for a in ip.get_addr(index=index) if a["prefixlen"] == 30]
                assert found.get_attr("IFA_ADDRESS") == "198.51.100.1"
        finally:
            ip.link("del", index=ip.link_lookup(ifname=bridge)[0])


def test_tap_is_gone_when_its_process_is_killed() -> None:
    program = (
        "import sys, time; from vmm.backends.tap import *;"
        f"t = open_tap(TapConfig(name={NAME!r}, queues=2)); print('made', flush=True);"
        "time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"made\n"
        assert net.exists(NAME)
        child.kill()
    wait_for(lambda: not net.exists(NAME), "the end of the tap")


@pytest.mark.parametrize("queues", [1, 2])
def test_tap_of_somebody_else_is_used_and_stays(queues: int) -> None:
    with persistent(multi_queue=True):
        with made(queues=queues) as tap:
            assert len(tap.fds) == queues
        assert net.exists(NAME)


def refused(sentence: str, **settings: object) -> None:
    with pytest.raises(HostError) as caught, made(**settings):
        pass
    assert sentence in str(caught.value)


def test_what_cannot_be_is_said() -> None:
    with persistent():
        refused("was not made for several queues: leave out queues=", queues=2)
        refused("exists, so whoever made it configures it", address="198.51.100.1/30")
        refused("exists and has an MTU of 1500, not 9000: leave out mtu=", mtu=9000)
        with made():
            refused("another process has it open")
    refused("There is no bridge nosuch0", bridge="nosuch0")
    assert not net.exists(NAME)
    with pytest.raises(HostError, match="it is no tap"):
        open_tap(TapConfig(name="lo"))


def test_missing_driver_and_privilege_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taps, "TUN", "/nonexistent/tun")
    refused("failed: No such file or directory; load the driver with `modprobe tun`")
    program = (
        "import os; os.setuid(65534); from vmm.backends.tap import *\n"
        "try: open_tap(TapConfig(name='vmmt9'))\n"
        "except Exception as e: print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert "run as root" in done.stdout


def test_descriptors_are_taken_as_they_are() -> None:
    with made() as tap:
        [fd] = tap.fds
        other = open_tap(TapConfig(fds=(fd.number,)))
        assert other.is_tap
        other.close()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        other = open_tap(TapConfig(fds=(ours.fileno(),)))
        assert not other.is_tap
        assert other.offloads == ALL_OFFLOADS
        other.close()
    with pytest.raises(HostError, match="failed: Bad file descriptor"):
        open_tap(TapConfig(fds=(999,)))
    stream, end = socket.socketpair()
    with stream, end, pytest.raises(HostError, match="neither a tap nor a datagram socket"):
        open_tap(TapConfig(fds=(stream.fileno(),)))
    with open("/dev/null") as null, pytest.raises(HostError, match="neither a tap nor"):
        open_tap(TapConfig(fds=(null.fileno(),)))


def test_tap_that_has_the_mtu_already_may_be_given_one() -> None:
    with persistent(), made(mtu=1500) as tap:
        assert tap.name == NAME


def test_descriptors_are_of_one_tap() -> None:
    one, two = open_tap(TapConfig(queues=2)), open_tap(TapConfig())
    numbers = [fd.number for fd in one.fds]
    try:
        for wrong in ((numbers[0], two.fds[0].number), (numbers[0], numbers[0])):
            with pytest.raises(HostError, match="fd= wants"):
                open_tap(TapConfig(fds=wrong))
        both = open_tap(TapConfig(fds=tuple(numbers)))
        assert len(both.fds) == 2
        both.close()
    finally:
        one.close()
        two.close()


def test_settings_that_do_not_go_together_are_refused() -> None:
    good = {"tap": None, "fd": None, "queues": 1, "bridge": None, "host-addr": None, "mtu": None}
    for bad in (
        {"fd": (3,), "tap": "x"},
        {"fd": (3,), "queues": 2},
        {"queues": 0},
        {"queues": 17},
        {"mtu": 67},
        {"mtu": 65536},
    ):
        with pytest.raises(ConfigError):
            tap_config({**good, **bad})
