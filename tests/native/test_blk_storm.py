"""Many requests of all kinds between a loop and the workers of a disk, under the sanitizers."""

from __future__ import annotations

import pytest

from tests.native import sanitize

UNITS = (*sanitize.LOOP, "blk.c", "blk_threads.c", "blk_uring.c")


@pytest.mark.parametrize("sanitizer", sanitize.SANITIZERS)
def test_workers_lose_no_request(sanitizer: str) -> None:
    output = sanitize.run("blk_storm", UNITS, sanitizer)

    assert output.startswith("30000 requests in ")
