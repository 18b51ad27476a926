"""The wallclock in shared_info (xen/include/public/xen.h, struct shared_info), where KVM has none.

KVM's own (MSR_KVM_WALL_CLOCK_NEW) has the same layout, but lacks the upper half of the seconds and
is written by a vCPU's thread only.
"""

from __future__ import annotations

from struct import pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.memory import Accessor

WIDE, WIDE_HIGH = 0xC00, 0xC0C  # offsets of wc_version and wc_sec_hi in a 64-bit guest's page
NARROW, NARROW_HIGH = 0x900, 0x924
NS = 1_000_000_000


def write_wallclock(memory: Accessor, gpa: int, wide: bool, began: int) -> None:
    """began: nanoseconds since 1970 when the system time was 0. The version is odd meanwhile."""
    at, high = (WIDE, WIDE_HIGH) if wide else (NARROW, NARROW_HIGH)
    seconds, nanoseconds = divmod(began, NS)
    (version,) = unpack_from("<I", memory.read(gpa + at, 4))
    version = (version | 1) + 2 & 0xFFFFFFFF
    memory.write(gpa + at, pack("<I", version))
    memory.write(gpa + at + 4, pack("<II", seconds & 0xFFFFFFFF, nanoseconds))
    memory.write(gpa + high, pack("<I", seconds >> 32))
    memory.write(gpa + at, pack("<I", version + 1 & 0xFFFFFFFF))
