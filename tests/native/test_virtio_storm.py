"""A virtio device that four vCPUs set up, use and reset at the same time, under the sanitizers."""

from __future__ import annotations

import pytest

from tests.native import sanitize

UNITS = (*sanitize.VIRTIO, "virtio_rng.c")


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
def test_vcpus_in_each_others_way_lose_no_request(sanitizer: str) -> None:
    output = sanitize.run("virtio_storm", UNITS, sanitizer)

    assert " starts, " in output
