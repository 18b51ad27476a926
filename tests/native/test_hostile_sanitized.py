"""Everything hostile that Python does to the core, once more with the core under the sanitizers."""

from __future__ import annotations

from pathlib import Path

from tests.native import sanitized

HOSTILE = (
    "vq", "vq_hostile", "vcon_hostile", "vcon_messages", "vnet_hostile", "blk_refused",
    "blk_segments", "virtio_queues", "virtio_status", "virtio_pci", "virtio_window",
    "virtio_interrupts", "virtio_legacy", "pci_bars", "pci_config", "msix", "msix_capability",
    "evtchn", "gnttab", "xblk", "xencon", "xenus", "xsring",
)  # fmt: skip


def test_hostile_drivers_leave_the_sanitizers_silent(tmp_path: Path) -> None:
    tests = [f"tests/native/test_{name}.py" for name in HOSTILE]

    assert not sanitized.complaints(tmp_path, *tests)
