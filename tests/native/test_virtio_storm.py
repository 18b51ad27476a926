"""A virtio device that four vCPUs set up, use and reset at the same time, under the sanitizers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native import sanitize

UNITS = (*sanitize.VIRTIO, "virtio_rng.c")


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
def test_vcpus_in_each_others_way_lose_no_request(sanitizer: str, tmp_path: Path) -> None:
    output = sanitize.run("virtio_storm", UNITS, sanitizer, tmp_path)

    assert " starts, " in output
