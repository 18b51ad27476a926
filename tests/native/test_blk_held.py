"""A virtio disk on a back-end that ends requests in any order, under the sanitizers."""

from __future__ import annotations

from tests.native import sanitize

UNITS = (*sanitize.VIRTIO, *sanitize.VBLK)


def test_device_waits_for_what_its_back_end_has_under_way() -> None:
    assert sanitize.run("vblk_held", UNITS, "address") == "all held\n"
