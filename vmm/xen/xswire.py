"""xenstore's messages (xen/include/public/io/xs_wire.h): from a request's bytes to its answer's."""

from __future__ import annotations

from struct import pack, unpack_from

from vmm.xen.store import Client, Store
from vmm.xen.storetree import LETTERS, StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vmm.xen.storetree import Perms

    Handler = Callable[[Store, Client, bytes, int], bytes]

HEADER, PAYLOAD_MAX = 16, 4096
CONTROL, DIRECTORY, XS_READ, GET_PERMS, WATCH, UNWATCH = 0, 1, 2, 3, 4, 5
TRANSACTION_START, TRANSACTION_END, INTRODUCE, RELEASE, GET_DOMAIN_PATH = 6, 7, 8, 9, 10
XS_WRITE, MKDIR, RM, SET_PERMS, WATCH_EVENT, ERROR = 11, 12, 13, 14, 15, 16
IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET, RESET_WATCHES, DIRECTORY_PART = 17, 18, 19, 21, 22
OK = b"OK\0"
DOMID_MAX = 0x7FF0  # above are no domains


def message(kind: int, request: int, transaction: int, payload: bytes) -> bytes:
    return pack("<4I", kind, request, transaction, len(payload)) + payload


def event(path: str, token: str) -> bytes | None:
    """A watch's event; `None` if it is longer than a message may be."""
    payload = path.encode() + b"\0" + token.encode("latin-1") + b"\0"
    return None if len(payload) > PAYLOAD_MAX else message(WATCH_EVENT, 0, 0, payload)


def answer(store: Store, client: Client, request: bytes) -> bytes:
    """Of a whole message from a client without privileges. Never fails."""
    kind, number, transaction, _length = unpack_from("<4I", request)
    try:
        if kind not in HANDLERS:
            raise StoreError("EACCES" if kind in PRIVILEGED else "ENOSYS")
        payload = HANDLERS[kind](store, client, request[HEADER:], transaction)
        if len(payload) > PAYLOAD_MAX:
            raise StoreError("E2BIG")
    except StoreError as error:
        kind, payload = ERROR, error.args[0].encode() + b"\0"
    return message(kind, number, transaction, payload)


def _strings(payload: bytes, least: int, most: int) -> list[str]:
    """Text that ends with a zero byte each. EINVAL unless there are `least` to `most`."""
    *texts, rest = payload.split(b"\0")
    if rest or not least <= len(texts) <= most:
        raise StoreError("EINVAL")
    return [text.decode("latin-1") for text in texts]


def _one(payload: bytes) -> str:
    return _strings(payload, 1, 1)[0]


def _read(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    return store.read(client, _one(payload), number)


def _children(store: Store, client: Client, path: str, number: int) -> tuple[bytes, int]:
    node = store.node(client, path, number)
    return b"".join(name.encode() + b"\0" for name in node.children), node.generation


def _directory(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    return _children(store, client, _one(payload), number)[0]


def _directory_part(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    """From a byte on, as many names as there is room for; an empty one tells that it is all."""
    path, offset = _strings(payload, 2, 2)
    names, generation = _children(store, client, path, number)
    if not offset.isdecimal() or len(offset) > 9 or int(offset) > len(names):
        raise StoreError("EINVAL")
    first = str(generation).encode() + b"\0"
    room, rest = PAYLOAD_MAX - len(first), names[int(offset) :]
    if len(rest) + 1 <= room:
        return first + rest + b"\0"
    return first + rest[: rest.rindex(b"\0", 0, room) + 1]


def _write(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    path, zero, value = payload.partition(b"\0")
    if not zero:
        raise StoreError("EINVAL")
    store.write(client, path.decode("latin-1"), value, number)
    return OK


def _mkdir(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    store.write(client, _one(payload), None, number)
    return OK


def _rm(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    store.remove(client, _one(payload), number)
    return OK


def write_perms(perms: Perms) -> list[str]:
    return [f"{letter}{domid}" for letter, domid in perms]


def read_perms(texts: list[str]) -> Perms:
    """As "n0", "r5". EINVAL for anything else."""
    found = []
    for text in texts:
        digits = text[1:]
        good = text[:1] in LETTERS and digits.isascii() and digits.isdecimal() and len(digits) < 6
        if not text or not good or int(digits) >= DOMID_MAX:
            raise StoreError("EINVAL")
        found.append((text[0], int(digits)))
    return tuple(found)


def _get_perms(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    perms = store.node(client, _one(payload), number).perms
    return b"".join(text.encode() + b"\0" for text in write_perms(perms))


def _set_perms(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    path, *texts = _strings(payload, 2, PAYLOAD_MAX)
    store.set_perms(client, path, read_perms(texts), number)
    return OK


def _watch(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    path, token = _strings(payload, 2, 2)
    store.watch(client, path, token)
    return OK


def _unwatch(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    path, token = _strings(payload, 2, 2)
    store.unwatch(client, path, token)
    return OK


def _start(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    if number:
        raise StoreError("EBUSY")
    return str(store.begin(client)).encode() + b"\0"


def _end(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    if payload not in (b"T\0", b"F\0"):
        raise StoreError("EINVAL")
    store.end(client, number, payload == b"T\0")
    return OK


def _domain_path(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    text = _one(payload)
    if not text.isdecimal() or len(text) > 5:
        raise StoreError("EINVAL")
    return f"/local/domain/{int(text)}".encode() + b"\0"


def _reset_watches(store: Store, client: Client, payload: bytes, number: int) -> bytes:
    store.forget(client)
    return OK


PRIVILEGED = (CONTROL, INTRODUCE, RELEASE, IS_DOMAIN_INTRODUCED, RESUME, SET_TARGET)
HANDLERS: dict[int, Handler] = {
    DIRECTORY: _directory,
    XS_READ: _read,
    GET_PERMS: _get_perms,
    WATCH: _watch,
    UNWATCH: _unwatch,
    TRANSACTION_START: _start,
    TRANSACTION_END: _end,
    GET_DOMAIN_PATH: _domain_path,
    XS_WRITE: _write,
    MKDIR: _mkdir,
    RM: _rm,
    SET_PERMS: _set_perms,
    RESET_WATCHES: _reset_watches,
    DIRECTORY_PART: _directory_part,
}
