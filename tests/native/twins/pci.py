"""Models of configuration space, of both windows to it, and of pci-testdev's registers."""

from __future__ import annotations

from typing import Any

CLASSIC, EXTENDED = 256, 4096
COMMAND, STATUS, BARS, ROM, CAP_POINTER, CAP_LIST = 0x04, 0x06, 0x10, 0x30, 0x34, 1 << 4
IO, MEMORY = 1, 2
UNMAPPED = None


class FunctionTwin:
    """One function: bytes, which of their bits can be written, which are cleared by ones.

    bars: number -> (kind, size). caps: sizes of capabilities in order, ext_caps likewise; every bit
    of their bodies can be written.
    """

    def __init__(
        self,
        bars: dict[int, tuple[str, int]],
        caps: tuple[int, ...] = (),
        ext_caps: tuple[int, ...] = (),
    ) -> None:
        self.bars = bars
        self.config, self.writable = bytearray(EXTENDED), bytearray(EXTENDED)
        self.cleared = bytearray(EXTENDED)
        self.limit = EXTENDED if ext_caps else CLASSIC
        self._mask(COMMAND, 0x0547, 2)
        self.cleared[STATUS : STATUS + 2] = (0xF900).to_bytes(2, "little")
        self._mask(0x0C, 0xFF, 1)
        self._mask(0x3C, 0xFF, 1)
        for number, (kind, size) in bars.items():
            self._bar(number, kind, size)
        at, link = 0x40, CAP_POINTER
        for which, length in enumerate(caps, 1):
            self.config[link], self.config[at] = at, which
            self.writable[at + 2 : at + length] = b"\xff" * (length - 2)
            self.config[STATUS] |= CAP_LIST
            link, at = at + 1, at + length + 3 & ~3
        at, before = CLASSIC, 0
        for which, length in enumerate(ext_caps, 1):
            if before:
                self.config[before + 2 : before + 4] = (at << 4 | 1).to_bytes(2, "little")
            self.config[at : at + 4] = (which | 1 << 16).to_bytes(4, "little")
            self.writable[at + 4 : at + length] = b"\xff" * (length - 4)
            before, at = at, at + length + 3 & ~3

    def _mask(self, offset: int, mask: int, size: int) -> None:
        self.writable[offset : offset + size] = mask.to_bytes(size, "little")

    def _bar(self, number: int, kind: str, size: int) -> None:
        at = ROM if kind == "rom" else BARS + 4 * number
        width = 8 if kind == "mem64" else 4
        mask = -size & (1 << 8 * width) - 1
        self._mask(at, mask | (kind == "rom"), width)
        self.config[at] = {"io": 1, "mem64": 4}.get(kind, 0)

    def place(self, number: int, address: int) -> None:
        """Where the register points before the guest changes it."""
        kind = self.bars[number][0]
        at = ROM if kind == "rom" else BARS + 4 * number
        flags = self.config[at] & 0xF
        width = 8 if kind == "mem64" else 4
        self.config[at : at + width] = (address | flags).to_bytes(width, "little")

    def wanted(self) -> dict[int, int | None]:
        """By register: where it decodes."""
        return {number: self._decoded(number) for number in self.bars}

    def _decoded(self, number: int) -> int | None:
        kind, size = self.bars[number]
        if not self.config[COMMAND] & (IO if kind == "io" else MEMORY):
            return UNMAPPED
        at = ROM if kind == "rom" else BARS + 4 * number
        value = int.from_bytes(self.config[at : at + (8 if kind == "mem64" else 4)], "little")
        if kind == "rom" and not value & 1:
            return UNMAPPED
        return value & -size

    def read(self, offset: int, size: int) -> int:
        if offset + size > self.limit:
            return (1 << 8 * size) - 1
        return int.from_bytes(self.config[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        if offset + size > self.limit:
            return
        for index, new in enumerate(value.to_bytes(size, "little"), offset):
            mask = self.writable[index]
            kept = self.config[index] & ~mask | new & mask
            self.config[index] = kept & ~(new & self.cleared[index]) & 0xFF


class RootTwin:
    """Both windows. `changes` counts writes after which a function decodes elsewhere."""

    def __init__(self) -> None:
        self.functions: dict[int, FunctionTwin] = {}
        self.address = 0
        self.changes = 0

    def _access(self, devfn: int, offset: int, size: int, value: int | None) -> int:
        function = self.functions.get(devfn)
        if function is None:
            return (1 << 8 * size) - 1
        if value is None:
            return function.read(offset, size)
        before = function.wanted()
        function.write(offset, size, value)
        self.changes += before != function.wanted()
        return 0

    def ecam(self, offset: int, size: int, value: int | None = None) -> int:
        """One access to the memory window, which lies in one function's page or goes nowhere."""
        return self._access(offset >> 12, offset & 0xFFF, size, value)

    def port(self, port: int, size: int, value: int | None = None) -> int:
        """One access to the eight ports; port 1 alone is the reset register, not modelled."""
        if port == 0 and size == 4:
            if value is None:
                return self.address
            self.address = value & 0x80FFFFFC
        elif port >= 4 and self.address >> 16 == 0x8000:
            offset = (self.address & 0xFC) + port - 4
            return self._access(self.address >> 8 & 0xFF, offset, size, value)
        return (1 << 8 * size) - 1


class PortTestTwin:
    """pci-testdev: regions memory and ports."""

    NAMES = ("no-eventfd", "wildcard-eventfd", "datamatch-eventfd")

    def __init__(self) -> None:
        self.edges: list[tuple[int, int]] = []
        self.current: tuple[int, int] | None = None
        self.count = 0

    def _header(self) -> bytes:
        if self.current is None:
            return b""
        region, test = self.current
        number = 3 * region + test
        offset = (2048, 128)[region] + number
        data = 0xCE if test == 1 else 0xFA
        words = [offset.to_bytes(4, "little"), bytes([data, 0, 0, 0])]
        words.append(self.count.to_bytes(4, "little"))
        name = f"{('mmio', 'portio')[region]}-{self.NAMES[test]}"
        return bytes([number, 1, 0, 0]) + b"".join(words) + name.encode() + b"\0"

    def read(self, _region: int, offset: int, size: int) -> int:
        return int.from_bytes(self._header()[offset : offset + size], "little")

    def write(self, region: int, offset: int, value: int, size: int) -> int:
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            self._write_byte(region, at, byte)
        return 0

    def _write_byte(self, region: int, offset: int, byte: int) -> None:
        if offset == 0:
            self.current = (region, byte) if byte < 3 else None
            self.count = 0
        elif self.current is not None and self.current[0] == region:
            test = self.current[1]
            target = (2048, 128)[region] + 3 * region + test
            if offset == target and (test == 1 or byte == 0xFA):
                self.count += 1

    def step(self, _ns: int) -> None:
        pass

    def save(self) -> dict[str, Any]:
        number = -1 if self.current is None else 3 * self.current[0] + self.current[1]
        return {"version": 1, "current": number, "count": self.count}
