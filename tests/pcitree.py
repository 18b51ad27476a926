"""A made-up host: the files of sysfs, procfs and /dev that tell of PCI functions."""

from __future__ import annotations

import os
from pathlib import Path

BRIDGE_CLASS = 0x060400
HEADER = 64  # bytes of configuration space that any user may read


class Tree:
    """Grows a file tree below `top`, whose name is `root` to the code under test."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root = str(top)
        for folder in ("sys/bus/pci/devices", "sys/bus/pci/drivers/vfio-pci", "sys/class/net",
                       "sys/class/block", "sys/class/iommu/dmar0", "dev/vfio"):  # fmt: skip
            (top / folder).mkdir(parents=True)
        self.file("sys/bus/pci/drivers_probe", "")
        self.file("dev/vfio/vfio", "")
        for name in ("bind", "unbind"):
            self.file(f"sys/bus/pci/drivers/vfio-pci/{name}", "")

    def file(self, path: str, text: str) -> Path:
        where = self.top / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        return where

    def link(self, path: str, target: str) -> None:
        """`path` points to `target`, both below the top."""
        where = self.top / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to(self.top / target)

    def function(
        self,
        address: str,
        ids: str = "1234:11e8",
        kind: int = 0x00FF00,
        driver: str = "",
        group: int | None = 1,
        **files: str,
    ) -> str:
        """A function; `files` are further files of its folder. Its path below the top."""
        folder = f"sys/devices/pci0000:00/{address}"
        vendor, device = ids.split(":")
        header = bytearray(HEADER)
        header[0x0E] = kind == BRIDGE_CLASS
        plain = {
            "vendor": f"0x{vendor}",
            "device": f"0x{device}",
            "class": f"{kind:#08x}",
            "driver_override": "(null)",
            "resource": "",
            **files,
        }
        for name, text in plain.items():
            self.file(f"{folder}/{name}", f"{text}\n")
        (self.top / folder / "config").write_bytes(header)
        self.link(f"sys/bus/pci/devices/{address}", folder)
        if group is not None:
            self.link(f"{folder}/iommu_group", f"sys/kernel/iommu_groups/{group}")
            self.link(f"sys/kernel/iommu_groups/{group}/devices/{address}", folder)
        if driver:
            self.driver(driver)
            self.link(f"{folder}/driver", f"sys/bus/pci/drivers/{driver}")
        return folder

    def driver(self, name: str) -> None:
        for file in ("bind", "unbind"):
            self.file(f"sys/bus/pci/drivers/{name}/{file}", "")

    def disk(self, name: str, folder: str, number: str, inside: str = "") -> None:
        """A disk at a function's folder, or a partition `inside` a disk, with its device number."""
        where = f"{folder}/block/{inside}/{name}" if inside else f"{folder}/block/{name}"
        self.file(f"{where}/dev", number)
        self.link(f"sys/class/block/{name}", where)
        self.link(f"sys/dev/block/{number}", where)
        self.file(f"dev/{name}", "")

    def mounted(self, *lines: tuple[str, str, str]) -> None:
        """(device number, place, source) of each mounted file system."""
        rows = [f"9 1 {n} / {place} rw - ext4 {source} rw" for n, place, source in lines]
        self.file("proc/self/mountinfo", "\n".join(rows) + "\n")

    def interface(self, name: str, folder: str, up: bool = True) -> None:
        self.file(f"{folder}/net/{name}/flags", "0x1003" if up else "0x1002")
        self.link(f"sys/class/net/{name}", f"{folder}/net/{name}")

    def route(self, name: str) -> None:
        row = f"{name}\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"
        self.file("proc/net/route", f"Iface\tDestination ...\n{row}\n")

    def process(self, pid: int, name: str, path: str) -> None:
        """A process that has `path` open."""
        self.file(f"proc/{pid}/comm", f"{name}\n")
        (self.top / f"proc/{pid}/fd").mkdir(parents=True)
        os.symlink(path, self.top / f"proc/{pid}/fd/3")


class Kernel:
    """Does what the kernel does when these files are written. `refuse` names writes that fail."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.written: list[str] = []
        self.refuse: set[str] = set()

    def write(self, path: str, text: str) -> None:
        name = path.removeprefix(f"{self.tree.root}/sys/bus/pci/")
        self.written.append(f"{name} {text.strip()}")
        if self.written[-1] in self.refuse:
            raise OSError(5, "Input/output error", path)
        if name.endswith("driver_override"):
            Path(path).write_text(text)
        elif name.endswith("unbind"):
            self._place(text).joinpath("driver").unlink()
        elif name == "drivers_probe":
            override = self._place(text).joinpath("driver_override").read_text().strip()
            self._bind(text, override)
        elif name.endswith("bind"):
            self._bind(text, name.split("/")[1])

    def _place(self, address: str) -> Path:
        return self.tree.top / "sys/bus/pci/devices" / address

    def _bind(self, address: str, driver: str) -> None:
        link = self._place(address) / "driver"
        if driver and not link.is_symlink():
            link.symlink_to(self.tree.top / "sys/bus/pci/drivers" / driver)
