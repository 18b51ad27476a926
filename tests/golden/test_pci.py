"""Configuration space as a guest finds it before it changes anything, as reviewed text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import golden
from tests.native.pcirig import PciRig
from vmm.devices.platform import build_platform
from vmm.kindtable import KINDS
from vmm.layout import MIB, PCI_ECAM
from vmm.memory import GuestMemory
from vmm.record import replace


def dump(wanted: str) -> str:
    """All registers of a machine's bus with one such device, non-zero ones only."""
    devices = [wanted] if wanted else []
    with PciRig(consoles=["null"], devices=devices, pci="on") as rig:
        rig.root.close()  # the platform brings its own
        memory = GuestMemory(MIB)
        platform = build_platform(replace(rig.context, memory=memory))
        lines = []
        for devfn in range(256):
            base = PCI_ECAM + (devfn << 12)
            if rig.memory(base, 4) == 0xFFFF_FFFF:
                continue
            lines.append(f"00:{devfn >> 3:02x}.{devfn & 7}\n")
            size = 256 if rig.memory(base + 256, 4) == 0xFFFF_FFFF else 4096
            for offset in range(0, size, 16):
                row = [rig.memory(base + offset + at) for at in range(16)]
                if any(row):
                    lines.append(f"{offset:03x}: {' '.join(f'{byte:02x}' for byte in row)}\n")
        for device in reversed(platform):
            device.close()
        memory.close()
    return "".join(lines)


def test_an_empty_bus_has_its_host_bridge() -> None:
    golden.check("pci-none.txt", dump(""))


# A function of the host shows its own registers.
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "vfio"])
def test_configuration_space(kind: str, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    needs = {"virtio-blk": f",path={image}"}
    golden.check(f"pci-{kind}.txt", dump(kind + needs.get(kind, "")))
