"""Functions whose configuration space is somebody else's, who takes his time."""

from __future__ import annotations

import threading

from tests.native.pcirig import PciRig
from vmm import layout
from vmm.bus import BusProbe
from vmm.native import ffi, lib

SLOW, OTHER = 1 << 3, 2 << 3
OWN_AT = 0x40
PATIENCE = 30.0


def test_one_that_takes_long_keeps_nobody_from_the_others() -> None:
    """While an access to one function is under way, another thread reads and writes another."""
    done: list[tuple[str, int]] = []

    def meanwhile(what: str) -> None:
        def access() -> None:
            probe = BusProbe(rig.mmio)
            at = layout.PCI_ECAM + (OTHER << 12)
            probe.write(at + OWN_AT, 4, 1)
            done.append((what, probe.read(at, 2)))
            probe.close()

        thread = threading.Thread(target=access, daemon=True)
        thread.start()
        thread.join(PATIENCE)

    @ffi.callback("void(void *, uint32_t, uint32_t, uint64_t *)")
    def read(_opaque: object, offset: int, size: int, value: object) -> None:
        value[0] = offset << 8 | size  # type: ignore[index]
        meanwhile("read")

    @ffi.callback("void(void *, uint32_t, uint32_t, uint64_t)")
    def write(_opaque: object, offset: int, size: int, value: int) -> None:
        meanwhile(f"write {value:#x} to {offset:#x}, {size}")

    ops = ffi.new("struct pci_pass_ops *", {"read": read, "write": write})
    with PciRig() as rig:
        slow = rig.build("slow", {})
        lib.pci_pass(slow.pointer, ops, ffi.NULL)
        rig.root.plug(slow, SLOW)
        rig.plugged("other", {}, OTHER)
        assert rig.space(SLOW, OWN_AT, 4) == OWN_AT << 8 | 4
        rig.space(SLOW, OWN_AT, 2, 0x1234)
    assert done == [("read", 0x1234), ("write 0x1234 to 0x40, 2", 0x1234)]
