"""Virtio devices whose queues are served in Python, on the thread of the device's loop.

The C side notes what happened (virtio_py.h); `ServedDevice` takes the notes and calls the
hooks that a subclass has. docs/extending.md has an example.
"""

from __future__ import annotations

from vmm.errors import StateError
from vmm.native import ffi, lib
from vmm.virtio.chain import ServedQueue
from vmm.virtio.device import VirtioDevice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from vmm.context import DeviceContext

STATE_VERSION = 1


class ServedDevice(VirtioDevice):
    """Subclasses set what stands here and write `kick()`; the other hooks are theirs if they want.

    Hooks run on the loop's thread, one at a time, while other devices of that loop wait: keep them
    short. An exception that leaves one ends the machine.
    """

    kind = "virtio_py"
    device_id = 0  # virtio 1.2, section 5
    queue_sizes: tuple[int, ...] = (64,)  # a power of two each, at most 1024
    features = 0  # bits 0 to 23 and 50 to 127 are a device's own; the transport adds its own
    config = b""  # configuration space as the driver first finds it, at most 256 bytes
    config_writable = b""  # its bits that the driver may change

    def __init__(self, name: str, context: DeviceContext) -> None:
        setup = ffi.new(
            "struct virtio_py_setup *",
            {
                "device_id": self.device_id,
                "features": self.features,
                "queue_count": len(self.queue_sizes),
                "queue_size": self.queue_sizes,
                "config_len": len(self.config),
                "mem": context.memory.pointer,
                "loop": context.loop.pointer,
            },
        )
        super().__init__(name, context, lib.virtio_py_create(setup))
        self._vdev = vdev = self.core.pointer
        vdev.config[0 : len(self.config)] = self.config
        vdev.config_wmask[0 : len(self.config_writable)] = self.config_writable
        self.queues = [
            ServedQueue(vdev, n, size, self._rest_if_asked)
            for n, size in enumerate(self.queue_sizes)
        ]
        self.loop = context.loop
        self._notes = ffi.new("struct virtio_py_notes *")
        self._token = self.loop.serve(self.pointer.event_fd, lib.EPOLLIN, self._serve)
        self._resting = False  # the machine waits until no chain is held

    # --- what a subclass writes

    def started(self, features: int) -> None:
        """The driver is ready, with these features; every queue gets a kick right after."""

    def kick(self, queue: ServedQueue) -> None:
        """The driver made chains available: `for chain in queue` gives them."""
        raise NotImplementedError

    def stopped(self) -> None:
        """The driver reset the device; chains that were kept are void."""

    def config_written(self, config: bytes) -> None:
        """The driver changed configuration space, which is now this."""

    def state(self) -> Any:
        """What a saved machine keeps of the device beside its rings: plain data."""
        return None

    def restore(self, state: Any) -> None:
        """Takes back what `state()` gave."""

    # --- what a subclass may call

    def set_config(self, offset: int, data: bytes) -> None:
        """New bytes in configuration space; the driver is told. Any thread."""
        lib.virtio_config_changed(self.core.pointer, offset, data, len(data))

    def serve_natively(self, queue: int, function: int, opaque: int = 0) -> None:
        """Has the C function at this address serve a queue, without Python. In the constructor.

        Its type is virtio_native_fn (virtio_py.h); `opaque` is passed on to it.
        Both are the caller's and last as long as the device.
        """
        kind = ffi.typeof(lib.virtio_py_serve).args[2]
        lib.virtio_py_serve(
            self.pointer, queue, ffi.cast(kind, function), ffi.cast("void *", opaque)
        )

    # --- the loop's side

    def _serve(self) -> None:
        struct, notes = self.pointer, self._notes
        if struct is None:  # abandoned, and so never freed
            self.loop.unserve(self._token)
            return
        lib.virtio_py_take(struct, notes)
        if notes.start:
            self.started(self._vdev.acked)
        if notes.config:
            self.config_written(self._config())
        for index in _bits(notes.kick):
            if self.queues[index].live:
                self.kick(self.queues[index])
        for index in _bits(notes.queue_stop):
            self.queues[index].forget()
            lib.virtio_queue_stopped(self._vdev, index)
        self._resting |= bool(notes.quiesce)
        if notes.stop:
            self._stop()
        self._rest_if_asked()

    def _stop(self) -> None:
        for queue in self.queues:
            queue.forget()
        self.stopped()
        lib.virtio_stopped(self._vdev)

    def _rest_if_asked(self) -> None:
        """Says that nothing is under way, once somebody waits for that and no chain is kept."""
        if self._resting and not any(queue.kept for queue in self.queues):
            self._resting = False
            lib.virtio_quiesced(self._vdev)

    def _config(self) -> bytes:
        buffer = ffi.new("uint8_t[]", lib.VIRTIO_CONFIG_MAX)
        lib.virtio_py_config(self.pointer, buffer)
        return bytes(buffer)[: len(self.config)]

    # --- the machine's side

    def save(self) -> dict[str, Any]:
        return {"version": STATE_VERSION, "state": self.state()}

    def load(self, saved: dict[str, Any]) -> None:
        if saved.get("version") != STATE_VERSION:
            raise StateError(f"The saved state of {self.name} has another version than ours")
        self.restore(saved["state"])

    def close(self) -> None:
        if self.pointer is not None:
            self.core.close()
            self.loop.unserve(self._token)
        super().close()


def _bits(words: Any) -> Iterator[int]:
    for word, bits in enumerate(words):
        for bit in range(64):
            if bits >> bit & 1:
                yield 64 * word + bit
