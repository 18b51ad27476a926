"""A stock kernel's boot with console, disk and network card on PCI, to where all three are in use.

The kernel's console is hvc0. The first process loads the drivers, reads a block of the disk, brings
the card up and says so. Both monitors move packets themselves; the disk is a file in memory.
"""

from __future__ import annotations

from tests.benchmarks import boot, disk, guest, net, reasons, tools
from tests.benchmarks.hvc import CONSOLE
from tests.benchmarks.process import say
from tests.benchmarks.results import Measures

APPEND = "console=hvc0 quiet cryptomgr.notests"


def measure(rounds: int) -> Measures:
    """As the suites boot and reasons do: figures at the mark, then one more run for the reasons."""
    found = Measures()
    disk.make_image()
    net.make_tap()
    boot.prefer_reader()
    argvs = subjects(guest.using_devices())
    for argv in argvs.values():
        boot.warm_up(argv)
    for number in range(1, rounds):
        for name, argv in argvs.items():
            say(f"devices: {name}, round {number}")
            for what, value in boot.booted(argv).items():
                found.add(f"devices/{what}/{name}", value)
    for name, argv in argvs.items():
        say(f"devices: {name}, reasons")
        for reason, count in reasons.reasons(name, argv).items():
            found.add(f"devices/user {reason}/{name}", count)
    return found


def subjects(initrd: str) -> dict[str, list[str]]:
    options = ("--console", "virtio", "--disk", str(disk.IMAGE))
    card = ("--net", f"tap={net.TAP},vhost=off")
    return {
        "vmm": tools.vmm_linux(APPEND, initrd, (*options, *card)),
        "qemu pc": tools.pc(
            *CONSOLE, *disk.QEMU, *net.qemu_card("off"), *tools.qemu_image(APPEND, initrd)
        ),
    }
