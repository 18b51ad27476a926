"""The host's side of a guest's traffic: bytes that go there over TCP and come back."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.linux.namespace import listen
from tests.linux.stock import TIMEOUT

MIB = 1 << 20
OUT, BACK = 5001, 5002  # ports


class Wire:
    """The host's side of the traffic, in the namespace of the thread that makes it."""

    def __init__(self) -> None:
        self.out, self.back = listen(OUT), listen(BACK)

    def echo(self, data: bytes, between: Callable[[], None] = lambda: None) -> bytes:
        """What the guest sends back; `between` is called while bytes are on their way."""
        sender, _ = self.out.accept()
        sender.settimeout(TIMEOUT)
        sending = threading.Thread(target=lambda: (sender.sendall(data), sender.close()))
        sending.start()
        between()
        sending.join()
        receiver, _ = self.back.accept()
        receiver.settimeout(TIMEOUT)
        back = bytearray()
        while piece := receiver.recv(MIB):
            back += piece
            if len(back) < MIB:
                between()
        receiver.close()
        return bytes(back)

    def close(self) -> None:
        self.out.close()
        self.back.close()
