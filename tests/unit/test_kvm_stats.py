"""KVM's statistics files, whole and damaged."""

from __future__ import annotations

import struct

import pytest

from vmm.errors import HostError
from vmm.kvm import stats

NAME = 16


def statistics(*rows: tuple[bytes, list[int]]) -> bytes:
    """A statistics file: header, id, descriptors, values."""
    at, body, values = 24 + NAME, b"", b""
    for name, numbers in rows:
        body += struct.pack("=IhHII", 0, 0, len(numbers), len(values), 0) + name.ljust(NAME, b"\0")
        values += struct.pack(f"={len(numbers)}Q", *numbers)
    head = struct.pack("=6I", 0, NAME, len(rows), 24, at, at + len(body))
    return head + b"kvm-1".ljust(NAME, b"\0") + body + values


def test_statistics_are_read_by_name_and_histograms_as_lists() -> None:
    data = statistics((b"exits", [12]), (b"wait_hist", [1, 2, 3]), (b"sixteen_letters_", [1 << 63]))
    assert stats.parse(data) == {
        "exits": 12,
        "wait_hist": [1, 2, 3],
        "sixteen_letters_": 1 << 63,
    }


def test_a_cut_off_statistics_file_is_refused_wherever_it_ends() -> None:
    data = statistics((b"exits", [12]), (b"wait_hist", [1, 2, 3]))
    for length in range(len(data)):
        with pytest.raises(HostError, match="end before all values were read"):
            stats.parse(data[:length])


@pytest.mark.parametrize(("name_size", "count"), [(4097, 1), (16, 4097)])
def test_a_statistics_file_beyond_all_bounds_is_refused(name_size: int, count: int) -> None:
    with pytest.raises(HostError, match="KVM's statistics claim"):
        stats.parse(struct.pack("=6I", 0, name_size, count, 24, 24, 24))
