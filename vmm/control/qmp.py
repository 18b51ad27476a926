"""The control socket: QMP framing over a UNIX socket, served by one thread of its own.

Greeting, `qmp_capabilities`, then `{"execute": ..., "arguments": ..., "id": ...}` answered in order
by `{"return": ...}` or `{"error": {"class": ..., "desc": ...}}`; events go to every client that has
negotiated. Peers may be hostile: their number, what they send and what they leave unread are
bounded, and none can delay another longer than its own command takes.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
from collections import deque

from vmm.control import xenverbs
from vmm.control.framing import FramingError, Splitter
from vmm.control.verbs import VERBS, ArgumentError, Target, call, version
from vmm.errors import HostError, VmmError
from vmm.record import replace
from vmm.threads import Lock, Thread

CLIENTS_MAX = 16
UNREAD_MAX = 1 << 20  # bytes a client may leave unread before it is dropped
RECEIVE = 16 << 10
RETRY = 0.5  # seconds
PATH_MAX = 107  # sun_path, less its terminator


class Client:
    """One connection: what it sent so far, what it has yet to read."""

    def __init__(self, sock: socket.socket, target: Target) -> None:
        self.sock = sock
        self.target = replace(target, watching=[])
        self.splitter = Splitter()
        self.unread = bytearray()
        self.negotiated = False
        self.closing = False  # close once everything unread is gone


class ControlServer:
    """Serves `target` on the UNIX socket `path` from `start` to `close`.

    Raises HostError if the path cannot be bound or another process serves it.
    """

    def __init__(self, path: str, target: Target) -> None:
        self.path = path
        self._target = target
        self._clients: dict[int, Client] = {}
        self._events: deque[dict[str, object]] = deque(maxlen=1024)
        self._listener = _listen(path)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = Lock()  # guards _stopping against a late event; nothing waits in it
        self._stopping = False
        self._deaf = False  # out of fds: stop listening for RETRY seconds
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread = Thread(target=self._serve, name="qmp")

    def start(self) -> None:
        self._target.events.listener = self._announce
        self._thread.start()

    def close(self) -> None:
        """Delivers what clients can still take without waiting, then closes everything."""
        self._target.events.listener = None
        with self._lock:
            self._stopping = True
            os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join()
        for client in list(self._clients.values()):
            self._drop(client)
        self._selector.close()
        self._listener.close()
        os.close(self._wake)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _announce(self, event: dict[str, object]) -> None:
        """Called in whichever thread emits: hands the event over and wakes the server."""
        with self._lock:
            if not self._stopping:
                self._events.append(event)
                os.eventfd_write(self._wake, 1)

    # --- the thread -------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._stopping:
            for key, ready in self._selector.select(RETRY if self._deaf else None):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj == self._wake:
                    os.eventfd_read(self._wake)
                elif key.data.sock.fileno() >= 0:
                    self._attend(key.data, ready)
            self._deliver_events()
            if self._deaf:
                self._deaf = False
                self._selector.register(self._listener, selectors.EVENT_READ)
        self._deliver_events()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                self._selector.unregister(self._listener)
                self._deaf = True
            return
        sock.setblocking(False)
        client = Client(sock, self._target)
        self._clients[sock.fileno()] = client
        self._selector.register(sock, selectors.EVENT_READ, client)
        if len(self._clients) > CLIENTS_MAX:
            client.closing = True
            self._send(client, _failure(f"all {CLIENTS_MAX} connections are in use"))
            return
        self._send(client, {"QMP": {"version": version(self._target.version), "capabilities": []}})

    def _attend(self, client: Client, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._flush(client)
        if not ready & selectors.EVENT_READ or client.sock.fileno() < 0:
            return
        try:
            data = client.sock.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
        elif not client.closing:
            self._receive(client, data)

    def _receive(self, client: Client, data: bytes) -> None:
        for message in client.splitter.feed(data):
            if isinstance(message, FramingError):
                client.closing = client.closing or message.fatal
                self._send(client, _failure(str(message)))
            else:
                self._send(client, self._answer(client, message))
            if client.closing or client.sock.fileno() < 0:
                return

    def _answer(self, client: Client, message: dict[str, object]) -> dict[str, object]:
        answer = self._execute(client, message)
        if "id" in message:
            answer["id"] = message["id"]
        return answer

    def _execute(self, client: Client, message: dict[str, object]) -> dict[str, object]:
        name = message.get("execute")
        surplus = message.keys() - {"execute", "arguments", "id"}
        if not isinstance(name, str):
            return _failure('a message must hold "execute": NAME')
        if surplus:
            return _failure(f"a message may not hold {sorted(surplus)[0]!r}")
        if not client.negotiated:
            if name != "qmp_capabilities":
                return _failure("qmp_capabilities must come first", "CommandNotFound")
            if message.get("arguments", {}) not in ({}, {"enable": []}):
                return _failure("there is no capability to enable")
            client.negotiated = True
            return {"return": {}}
        verb = VERBS.get(name)
        if verb is None:
            return _failure(f"there is no command {name!r}", "CommandNotFound")
        try:
            return {"return": call(verb, client.target, message.get("arguments", {}))}
        except (ArgumentError, VmmError) as error:
            return _failure(str(error))
        except Exception as error:
            return _failure(f"internal error: {type(error).__name__}: {error}")

    def _deliver_events(self) -> None:
        while self._events:
            event = {k: v for k, v in self._events.popleft().items() if k != "seq"}
            for client in list(self._clients.values()):
                if client.negotiated and not client.closing:
                    self._send(client, event)

    def _send(self, client: Client, message: dict[str, object]) -> None:
        client.unread += json.dumps(message, default=str).encode() + b"\r\n"
        self._flush(client)

    def _flush(self, client: Client) -> None:
        """Sends what the client takes; waits for the rest, within bounds."""
        try:
            while client.unread:
                del client.unread[: client.sock.send(client.unread, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if len(client.unread) > UNREAD_MAX or (client.closing and not client.unread):
            self._drop(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.unread else 0)
        self._selector.modify(client.sock, wanted, client)

    def _drop(self, client: Client) -> None:
        if self._clients.pop(client.sock.fileno(), None) is not None:
            self._selector.unregister(client.sock)
            client.sock.close()
            xenverbs.leave(client.target)


def _failure(text: str, kind: str = "GenericError") -> dict[str, object]:
    return {"error": {"class": kind, "desc": text}}


def _listen(path: str) -> socket.socket:
    """A listening socket that only this user may connect to; a dead one's file is replaced."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise HostError(
            f"the socket path {path} is longer than {PATH_MAX} bytes, more than a socket's name "
            "can hold; choose a shorter --state-dir"
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _unlink_dead(path)
        os.fchmod(sock.fileno(), 0o600)  # what bind creates has the socket's own mode
        sock.bind(path)
        sock.listen(CLIENTS_MAX)
    except OSError as error:
        sock.close()
        raise HostError(f"cannot listen on {path}: {error.strerror}") from error
    return sock


def _unlink_dead(path: str) -> None:
    """Removes a socket nobody listens on; leaves anything else for bind to refuse."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        refused = probe.connect_ex(path) == errno.ECONNREFUSED
    if refused:
        os.unlink(path)
