"""Virtio devices that four vCPUs set up, use and reset at the same time, under the sanitizers."""

from __future__ import annotations

import pytest

from tests.native import sanitize

STORMS = {
    "virtio_storm": (*sanitize.VIRTIO, "virtio_rng.c"),
    "vblk_storm": (*sanitize.VIRTIO, *sanitize.BLK, *sanitize.VBLK),
    "vcon_storm": (*sanitize.VIRTIO, *sanitize.CHAN[len(sanitize.LOOP) :], *sanitize.VCON),
    "vnet_storm": (*sanitize.VIRTIO, *sanitize.VNET),
}


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
@pytest.mark.parametrize("program", STORMS)
def test_vcpus_in_each_others_way_lose_no_request(program: str, sanitizer: str) -> None:
    output = sanitize.run(program, STORMS[program], sanitizer)

    assert " starts, " in output
