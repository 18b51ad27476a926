"""A xenstore with its host and one guest connected, both of whom write down what they are told."""

from __future__ import annotations

import pytest

from vmm.xen.store import Client, Store
from vmm.xen.storetree import StoreError

GUEST = 1
OPEN = (("n", 0), ("r", GUEST))


class Rig:
    def __init__(self) -> None:
        self.store = Store()
        self.events: list[tuple[str, str]] = []
        self.seen: list[tuple[str, str]] = []
        self.root = Client(0, lambda path, token: self.seen.append((path, token)))
        self.guest = Client(GUEST, lambda path, token: self.events.append((path, token)))
        self.store.connect(self.root)
        self.store.connect(self.guest)
        self.store.write(self.root, "/local/domain/1", b"")
        self.store.set_perms(self.root, "/local/domain/1", OPEN)
        self.store.write_all(self.root, {"/local/domain/1/data": ""}, (("n", GUEST),))

    def names(self, path: str) -> list[str]:
        return list(self.store.node(self.root, path).children)

    def get(self, path: str) -> bytes:
        return self.store.read(self.root, path)


def refused(name: str) -> pytest.RaisesExc[StoreError]:
    return pytest.raises(StoreError, match=f"^{name}$")
