"""PV devices in xenstore: the states of both ends, and what drivers write that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from vmm.xen.pvdevice import (
    Closed,
    Closing,
    Connected,
    Initialised,
    Initialising,
    InitWait,
    PvDevice,
    Unusable,
)
from vmm.xen.store import Client, Store
from vmm.xen.storetree import StoreError

FRONT, BACK = "/local/domain/1/device/vbd/3", "/local/domain/0/backend/vbd/1/3"


class Toy(PvDevice):
    kind = "vbd"

    def __init__(self, context: Any) -> None:
        super().__init__("toy", context, 3)
        self.connected = self.under_way = False

    def front_nodes(self) -> dict[str, str]:
        return {"shape": "round"}

    def back_nodes(self) -> dict[str, str]:
        return {"feature-x": "1"}

    def connect(self) -> None:
        self.wish = self.read_number("wish", most=9)
        self.connected = True

    def disconnect(self) -> None:
        self.connected = False

    def busy(self) -> bool:
        return self.under_way


class Namespace:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Rig:
    """A loop whose calls are run by hand."""

    def __init__(self) -> None:
        self.store, self.calls = Store(), list[Any]()
        self.guest = Client(1, lambda _path, _token: None)
        root = Client(0, lambda _path, _token: None)
        self.store.write_all(root, {"/local/domain/1": ""}, (("n", 0), ("r", 1)))
        self.store.write_all(root, {"/local/domain/0": ""}, (("n", 0), ("r", 1)))
        self.store.connect(self.guest)
        loop = Namespace(call=self.calls.append, ask=lambda function: function())
        self.domain: Any = Namespace(services=Namespace(xenstore=Namespace(store=self.store)))
        self.device = Toy(Namespace(loop=loop))
        domain: Any = self.domain
        self.device.begin(domain)
        self.run()

    def run(self) -> None:
        while self.calls:
            self.calls.pop(0)()

    def says(self, **nodes: object) -> int:
        """What the driver writes; the state that we answer with."""
        for name, value in nodes.items():
            self.store.write(self.guest, f"{FRONT}/{name}", str(value).encode())
        self.run()
        return int(self.store.read(self.guest, f"{BACK}/state"))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_both_find_one_another(rig: Rig) -> None:
    read = rig.store.read
    assert read(rig.guest, f"{FRONT}/backend").decode() == BACK
    assert read(rig.guest, f"{BACK}/frontend").decode() == FRONT
    assert read(rig.guest, f"{FRONT}/shape") == read(rig.guest, "device/vbd/3/shape") == b"round"
    assert read(rig.guest, f"{BACK}/feature-x") == b"1"
    with pytest.raises(StoreError, match="EACCES"):
        rig.store.write(rig.guest, f"{BACK}/feature-x", b"2")


def test_a_life(rig: Rig) -> None:
    assert rig.says(state=Initialising) == InitWait
    assert rig.says(wish=5, state=Initialised) == Connected
    assert rig.device.connected
    assert rig.says(state=Connected) == Connected
    rig.device.under_way = True
    assert rig.says(state=Closing) == Closing
    assert not rig.device.connected
    assert rig.says(state=Closed) == Closing
    rig.device.under_way = False
    rig.device.follow()
    assert rig.says() == Closed
    assert rig.says(state=Initialising) == InitWait
    assert rig.says(wish=6, state=Connected) == Connected
    assert rig.device.wish == 6


@pytest.mark.parametrize("wish", ["", "10", "-1", "1x", "0x1", "\xb2", "9" * 50, " 1"])
def test_driver_that_wants_what_cannot_be_is_closed(rig: Rig, wish: str) -> None:
    rig.store.write(rig.guest, f"{FRONT}/wish", wish.encode("latin-1"))

    assert rig.says(state=Initialised) == Closing
    assert not rig.device.connected
    root = Client(0, lambda _path, _token: None)
    assert b"wish" in rig.store.read(root, "/local/domain/0/error/vbd/3")


def test_states_that_make_no_sense_change_nothing(rig: Rig) -> None:
    for state in ("", "x", "99999999999999", "7", "-1", InitWait, 0.5):
        rig.says(state=state)
        assert not rig.device.connected
    assert rig.says(wish=1, state=Initialising) in (InitWait, Closed)


def test_directory_that_the_driver_removes_ends_the_service(rig: Rig) -> None:
    rig.says(wish=5, state=Initialised)
    rig.store.remove(rig.guest, FRONT)
    rig.run()

    assert not rig.device.connected
    assert rig.device.state == Closed


def test_broken_ring_and_the_end_of_the_machine(rig: Rig) -> None:
    rig.says(wish=5, state=Initialised)
    rig.device.fail("an index is impossible")
    assert not rig.device.connected
    assert rig.says() == Closing
    rig.device.halt()
    rig.device.end(rig.domain)
    assert rig.says(state=Connected) == Closing


def test_missing_numbers_have_defaults_only_where_one_is_given(rig: Rig) -> None:
    assert rig.device.read_number("order", default=0) == 0
    with pytest.raises(Unusable):
        rig.device.read_number("order")
    rig.store.write(rig.guest, f"{FRONT}/order", b"x")
    with pytest.raises(Unusable):
        rig.device.read_number("order", default=0)


def test_what_broke_in_an_earlier_connection_ends_no_later_one(rig: Rig) -> None:
    rig.says(wish=5, state=Initialised)
    rig.says(state=Closed)
    assert rig.says(state=Initialising) == InitWait
    rig.device.fail("an index was impossible")
    assert rig.says(wish=6, state=Initialised) == Connected
