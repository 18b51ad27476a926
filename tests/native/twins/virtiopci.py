"""Model of a virtio function's common configuration, interrupt status and configuration space.

Its loop is late: what was asked of it happens in `service()`. Rings are out of its scope: queues
that start have addresses that are memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.virtiopci import FIELDS

NO_VECTOR = 0xFFFF
ACK, DRIVER, DRIVER_OK, FEATURES_OK, FAILED = 1, 2, 4, 8, 0x80
VERSION_1, RING_RESET = 32, 40
IDLE, RUNNING, STOPPING = range(3)
ONES = (1 << 64) - 1


@dataclass
class Queue:
    size: int
    desc: int = 0
    driver: int = 0
    device: int = 0
    enabled: bool = False
    resetting: bool = False
    vector: int = NO_VECTOR


class VirtioPciTwin:
    """Regions 0 to 3 as in core/virtio/virtio_pci.h; `ignored` counts what no driver may do."""

    def __init__(self, offered: int, sizes: list[int], config: bytes, wmask: bytes) -> None:
        self.offered, self.sizes, self.wmask = offered, sizes, wmask
        self.config = bytearray(config)
        self.ignored = 0
        self.phase = IDLE
        self._reset()

    def _reset(self) -> None:
        self.status = self.acked = self.select = 0
        self.feature_word = self.accept_word = 0
        self.config_vector = NO_VECTOR
        self.queues = [Queue(size) for size in self.sizes]
        self.phase = IDLE

    def service(self) -> None:
        """The loop does what was asked of it."""
        if self.phase == STOPPING:
            self._reset()
        for index, queue in enumerate(self.queues):
            if queue.resetting:
                self.queues[index] = Queue(self.sizes[index])

    @property
    def queue(self) -> Queue | None:
        return self.queues[self.select] if self.select < len(self.queues) else None

    # --- reading

    def _common(self) -> bytes:
        q = self.queue or Queue(0, vector=0)
        index = self.select if self.queue else 0
        words = (
            self.offered >> 32 * self.feature_word if self.feature_word < 2 else 0
        ) & 0xFFFFFFFF
        acked = (self.acked >> 32 * self.accept_word if self.accept_word < 2 else 0) & 0xFFFFFFFF
        return struct.pack(
            "<IIIIHHBBHHHHHQQQHH",
            self.feature_word, words, self.accept_word, acked,
            self.config_vector, len(self.queues), self.status, 0, self.select,
            q.size, q.vector, q.enabled, index, q.desc, q.driver, q.device, index, q.resetting,
        )  # fmt: skip

    def read(self, region: int, offset: int, size: int) -> int:
        if region == 0:
            data = self._common()
            whole = offset + size <= len(data)
            return int.from_bytes(data[offset : offset + size], "little") if whole else _ones(size)
        if region == 1:
            return 0 if offset == 0 else _ones(size)
        if region == 2:
            padded = bytes(self.config) + b"\xff" * (offset + size)
            return int.from_bytes(padded[offset : offset + size], "little")
        return _ones(size)

    # --- writing

    def write(self, region: int, offset: int, value: int, size: int) -> None:
        done = False
        if region == 0:
            done = self._write_common(offset, value, size)
        elif region == 2:
            done = self._write_config(offset, value, size)
        elif region == 3:
            done = offset // 4 < len(self.queues)
        self.ignored += not done

    def _write_config(self, offset: int, value: int, size: int) -> bool:
        if self.phase == STOPPING or offset + size > len(self.config):
            return False
        mask = self.wmask[offset : offset + size]
        data = value.to_bytes(size, "little")
        for i in range(size):
            old = self.config[offset + i]
            self.config[offset + i] = old & ~mask[i] & 0xFF | data[i] & mask[i]
        return any(mask)

    def _write_common(self, offset: int, value: int, size: int) -> bool:
        for half in (0, 4):
            for name in ("desc", "driver", "device"):
                at, whole = FIELDS[f"queue_{name}"]
                if (offset, size) == (at + half, 4) or (offset, size, half) == (at, whole, 0):
                    return self._write_address(name, half, value, size)
        fields = {place: name for name, place in FIELDS.items()}
        writer = getattr(self, f"_set_{fields.get((offset, size), '')}", None)
        return writer is not None and bool(writer(value))

    def _writable(self) -> bool:
        return self.queue is not None and not self.queue.enabled and self.phase != STOPPING

    def _write_address(self, name: str, half: int, value: int, size: int) -> bool:
        if not self._writable():
            return False
        mask = _ones(size) << 8 * half
        setattr(self.queue, name, getattr(self.queue, name) & ~mask | value << 8 * half)
        return True

    def _set_device_feature_select(self, value: int) -> bool:
        self.feature_word = value
        return True

    def _set_driver_feature_select(self, value: int) -> bool:
        self.accept_word = value
        return True

    def _set_driver_feature(self, value: int) -> bool:
        late = bool(self.status & (FEATURES_OK | DRIVER_OK))
        if late or self.accept_word > 1 or self.phase != IDLE:
            return not (late or value)
        mask = 0xFFFFFFFF << 32 * self.accept_word
        self.acked = self.acked & ~mask | value << 32 * self.accept_word
        return True

    def _set_config_msix_vector(self, value: int) -> bool:
        self.config_vector = value if value <= len(self.queues) else NO_VECTOR
        return True

    def _set_queue_select(self, value: int) -> bool:
        self.select = value
        return True

    def _set_device_status(self, value: int) -> bool:
        if value == 0:
            if self.phase == IDLE:
                self._reset()
            else:
                self.phase = STOPPING
            return True
        if self.phase == STOPPING:
            return False
        added = value & ~self.status & (ACK | DRIVER | DRIVER_OK | FEATURES_OK | FAILED)
        refused = self.acked & ~self.offered or not self.acked >> VERSION_1 & 1
        if added & FEATURES_OK and refused:
            added &= ~FEATURES_OK
        early = added & DRIVER_OK and not (self.status | added) & FEATURES_OK
        if early:
            added &= ~DRIVER_OK
        self.status |= added
        if added & DRIVER_OK:
            self.phase = RUNNING
        return not early

    def _set_queue_size(self, value: int) -> bool:
        if self._writable() and self.queue:
            self.queue.size = value
            return True
        return False

    def _set_queue_msix_vector(self, value: int) -> bool:
        if self.queue:
            self.queue.vector = value if value <= len(self.queues) else NO_VECTOR
        return self.queue is not None

    def _set_queue_enable(self, value: int) -> bool:
        if value != 1 or not self._writable() or not self.queue:
            return False
        self.queue.enabled = True
        return True

    def _set_queue_reset(self, value: int) -> bool:
        queue = self.queue
        negotiated = self.acked >> RING_RESET & 1
        if value != 1 or not queue or not negotiated:
            return False
        if not queue.enabled or self.phase == STOPPING:
            return False
        if self.phase == IDLE:
            self.queues[self.select] = Queue(self.sizes[self.select])
        else:
            queue.resetting = True
        return True


def _ones(size: int) -> int:
    return (1 << 8 * size) - 1
