"""xenstore's tree: paths, permissions, quotas."""

from __future__ import annotations

import random

import pytest

from tests.unit.storerig import GUEST, Rig, refused
from vmm.xen.store import Client
from vmm.xen.storetree import NODES_MAX, VALUE_MAX, StoreError


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_nodes_are_made_with_all_above_and_removed_with_all_below(rig: Rig) -> None:
    rig.store.write(rig.guest, "data/a/b/c", b"deep")
    assert rig.get("/local/domain/1/data/a/b/c") == b"deep"
    assert rig.store.read(rig.guest, "data/a/b") == b""
    rig.store.write(rig.guest, "data/a/b/c", b"new")
    rig.store.write(rig.guest, "data/a/b/c", None)
    assert rig.get("/local/domain/1/data/a/b/c") == b"new"

    before = rig.store.size()
    rig.store.remove(rig.guest, "data/a")
    assert rig.store.size() == before - 3
    rig.store.remove(rig.guest, "data/a")
    with refused("ENOENT"):
        rig.store.remove(rig.guest, "data/x/y")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "/a/",
        "/a//b",
        "a b",
        "/a\x00",
        "/ä",
        "/" + "x" * 3072,
        "x" * 2049,
        "..\n",
        "@a",
    ],
)
def test_paths_that_nobody_can_write(rig: Rig, path: str) -> None:
    with pytest.raises(StoreError) as caught:
        rig.store.write(rig.guest, path, b"")
    assert caught.value.args[0] in ("EINVAL", "EACCES")
    with refused("EINVAL"):
        rig.store.remove(rig.root, path)


def test_guest_may_do_what_permissions_say(rig: Rig) -> None:
    store, root, guest = rig.store, rig.root, rig.guest
    store.write(root, "/secret/key", b"mine")
    for look in ("/secret", "/secret/key", "/secret/none", "/none", "/"):
        with refused("EACCES"):
            store.read(guest, look)
    store.write(root, "/local/domain/1/name", b"n")
    assert store.read(guest, "name") == b"n"
    with refused("ENOENT"):
        store.read(guest, "nothing")
    for act in (
        lambda: store.write(guest, "name", b"x"),
        lambda: store.write(guest, "new", b"x"),
        lambda: store.remove(guest, "name"),
        lambda: store.set_perms(guest, "name", (("b", GUEST),)),
        lambda: store.write(guest, "/secret/x", b""),
    ):
        with refused("EACCES"):
            act()
    store.set_perms(root, "/local/domain/1/name", (("n", 0), ("b", GUEST)))
    store.write(guest, "name", b"x")
    with refused("EACCES"):
        store.set_perms(guest, "name", (("b", GUEST),))


def test_what_a_guest_makes_is_its_own_and_stays_so(rig: Rig) -> None:
    rig.store.write(rig.guest, "data/x", b"1")
    rig.store.set_perms(rig.guest, "data/x", (("r", GUEST), ("w", 7)))

    assert rig.store.node(rig.root, "/local/domain/1/data/x").perms == (("r", GUEST), ("w", 7))
    other = Client(7, lambda _path, _token: None)
    rig.store.write(other, "/local/domain/1/data/x", b"2")
    with refused("EACCES"):
        rig.store.read(other, "/local/domain/1/data/x")
    with refused("EPERM"):
        rig.store.set_perms(rig.guest, "data/x", (("n", 0),))
    with refused("ENOSPC"):
        rig.store.set_perms(rig.guest, "data/x", (("n", GUEST),) * 6)


def test_quotas_of_nodes_and_of_a_value(rig: Rig) -> None:
    with refused("ENOSPC"):
        rig.store.write(rig.guest, "data/v", b"x" * (VALUE_MAX + 1))
    made = 0
    with refused("ENOSPC"):
        for made in range(NODES_MAX + 1):
            rig.store.write(rig.guest, f"data/{made}", b"")
    assert made == NODES_MAX - 1  # data itself is one
    with refused("ENOSPC"):
        rig.store.write(rig.guest, "data/0/" + "/".join("x" * 1000), b"")
    rig.store.remove(rig.guest, "data/7")
    rig.store.write(rig.guest, "data/again", b"")
    rig.store.write(rig.root, "/tool", b"x" * (VALUE_MAX + 1))


def test_random_changes_leave_a_tree_as_the_model(rig: Rig) -> None:
    """The model is a dictionary of values."""
    dice, model = random.Random(4), {"/local/domain/1/data": b""}
    for _ in range(3000):
        path = "data/" + "/".join(dice.choice("abc") for _ in range(dice.randrange(1, 4)))
        whole = f"/local/domain/1/{path}"
        above = whole
        number = rig.store.begin(rig.guest) if dice.random() < 0.5 else 0
        commits = not number or dice.random() < 0.7
        before = dict(model)
        if dice.random() < 0.7:
            model[whole] = value = dice.randbytes(3)
            while (above := above.rpartition("/")[0]) != "/local/domain/1/data":
                model.setdefault(above, b"")
            rig.store.write(rig.guest, path, value, number)
        elif whole.rpartition("/")[0] in model:
            rig.store.remove(rig.guest, path, number)
            model = {p: v for p, v in model.items() if not (p + "/").startswith(whole + "/")}
        if number:
            rig.store.end(rig.guest, number, commits)
        if not commits:
            model = before
    assert rig.store.size() == len(model) + 4
    for path, value in model.items():
        assert rig.get(path) == value
        names = [p.rpartition("/")[2] for p in model if p.rpartition("/")[0] == path]
        assert sorted(rig.names(path)) == sorted(names)
