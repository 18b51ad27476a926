"""KVM's own counters: the binary statistics of a VM or a vCPU.

Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD: a header, descriptors with names, then the values.
The layout is read from the file itself, so counters that newer kernels add appear by themselves.
"""

from __future__ import annotations

import os

from vmm.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.native import Fd

HEADER = "=6I"  # flags, name_size, num_desc, id_offset, desc_offset, data_offset
DESCRIPTOR = "=IhHII"  # flags, exponent, size (values), offset (bytes), bucket_size; then the name
NAME_MAX, DESCRIPTORS_MAX, FILE_MAX = 4096, 4096, 1 << 22


def read(fd: Fd) -> dict[str, int | list[int]]:
    """Reads and closes a statistics descriptor: name -> value, or a list of buckets for histograms.

    Values are as KVM counts them (events, nanoseconds where the name ends in _ns, bytes, booleans).
    HostError if the file is not laid out as documented.
    """
    with fd:
        return parse(_contents(fd.fileno()))


def _contents(fd: int) -> bytes:
    """The whole file. It has no size and its parts may stand in any order: read to its end."""
    data = b""
    while len(data) < FILE_MAX:
        piece = os.pread(fd, 1 << 16, len(data))
        if not piece:
            break
        data += piece
    return data


def parse(data: bytes) -> dict[str, int | list[int]]:
    """The values in the bytes of a statistics file."""
    import struct

    values: dict[str, int | list[int]] = {}
    try:
        _, name_size, count, _, at, data_at = struct.unpack_from(HEADER, data)
        if name_size > NAME_MAX or count > DESCRIPTORS_MAX:
            raise HostError(
                f"KVM's statistics claim {count} values with names of {name_size} bytes"
            )
        head = struct.calcsize(DESCRIPTOR)
        for place in range(at, at + count * (head + name_size), head + name_size):
            _, _, size, offset, _ = struct.unpack_from(DESCRIPTOR, data, place)
            name = struct.unpack_from(f"{name_size}s", data, place + head)[0].split(b"\0", 1)[0]
            numbers = struct.unpack_from(f"={size}Q", data, data_at + offset)
            values[name.decode("ascii", "replace")] = numbers[0] if size == 1 else list(numbers)
    except struct.error:
        raise HostError("KVM's statistics end before all values were read") from None
    return values
