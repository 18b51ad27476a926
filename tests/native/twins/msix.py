"""The reference for msix.c: PCI 3.0, section 6.8.2, with KVM's part of it played by a list."""

from __future__ import annotations

LAPICS = 0xFEE
MASKED = 1
LOW, HIGH, DATA, CONTROL = range(4)


class MsixTwin:
    """`delivered` are the vectors that reached the guest, `routes` where each live one goes."""

    def __init__(self, vectors: int) -> None:
        self.vectors = vectors
        self.reset()

    def reset(self) -> None:
        self.table = [[0, 0, 0, MASKED] for _ in range(self.vectors)]
        self.enabled = self.function_mask = False
        self.fired: set[int] = set()
        self.delivered: set[int] = set()

    def control(self, enabled: bool, function_mask: bool) -> None:
        self.enabled, self.function_mask = enabled, function_mask
        self._settle()

    def live(self) -> list[int]:
        """Vectors whose messages get through."""
        if not self.enabled or self.function_mask:
            return []
        return [n for n, entry in enumerate(self.table) if self._valid(entry)]

    def _valid(self, entry: list[int]) -> bool:
        to_lapic = entry[LOW] >> 20 == LAPICS and not entry[HIGH] & 0xFF
        return to_lapic and not entry[CONTROL] & MASKED

    def routes(self) -> dict[int, tuple[int, int]]:
        return {
            n: (self.table[n][HIGH] << 32 | self.table[n][LOW], self.table[n][DATA])
            for n in self.live()
        }

    def fire(self, vector: int) -> None:
        if vector < self.vectors:
            self.fired.add(vector)
            self._settle()

    def _settle(self) -> None:
        through = self.fired.intersection(self.live())
        self.fired -= through
        self.delivered |= through

    def take_delivered(self) -> set[int]:
        delivered, self.delivered = self.delivered, set()
        return delivered

    # --- registers

    def read(self, region: int, offset: int, size: int) -> int:
        whole = self._pba() if region else b"".join(
            word.to_bytes(4, "little") for entry in self.table for word in entry
        )  # fmt: skip
        return int.from_bytes(whole[offset : offset + size], "little")

    def _pba(self) -> bytes:
        words = -(-self.vectors // 64)
        return sum(1 << n for n in self.fired).to_bytes(8 * words, "little")

    def write(self, region: int, offset: int, value: int, size: int) -> int:
        if region == 0 and size >= 4 and offset % size == 0:
            entry = self.table[offset // 16]
            for i in range(size // 4):
                word = offset % 16 // 4 + i
                keep = {LOW: 0xFFFF_FFFC, CONTROL: MASKED}.get(word, 0xFFFF_FFFF)
                entry[word] = value >> 32 * i & keep
            self._settle()
        return 0

    def save(self) -> dict[str, int | list[int]]:
        return {
            "version": 1,
            "vectors": self.vectors,
            "enabled": int(self.enabled),
            "function_mask": int(self.function_mask),
            "table": [word for entry in self.table for word in entry],
            "pending": list(self._pba()),
        }
