"""RTC and CMOS memory: what the clock shows at start, and the bytes firmware would have left."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.native import check, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.context import DeviceContext

NS = 1_000_000_000

# CMOS indices, by customary use.
EQUIPMENT = 0x14
BASE_MEMORY = 0x15  # KiB below 640 KiB, two bytes
EXTENDED_MEMORY = (0x17, 0x30)  # KiB from 1 MiB on, at most 64 MiB, in two places
MEMORY_ABOVE_16M = 0x34  # units of 64 KiB, two bytes
MEMORY_ABOVE_4G = 0x5B  # units of 64 KiB, three bytes
CPUS = 0x5F  # processors besides the first

COPROCESSOR, POINTING_DEVICE = 1 << 1, 1 << 2


class Rtc(CDevice):
    """The clock. Its calendar survives a reset, as the battery has it."""

    kind = "rtc"

    def __init__(self, context: DeviceContext) -> None:
        seconds, ns = wall_time(context.config.rtc_base)
        pointer = lib.rtc_create(
            context.irq, layout.GSI_RTC, context.clock, context.loop.pointer, seconds, ns
        )
        super().__init__("rtc", pointer, [("pio", layout.PORT_RTC, 2, 0)])
        context.coalesce.always(layout.PORT_RTC, 1)  # an index is followed by its data
        for index, value in cmos_bytes(context.config.mem, context.config.cpus).items():
            check(lib.rtc_poke(self.pointer, index, value), "rtc_poke", f"index {index:#x}")

    def set_time(self, base: str) -> None:
        """Sets the calendar anew (see `wall_time`), for instance after a long pause."""
        check(lib.rtc_set_time(self.pointer, *wall_time(base)), "rtc_set_time", base)


def wall_time(base: str) -> tuple[int, int]:
    """(seconds since 1970 in the clock's own zone, nanoseconds) for a configuration's `rtc_base`.

    base: "utc", "localtime" or an ISO 8601 time, whose zone, if it names one, is taken off: the
    clock shows the digits that were given. ValueError if it is none of these.
    """
    import time

    if base == "utc":
        return divmod(time.time_ns(), NS)
    if base == "localtime":
        seconds, ns = divmod(time.time_ns(), NS)
        return seconds + time.localtime(seconds).tm_gmtoff, ns
    from datetime import UTC, datetime

    given = datetime.fromisoformat(base).replace(tzinfo=UTC)
    return int(given.replace(microsecond=0).timestamp()), given.microsecond * 1000


def cmos_bytes(memory: int, cpus: int) -> dict[int, int]:
    """CMOS contents that tell of `memory` bytes of RAM and `cpus` processors."""
    low = min(memory, layout.HOLE)
    words = {index: min(max(low - layout.MIB, 0) >> 10, 0xFFFF) for index in EXTENDED_MEMORY}
    words[BASE_MEMORY] = min(low >> 10, 640)
    words[MEMORY_ABOVE_16M] = min(max(low - 16 * layout.MIB, 0) >> 16, 0xFFFF)
    words[MEMORY_ABOVE_4G] = min((memory - low) >> 16, 0xFFFFFF)
    found = {EQUIPMENT: COPROCESSOR | POINTING_DEVICE, CPUS: min(cpus - 1, 0xFF)}
    for index, word in words.items():
        found[index], found[index + 1] = word & 0xFF, word >> 8 & 0xFF
    found[MEMORY_ABOVE_4G + 2] = words[MEMORY_ABOVE_4G] >> 16
    return found
