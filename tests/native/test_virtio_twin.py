"""A virtio function's registers and their model answer the same random driver in the same way."""

from __future__ import annotations

import random

import pytest

from tests.native.servedrig import Upper
from tests.native.twins.virtiopci import VirtioPciTwin
from tests.native.virtiorig import VirtioRig
from tests.virtiopci import FIELDS
from vmm.native import lib

STEPS = 1500
REGION_BYTES = {0: 64, 1: 4, 2: 12, 3: 16}
USEFUL = {
    "device_status": (0, 1, 3, 11, 15, 0x8F, 0xFF),
    "queue_select": (0, 1, 2, 0xFFFF),
    "queue_enable": (0, 1, 2),
    "queue_reset": (0, 1, 2),
    "queue_msix_vector": (0, 1, 2, 3, 0xFFFF),
    "config_msix_vector": (0, 2, 3, 0xFFFF),
    "device_feature_select": (0, 1, 2),
    "driver_feature_select": (0, 1, 2),
    "queue_size": (4,),
}


class Silent(Upper):
    """Its queues lead nowhere, so that only registers matter."""

    def kick(self, queue: object) -> None:
        pass


class Pair:
    """Both sides, accessed alike. The loop does not run: `service()` stands for it."""

    def __init__(self, rig: VirtioRig, rng: random.Random) -> None:
        self.rig, self.rng = rig, rng
        self.offered = int(rig.core.pointer.offered)
        config, mask = Silent.config, Silent.config_writable
        self.twin = VirtioPciTwin(self.offered, list(Silent.queue_sizes), config, mask)

    def write(self, region: int, offset: int, value: int, size: int) -> None:
        value &= (1 << 8 * size) - 1
        self.rig.bar(0, 0x1000 * region + offset, size, value)
        self.twin.write(region, offset, value, size)

    def compare(self, region: int, offset: int, size: int) -> None:
        mine = self.rig.bar(0, 0x1000 * region + offset, size)
        assert mine == self.twin.read(region, offset, size), (region, offset, size)

    def step(self) -> None:
        how = self.rng.random()
        if how < 0.45:
            self._meant()
        elif how < 0.6:
            region = self.rng.choice(list(REGION_BYTES))
            size = self.rng.choice((1, 2, 4, 8))
            offset = self.rng.randrange(REGION_BYTES[region]) & -size
            if region != 0 or offset not in (0x20, 0x24, 0x28, 0x2C, 0x30, 0x34):
                self.write(region, offset, self.rng.getrandbits(64), size)
        elif how < 0.7:
            lib.virtio_service(self.rig.core.pointer)
            self.rig.device._serve()
            self.twin.service()
        else:
            region = self.rng.choice(list(REGION_BYTES))
            size = self.rng.choice((1, 2, 4, 8))
            self.compare(region, self.rng.randrange(REGION_BYTES[region]) & -size, size)

    def _meant(self) -> None:
        name = self.rng.choice([*USEFUL, "driver_feature", "queue_desc", "queue_device"])
        offset, size = FIELDS[name]
        if name == "driver_feature":
            value = self.offered >> 32 * min(self.twin.accept_word, 1)
        elif name in USEFUL:
            value = self.rng.choice(USEFUL[name])
        else:
            value = self.rng.randrange(1 << 20) & ~15
        self.write(0, offset, value, size)


@pytest.mark.parametrize("seed", range(20))
def test_registers_agree_with_the_twin_on_random_drivers(seed: int) -> None:
    with VirtioRig(lambda context: Silent("silent", context)) as rig:
        rig.loop.stop()
        pair = Pair(rig, random.Random(seed))
        for _ in range(STEPS):
            pair.step()
            counters = rig.core.counters()
            if counters["faults"]:  # rings are out of the twin's scope
                break
            assert counters["ignored"] == pair.twin.ignored
            assert rig.core.pointer.status == pair.twin.status
        else:
            for offset in range(60):
                pair.compare(0, offset, 1)
