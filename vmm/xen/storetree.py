"""xenstore's tree: nodes, who may do what with them, transactions (docs/misc/xenstore.txt).

Rules are those of Xen 4.17's xenstored. Nodes are values: a change makes a new one, so that a
transaction is a layer of nodes above the tree, with a note of what it has seen of it.
"""

from __future__ import annotations

from vmm.record import Record, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Perms = tuple[tuple[str, int], ...]

ABSOLUTE_MAX, RELATIVE_MAX = 3072, 2048  # bytes of a path
NODES_MAX, VALUE_MAX, PERMS_MAX = 1000, 2048, 5  # a guest's, on the whole and of one node
TOUCHED_MAX, TOUCHED_BYTES = 4096, 4 << 20  # paths a transaction looked at; with what it wrote
CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@")
READ, WRITE = "r", "w"
LETTERS = {"n": "", "r": "r", "w": "w", "b": "rw"}


class StoreError(Exception):
    """An operation ends with the error of that name (xs_wire.h)."""


class Node(Record):
    """The first of `perms` is the owner with what everybody else may, the others are exceptions."""

    value: bytes
    perms: Perms
    children: tuple[str, ...] = ()
    generation: int = 0

    def allows(self, domid: int, need: str) -> bool:
        if domid in (0, self.perms[0][1]):
            return True
        letter = next((how for how, who in self.perms[1:] if who == domid), self.perms[0][0])
        return need in LETTERS[letter]


def check_path(path: str) -> str:
    """An absolute path, as it is. EINVAL for none."""
    good = path.startswith("/") and "//" not in path and len(path) <= ABSOLUTE_MAX
    if not good or (path != "/" and path.endswith("/")) or not CHARACTERS.issuperset(path):
        raise StoreError("EINVAL")
    return path


def parent_of(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def child_of(path: str, name: str) -> str:
    return f"/{name}" if path == "/" else f"{path}/{name}"


class View:
    """What an operation works on."""

    def look(self, path: str) -> Node | None:
        raise NotImplementedError

    def put(self, path: str, node: Node) -> None:
        raise NotImplementedError

    def drop(self, path: str) -> None:
        raise NotImplementedError

    def owned(self, domid: int) -> int:
        """How many nodes the domain owns."""
        raise NotImplementedError

    # --- operations; domid: whose

    def find(self, path: str, domid: int, need: str) -> Node:
        """ENOENT; EACCES also where the nearest node above does not allow it."""
        node, at = self.look(path), path
        if node is not None:
            if not node.allows(domid, need):
                raise StoreError("EACCES")
            return node
        while node is None:
            at = parent_of(at)
            node = self.look(at)
        raise StoreError("ENOENT" if node.allows(domid, need) else "EACCES")

    def write(self, path: str, domid: int, value: bytes | None) -> None:
        """value: `None` makes an empty node if there is none."""
        if value is not None and domid and len(value) > VALUE_MAX:
            raise StoreError("ENOSPC")
        try:
            node = self.find(path, domid, WRITE)
        except StoreError as error:
            if error.args != ("ENOENT",):
                raise
            self._create(path, domid, value or b"")
            return
        if value is not None:
            self.put(path, replace(node, value=value))

    def _create(self, path: str, domid: int, value: bytes) -> None:
        missing = [path]
        while self.look(parent_of(missing[-1])) is None:
            missing.append(parent_of(missing[-1]))
        if domid and self.owned(domid) + len(missing) > NODES_MAX:
            raise StoreError("ENOSPC")
        for name in reversed(missing):
            above = self.look(parent_of(name))
            assert above is not None
            perms = above.perms
            if domid:
                perms = ((perms[0][0], domid), *perms[1:])
            self.put(name, Node(value=value if name == path else b"", perms=perms))
            children = (*above.children, name.rpartition("/")[2])
            self.put(parent_of(name), replace(above, children=children))

    def remove(self, path: str, domid: int) -> list[tuple[str, Node]]:
        """With all below it; what was removed, the node itself first. Nothing there: nothing."""
        if path == "/":
            raise StoreError("EINVAL")
        try:
            node = self.find(path, domid, WRITE)
        except StoreError as error:
            if error.args == ("ENOENT",) and self.look(parent_of(path)) is not None:
                return []
            raise
        gone = [(path, node), *self.below(path, node)]
        above = self.look(parent_of(path))
        assert above is not None
        name = path.rpartition("/")[2]
        children = tuple(child for child in above.children if child != name)
        self.put(parent_of(path), replace(above, children=children))
        for lost, _node in gone:
            self.drop(lost)
        return gone

    def below(self, path: str, node: Node) -> Iterator[tuple[str, Node]]:
        """All that is under a node, upper ones first."""
        waiting = [child_of(path, name) for name in node.children]
        while waiting:
            at = waiting.pop()
            found = self.look(at)
            if found is not None:
                yield at, found
                waiting += [child_of(at, name) for name in found.children]

    def set_perms(self, path: str, domid: int, perms: Perms) -> None:
        node = self.find(path, domid, WRITE)
        if domid and len(perms) > PERMS_MAX:
            raise StoreError("ENOSPC")
        if domid and node.perms[0][1] != domid:
            raise StoreError("EACCES")
        if domid and perms[0][1] != domid:
            raise StoreError("EPERM")
        self.put(path, replace(node, perms=perms))


class Tree(View):
    """The tree itself."""

    def __init__(self) -> None:
        self._nodes = {"/": Node(value=b"", perms=(("n", 0),))}
        self._owned: dict[int, int] = {0: 1}
        self._generation = 0

    def look(self, path: str) -> Node | None:
        return self._nodes.get(path)

    def put(self, path: str, node: Node) -> None:
        self._count(path, -1)
        self._generation += 1
        self._nodes[path] = replace(node, generation=self._generation)
        self._count(path, 1)

    def drop(self, path: str) -> None:
        self._count(path, -1)
        self._nodes.pop(path, None)

    def _count(self, path: str, change: int) -> None:
        node = self._nodes.get(path)
        if node is not None:
            owner = node.perms[0][1]
            self._owned[owner] = self._owned.get(owner, 0) + change

    def owned(self, domid: int) -> int:
        return self._owned.get(domid, 0)

    def __len__(self) -> int:
        return len(self._nodes)


class Transaction(View):
    """Changes that become the tree's all at once, if nobody has changed what they are based on."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._seen: dict[str, int] = {}  # path -> generation, -1: not there
        self._layer: dict[str, Node | None] = {}  # None: removed
        self.changed: dict[str, Node] = {}  # as of the change: for those who watch
        self.removed: dict[str, tuple[Node, bool]] = {}  # True: gone with one above
        self._bytes = 0

    def look(self, path: str) -> Node | None:
        if path in self._layer:
            return self._layer[path]
        if len(self._seen) >= TOUCHED_MAX and path not in self._seen:
            raise StoreError("ENOSPC")
        node = self._tree.look(path)
        if path not in self._seen:
            self._count(len(path))
            self._seen[path] = -1 if node is None else node.generation
        return node

    def _count(self, more: int) -> None:
        if self._bytes + more > TOUCHED_BYTES:
            raise StoreError("ENOSPC")
        self._bytes += more

    def put(self, path: str, node: Node) -> None:
        self.look(path)
        self._count(len(node.value))
        self._layer[path] = node

    def drop(self, path: str) -> None:
        self.look(path)
        self._layer[path] = None

    def owned(self, domid: int) -> int:
        count = self._tree.owned(domid)
        for path, node in self._layer.items():
            before = self._tree.look(path)
            count += node is not None and node.perms[0][1] == domid
            count -= before is not None and before.perms[0][1] == domid
        return count

    def commit(self, domid: int) -> None:
        """EAGAIN if somebody was faster; ENOSPC if the domain would have too much."""
        for path, generation in self._seen.items():
            node = self._tree.look(path)
            if (-1 if node is None else node.generation) != generation:
                raise StoreError("EAGAIN")
        if domid and self.owned(domid) > max(NODES_MAX, self._tree.owned(domid)):
            raise StoreError("ENOSPC")
        for path, node in self._layer.items():
            if node is None:
                self._tree.drop(path)
            else:
                self._tree.put(path, node)
