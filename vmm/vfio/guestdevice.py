"""A PCI function of the host as a device of the guest: `--device vfio,host=ADDRESS`."""

from __future__ import annotations

from vmm import layout, log
from vmm.cdevice import CDevice
from vmm.closing import close_all
from vmm.errors import ConfigError, HostError, StateError, VmmError
from vmm.host.limits import allow_descriptors
from vmm.native import check, ffi, lib
from vmm.pci.device import PciDevice
from vmm.pci.function import Ident, PciFunction
from vmm.pci.intx import Intx
from vmm.pci.msix import Msix
from vmm.vfio.guestbars import GuestBars
from vmm.vfio.guestconfig import CLASSIC, MSI, MSIX, PIN, guest_config
from vmm.vfio.guestnotices import Notices
from vmm.vfio.guestram import KvmVfio, open_device
from vmm.vfio.sysfs import bound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmm.context import DeviceContext
    from vmm.deviceconfig import DeviceConfig
    from vmm.pci.bar import Piece
    from vmm.vfio.device import PciDevice as HostDevice

FUNCTIONS = 8  # of a slot
MSIX_TABLE, MSIX_PBA, BIR = 4, 8, 7  # of the capability; bits of a place that name the register
MODES = {"intx": lib.VFIOPCI_INTX, "msi": lib.VFIOPCI_MSI, "msix": lib.VFIOPCI_MSIX}


class Core(CDevice):
    """The C side (core/vfio/vfiopci.h). The device keeps its state to itself."""

    kind = "vfiopci"

    def reset(self) -> None:
        """Nothing of its own."""

    def counters(self) -> dict[str, int]:
        counts = ffi.new("struct vfiopci_counts *")
        lib.vfiopci_counts(self.pointer, counts)
        return {name: getattr(counts, name) for name in dir(counts)}


class VfioPci(PciDevice):
    """One function, from when it is opened until the host has it back.

    HostError or VfioError says why it cannot be had.
    """

    def __init__(self, name: str, context: DeviceContext, settings: Mapping[str, str]) -> None:
        one = bound(settings["host"])
        self._context, self._on_error = context, settings["on-error"]
        self._intx: Intx | None = None
        self._notices: Notices | None = None
        kvm = KvmVfio(context.kvm_vfio())
        self.host, self._ram = open_device(context.memory, kvm, one, settings["api"])
        # The last first.
        self._undo = [lambda: self._ram.left(one.address), self._give_back]
        try:
            self._build(name)
        except BaseException as error:
            close_all(reversed(self._undo), error)

    def _build(self, name: str) -> None:
        found = read_config(self.host)
        self.config = guest_config(found, pin="intx" in self.host.interrupts)
        self._core = Core(name, lib.vfiopci_create(self.host.fd.fd.number), ())
        self._undo.append(self._core.close)
        function = PciFunction(name, ident_of(found, self.config.image[PIN]))
        self._undo.append(function.close)
        self._adopt(function)
        vectors = {kind: self._vectors(name, kind) for kind in ("msi", "msix")}
        parts = {kind: part for kind, part in vectors.items() if part is not None}
        self._announce(function, vectors)
        self._bars = GuestBars(self.host, self._core, self._context.memory, self._emulated(vectors))
        self._undo.append(self._bars.close)
        for bar in self._bars.bars:
            function.add_bar(bar)
        super().__init__(function, registers=self._core, **parts)

    def _adopt(self, function: PciFunction) -> None:
        config, at = self.config, self.host.config.info.offset
        result = lib.vfiopci_adopt(
            self._core.pointer, function.pointer, at, config.image, config.passed, len(config.image)
        )
        check(result, "vfiopci_adopt", self.host.address)
        for offset, size, mask in config.writable:
            lib.pci_set_wmask(function.pointer, offset, size, mask)

    def _vectors(self, name: str, kind: str) -> Msix | None:
        number = {"msi": MSI, "msix": MSIX}[kind]
        interrupt = self.host.interrupts.get(kind)
        if interrupt is None or number not in self.config.capabilities:
            return None
        allow_descriptors(interrupt.count, f"{self.host.address}, with a vector each,")
        made = Msix(name, self._context.router, self._context.vm_fd, interrupt.count)
        self._undo.append(made.close)
        return made

    def _announce(self, function: PciFunction, vectors: dict[str, Msix | None]) -> None:
        msi, msix = (None if one is None else one.pointer for one in vectors.values())
        at = self.config.capabilities
        if msi is not None:
            check(lib.msi_adopt(msi, function.pointer, at[MSI]), "msi_adopt")
        if msix is not None:
            check(lib.msix_adopt(msix, function.pointer, at[MSIX]), "msix_adopt")
        resizable = msix is not None and self.host.interrupts["msix"].resizable
        null = ffi.NULL
        lib.vfiopci_vectors(self._core.pointer, msi or null, msix or null, resizable)

    def _emulated(self, vectors: dict[str, Msix | None]) -> dict[int, list[Piece]]:
        msix = vectors["msix"]
        if msix is None:
            return {}
        at, found = self.config.capabilities[MSIX], self.config.image
        places = [
            int.from_bytes(found[at + n : at + n + 4], "little") for n in (MSIX_TABLE, MSIX_PBA)
        ]
        emulated: dict[int, list[Piece]] = {}
        for place, piece in zip(places, msix.pieces(*(p & ~BIR for p in places)), strict=True):
            emulated.setdefault(place & BIR, []).append(piece)
        return emulated

    # --- life

    def plugged(self) -> None:
        """Interrupts from now on, first of all the pin's, whose line depends on the slot."""
        pin = self.config.image[PIN]
        if pin:
            wire = layout.pci_pin(self.function.devfn // FUNCTIONS, pin)
            gsi, pic = layout.GSI_PCI_INTX[wire], layout.PIC_PCI_INTX[wire]
            legacy = self._context.config.machine == "legacy"
            hub, loop = self._context.irq, self._context.loop
            self._intx = Intx(hub, loop, gsi, pic if legacy else None)
            try:
                self._intx.check()
            except VmmError as error:  # MSI may do without
                log.warning("vfio.no_intx", device=self.name, reason=str(error))
            lib.vfiopci_intx(self._core.pointer, self._intx.trigger, self._intx.resample)
        lib.vfiopci_release(self._core.pointer)
        self._notices = Notices(self.name, self.host, self._context, self._on_error)

    def reset(self) -> None:
        """As after power-on, as far as the device can be reset; the host's own state stays."""
        self.halt()
        how = reset_host(self.host)
        log.event("vfio.reset", device=self.name, host=self.host.address, how=how)
        super().reset()
        lib.vfiopci_release(self._core.pointer)

    def halt(self) -> None:
        """No interrupt comes any more, and no DMA. What a broken device does not take is let be."""
        lib.vfiopci_hold(self._core.pointer)
        try:
            self.host.set_bus_master(False)
        except OSError as error:
            log.warning("vfio.does_not_answer", device=self.name, reason=str(error))

    def close(self) -> None:
        """Every step is done, also when one fails: the host shall have it back."""
        closers = [self.function.unplug, lambda: lib.vfiopci_hold(self._core.pointer)]
        if self._notices is not None:
            closers.insert(0, self._notices.close)
        if self._intx is not None:
            closers.append(self._intx.close)
        close_all([*closers, *reversed(self._undo)])

    def _give_back(self) -> None:
        try:
            self.host.close()
        except* OSError as errors:
            reason = "; ".join(map(str, errors.exceptions))
            log.warning("vfio.does_not_answer", device=self.name, reason=reason)

    # --- looking at it

    def counters(self) -> dict[str, int]:
        """`reads` and `writes` trapped; which of the three kinds of interrupt is on."""
        mode = lib.vfiopci_mode(self._core.pointer)
        kinds = {name: int(mode == number) for name, number in MODES.items()}
        return {**super().counters(), **kinds}

    def save(self) -> dict[str, Any]:
        raise StateError(
            f"{self.name} is a device of the host ({self.host.address}), whose state cannot be "
            "saved; detach it first"
        )

    def load(self, saved: dict[str, Any]) -> None:
        self.save()


def read_config(host: HostDevice) -> bytes:
    size = host.config.size
    if size < CLASSIC:
        raise HostError(f"{host.address} has {size} bytes of configuration space, which is no PCI")
    try:
        return host.config.read_bytes(0, size)
    except OSError as error:
        raise HostError(f"{host.address} does not answer: {error.strerror}") from error


def ident_of(found: bytes, pin: int) -> Ident:
    def word(at: int, size: int = 2) -> int:
        return int.from_bytes(found[at : at + size], "little")

    return Ident(
        vendor=word(0x00),
        device=word(0x02),
        class_code=word(0x09, 3),
        revision=word(0x08, 1),
        subsystem_vendor=word(0x2C),
        subsystem=word(0x2E),
        pin=pin,
    )


def reset_host(host: HostDevice) -> str:
    """Which reset the device got: "function", "bus", or "none" if it knows neither."""
    for how, reset in (("function", host.reset), ("bus", host.hot_reset)):
        try:
            reset()
        except VmmError:
            continue
        return how
    return "none"


def make(context: DeviceContext, config: DeviceConfig, settings: dict[str, Any]) -> VfioPci:
    if not settings["host"]:
        raise ConfigError(f"the device {config.id} needs host=, the address of a PCI function")
    return VfioPci(config.id, context, settings)
