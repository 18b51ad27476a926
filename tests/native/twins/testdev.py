"""Models of pc-testdev and fw_cfg: byte arrays."""

from __future__ import annotations

from struct import pack
from typing import Any

from tests.native.devrig import Lines

LATCH, BYTES, REMAP, GSI, MMIO = range(5)
REMAP_EVENT = 7  # enum dev_event
GSIS, MMIO_BYTES = 24, 0x10000


class TestdevTwin(Lines):
    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.latch = bytearray(4)
        self.mmio = bytearray(MMIO_BYTES)
        self.levels = [0] * GSIS
        for gsi in range(GSIS):
            self.set(gsi, 0)

    def _bytes(self, region: int) -> bytearray | None:
        return {LATCH: self.latch, BYTES: self.latch, MMIO: self.mmio}.get(region)

    def read(self, region: int, offset: int, size: int) -> int:
        data = self._bytes(region)
        if data is not None:
            return int.from_bytes(data[offset : offset + size], "little")
        if region == GSI:
            return self.levels[offset]
        return (1 << 8 * size) - 1

    def write(self, region: int, offset: int, value: int, size: int) -> int:
        data = self._bytes(region)
        if data is not None:
            data[offset : offset + size] = value.to_bytes(size, "little")
        elif region == GSI:
            self.levels[offset] = int(value & 0xFF != 0)
            self.set(offset, self.levels[offset])
        return REMAP_EVENT if region == REMAP and size == 4 else 0

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        return {
            "version": 1,
            "latch": int.from_bytes(self.latch, "little"),
            "level": self.levels,
            "mmio": list(self.mmio),
        }


class FwCfgTwin:
    def __init__(self, items: dict[int, bytes], files: dict[str, tuple[int, bytes]]) -> None:
        self.edges: list[tuple[int, int]] = []
        directory = pack(">I", len(files))
        for name, (key, data) in files.items():
            directory += pack(">IHH56s", len(data), key, 0, name.encode())
        self.items = items | dict(files.values()) | {0x19: directory}
        self.key = self.offset = 0

    def read(self, _region: int, offset: int, size: int) -> int:
        if offset != 1 or size != 1:
            return 0
        data = self.items.get(self.key, b"")
        self.offset += 1
        return data[self.offset - 1] if self.offset <= len(data) else 0

    def write(self, _region: int, offset: int, value: int, size: int) -> int:
        if offset == 0 and size == 2:
            self.key, self.offset = value & 0xBFFF, 0
        return 0

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        return {"version": 1, "key": self.key, "offset": self.offset}
