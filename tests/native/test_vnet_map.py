"""What vhost is told of guest memory that changes meanwhile."""

from __future__ import annotations

from tests.native import sanitize


def test_vhost_learns_of_a_change_while_it_is_told() -> None:
    assert sanitize.run("vhost_map", sanitize.VIRTIO, "address") == "8 regions told\n"
