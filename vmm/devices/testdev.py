"""What `--testdev` adds for small test kernels: pc-testdev and fw_cfg."""

from __future__ import annotations

from vmm import layout
from vmm.cdevice import CDevice
from vmm.errors import VmmError
from vmm.native import check, ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.cdevice import Claim
    from vmm.context import DeviceContext


class PcTestdev(CDevice):
    """Latch, remap port, GSI ports and RAM-like MMIO."""

    kind = "testdev"

    def __init__(self, context: DeviceContext, debugcon: CDevice | None) -> None:
        """debugcon: answers byte accesses to its port, which lies inside the latch's copy."""
        claims: list[Claim] = [
            ("pio", layout.PORT_TESTDEV_LATCH, 4, lib.TESTDEV_LATCH),
            ("pio", layout.PORT_TESTDEV_BYTES, 4, lib.TESTDEV_BYTES),
            ("pio", layout.PORT_TESTDEV_REMAP, 4, lib.TESTDEV_REMAP),
            ("pio", layout.PORT_TESTDEV_GSI, lib.TESTDEV_GSIS, lib.TESTDEV_GSI),
            ("mmio", layout.TESTDEV_MMIO, lib.TESTDEV_MMIO_BYTES, lib.TESTDEV_MMIO),
        ]
        super().__init__("testdev", lib.testdev_create(context.irq), claims)
        self._debugcon = debugcon
        if debugcon is not None:
            debugcon.claims = ()
            lib.testdev_set_debugcon(self.pointer, ffi.addressof(debugcon.pointer, "dev"))


class FwCfg(CDevice):
    """fw_cfg with the machine's size and whatever files are added."""

    kind = "fwcfg"

    def __init__(self, context: DeviceContext) -> None:
        claims: list[Claim] = [("pio", layout.PORT_FW_CFG, 2, 0)]
        super().__init__("fw-cfg", lib.fwcfg_create(), claims)
        self.add(lib.FWCFG_RAM_SIZE, context.config.mem.to_bytes(8, "little"))
        self.add(lib.FWCFG_CPUS, len(context.apic_ids).to_bytes(2, "little"))
        self.add(lib.FWCFG_MAX_CPUS, (max(context.apic_ids) + 1).to_bytes(2, "little"))

    def add(self, key: int, data: bytes) -> None:
        """Sets the item with a well-known key."""
        check(lib.fwcfg_add(self.pointer, key, data, len(data)), "fwcfg_add", f"key {key:#x}")

    def add_file(self, name: str, data: bytes) -> int:
        """Adds a file and returns its key. VmmError if name or size are out of bounds."""
        encoded = name.encode()
        key = -1
        if b"\0" not in encoded:
            key = lib.fwcfg_add_file(self.pointer, encoded, data, len(data))
        if key < 0:
            raise VmmError(
                f"Adding the fw_cfg file {name!r} of {len(data)} bytes failed: names are new and "
                f"shorter than {lib.FWCFG_NAME} bytes, contents at most {lib.FWCFG_ITEM_MAX} bytes"
            )
        return int(key)
