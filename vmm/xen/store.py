"""xenstore: a tree that several clients read, write and watch (docs/misc/xenstore.txt).

Clients are the guest, our back-ends and whoever asks from outside; the latter two as domain 0.
"""

from __future__ import annotations

from vmm.threads import Lock
from vmm.xen.storetree import (
    READ,
    RELATIVE_MAX,
    Node,
    StoreError,
    Transaction,
    Tree,
    View,
    check_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.xen.storetree import Perms

    Event = tuple["Client", str, str]  # whom to tell of which path, with which token

WATCHES_MAX, TRANSACTIONS_MAX = 128, 10  # a guest's
SPECIAL = ("@introduceDomain", "@releaseDomain")


class Client:
    """`tell(path, token)` is called for each event of a watch, with no lock held, by any thread."""

    def __init__(self, domid: int, tell: Callable[[str, str], None]) -> None:
        self.domid, self.tell = domid, tell
        self.home = f"/local/domain/{domid}"
        self.watches: dict[tuple[str, str], str] = {}  # (path as given, token) -> absolute path
        self.transactions: dict[int, Transaction] = {}
        self.last_transaction = 0

    def absolute(self, path: str) -> str:
        """EINVAL for what is no path."""
        if path.startswith("/"):
            return check_path(path)
        if not path or path.startswith("@") or len(path) > RELATIVE_MAX:
            raise StoreError("EINVAL")
        return check_path(f"{self.home}/{path}")

    def view(self, number: int, tree: Tree) -> View:
        """What a request of that transaction works on; 0: none. ENOENT for one that is not."""
        if not number:
            return tree
        if number not in self.transactions:
            raise StoreError("ENOENT")
        return self.transactions[number]


class Store:
    """Every operation: StoreError with the error's name. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """An empty tree. Clients stay, with what they watch."""
        with self._lock:
            self._tree = Tree()
        self._clients: list[Client] = getattr(self, "_clients", [])

    def connect(self, client: Client) -> None:
        with self._lock:
            self._clients.append(client)

    def disconnect(self, client: Client) -> None:
        with self._lock:
            if client in self._clients:
                self._clients.remove(client)

    # --- looking

    def read(self, client: Client, path: str, number: int = 0) -> bytes:
        return self._look(client, path, number).value

    def node(self, client: Client, path: str, number: int = 0) -> Node:
        return self._look(client, path, number)

    def _look(self, client: Client, path: str, number: int) -> Node:
        with self._lock:
            view = client.view(number, self._tree)
            return view.find(client.absolute(path), client.domid, READ)

    def size(self) -> int:
        """How many nodes there are."""
        with self._lock:
            return len(self._tree)

    # --- changing

    def write(self, client: Client, path: str, value: bytes | None, number: int = 0) -> None:
        """value: `None` for XS_MKDIR."""

        def change(view: View, at: str) -> None:
            there = view.look(at) is not None
            view.write(at, client.domid, value)
            self._changed(view, at, told=value is not None or not there)

        self._change(client, path, number, change)

    def set_perms(self, client: Client, path: str, perms: Perms, number: int = 0) -> None:
        def change(view: View, at: str) -> None:
            view.set_perms(at, client.domid, perms)
            self._changed(view, at)

        self._change(client, path, number, change)

    def remove(self, client: Client, path: str, number: int = 0) -> None:
        def change(view: View, at: str) -> None:
            gone = view.remove(at, client.domid)
            if isinstance(view, Transaction):
                for lost, node in gone:
                    view.removed[lost] = node, lost != at
            elif gone:
                self._events += self._about_removed(gone)

        self._change(client, path, number, change)

    def _change(
        self, client: Client, path: str, number: int, change: Callable[[View, str], None]
    ) -> None:
        with self._lock:
            self._events: list[Event] = []
            change(client.view(number, self._tree), client.absolute(path))
            events = self._events
        _deliver(events)

    def _changed(self, view: View, path: str, told: bool = True) -> None:
        """Whoever watches the node is to hear of it, at once or when the transaction ends."""
        node = view.look(path)
        assert node is not None
        if not told:
            return
        if isinstance(view, Transaction):
            view.changed[path] = node
        else:
            self._events += self._about(path, node)

    def write_all(self, client: Client, entries: dict[str, str], perms: Perms) -> None:
        """Several nodes with the same permissions, made or changed one after the other."""
        for path, value in entries.items():
            self.write(client, path, value.encode())
            self.set_perms(client, path, perms)

    # --- transactions

    def begin(self, client: Client) -> int:
        with self._lock:
            if client.domid and len(client.transactions) >= TRANSACTIONS_MAX:
                raise StoreError("ENOSPC")
            number = client.last_transaction
            while True:
                number = (number + 1) & 0xFFFFFFFF
                if number and number not in client.transactions:
                    break
            client.last_transaction = number
            client.transactions[number] = Transaction(self._tree)
            return number

    def end(self, client: Client, number: int, commit: bool) -> None:
        with self._lock:
            transaction = client.transactions.pop(number, None)
            if transaction is None:
                raise StoreError("ENOENT")
            if not commit:
                return
            transaction.commit(client.domid)
            events: list[Event] = []
            for path, (node, below) in transaction.removed.items():
                events += self._about(path, node, exact=below)
            for path, node in transaction.changed.items():
                events += self._about(path, self._tree.look(path) or node)
        _deliver(events)

    # --- watches

    def watch(self, client: Client, path: str, token: str) -> None:
        """The first event comes at once. EEXIST for the same watch again."""
        at = _watched(client, path)
        with self._lock:
            if (path, token) in client.watches:
                raise StoreError("EEXIST")
            if client.domid and len(client.watches) >= WATCHES_MAX:
                raise StoreError("E2BIG")
            client.watches[path, token] = at
        client.tell(path, token)

    def unwatch(self, client: Client, path: str, token: str) -> None:
        _watched(client, path)
        with self._lock:
            if client.watches.pop((path, token), None) is None:
                raise StoreError("ENOENT")

    def forget(self, client: Client) -> None:
        """XS_RESET_WATCHES: no watch, no transaction."""
        with self._lock:
            client.watches.clear()
            client.transactions.clear()

    def _about(self, path: str, node: Node, exact: bool = False) -> list[Event]:
        """Who is to hear that a node has changed. The lock is held."""
        found: list[Event] = []
        for client in self._clients:
            if not node.allows(client.domid, READ):
                continue
            for (given, token), at in client.watches.items():
                under = at == path or (not exact and (at == "/" or path.startswith(at + "/")))
                if under:
                    shown = path if given.startswith("/") else path[len(client.home) + 1 :]
                    found.append((client, shown, token))
        return found

    def _about_removed(self, gone: list[tuple[str, Node]]) -> list[Event]:
        path, node = gone[0]
        found = self._about(path, node)
        for below, node in gone[1:]:
            found += self._about(below, node, exact=True)
        return found


def _watched(client: Client, path: str) -> str:
    """What a watch on `path` is on. EINVAL for what nobody can watch."""
    if path.startswith("@"):
        if path not in SPECIAL:
            raise StoreError("EINVAL")
        return path
    return client.absolute(path)


def _deliver(events: list[Event]) -> None:
    for client, path, token in events:
        client.tell(path, token)
