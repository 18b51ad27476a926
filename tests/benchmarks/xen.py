"""A Xen HVM guest: a stock kernel's boot, how many hypercalls leave KVM, what an event takes.

The boots end with the first line of the initramfs and have ttyS0; "plain" is the same guest without
Xen. "With devices" they end where console, disk and network card are in use. Which hypercalls leave
is counted with console and disk by Xen, up to where 32 MiB are read. `event` is the time from
before EVTCHNOP_send to the upcall on the same vCPU, in TSC ticks, with a histogram
(guests/bench/event.c); "raw" is a bare program that uses the same ioctls.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import boot, devices, disk, exits, guest, net, tools
from tests.benchmarks.process import Watched, cpu_of, say
from tests.benchmarks.results import Measures

APPEND = boot.APPEND
MACHINE = ("-M", "pc", "-smp", "1", "-m", str(tools.GUEST_MIB), "-cpu", tools.MODEL)
ACCEL = "kvm,xen-version=0x40011,kernel-irqchip=split"
KVM = ("--xen", "--xen-backend", "kvm")
PATCH = ("--xen", "--xen-backend", "userspace")
BREAKPOINT = (*PATCH, "--xen-calls", "breakpoint")
VMM = {"vmm": KVM, "vmm patch": PATCH, "vmm breakpoint": BREAKPOINT}
TRACING = Path("/sys/kernel/debug/tracing/events/kvm")
CALLS = ("kvm_xen_hypercall", "hist:keys=a0")
LEFT = ("kvm_userspace_exit", "hist:keys=reason,errno")
EXIT_XEN = 34
COUNTED = re.compile(r"\{ a0: +\d+ \} hitcount: +(\d+)")
RETURNED = re.compile(rf"\{{ reason: +{EXIT_XEN}, errno: +0 \}} hitcount: +(\d+)")
EVENT = re.compile(r"# event from=(\d+) n=(\d+)")
EVENTS, TIMES = 300, 30


def qemu(*words: str) -> list[str]:
    return tools.qemu_words(*MACHINE, "-accel", ACCEL, *tools.BARE, *words)


def measure(rounds: int) -> Measures:
    """The first of `rounds` only warms up."""
    found = Measures()
    boot.prefer_reader()
    initrd = guest.speaking()
    subjects = {name: tools.vmm_linux(APPEND, initrd, more) for name, more in VMM.items()}
    subjects["plain"] = tools.vmm_linux(APPEND, initrd)
    subjects["qemu pc"] = qemu("-serial", "stdio", *tools.qemu_image(APPEND, initrd))
    for argv in subjects.values():
        boot.warm_up(argv)
    disk.make_image()
    net.make_tap()
    for number in range(1, rounds):
        for name, argv in subjects.items():
            say(f"xen: {name}, round {number}")
            for what, value in boot.booted(argv).items():
                found.add(f"xen/{what}/{name}", value)
        for name, argv in in_use().items():
            say(f"xen: {name} with devices, round {number}")
            for what, value in boot.booted(argv).items():
                found.add(f"xen/{what}, with devices/{name}", value)
    for what, value in leaving():
        found.add(f"xen/{what}/vmm", value)
    for name, argv in event_subjects().items():
        say(f"xen: events, {name}")
        for what, value in events(argv):
            found.add(f"xen/event {what}/{name}", value)
    return found


def in_use() -> dict[str, list[str]]:
    """Boots to where console, disk and card are in use: virtio's for "plain", else PV ones."""
    pv = ("--console", "xen", "--disk", f"{disk.IMAGE},bus=xen", "--net", f"tap={net.TAP},bus=xen")
    initrd = guest.using_pv_devices()
    begin = {n: tools.vmm_linux(devices.APPEND, initrd, (*w, *pv)) for n, w in VMM.items()}
    return begin | {"plain": devices.subjects(guest.using_devices())["vmm"]}


def leaving() -> Iterator[tuple[str, float]]:
    """Hypercalls and how many percent of them end in user space, at both marks."""
    append = f"{APPEND} cryptomgr.notests".replace("ttyS0", "hvc0")
    more = (*KVM, "--console", "xen", "--disk", f"{disk.IMAGE},bus=xen")
    say("xen: hypercalls that leave KVM")
    for event, words in (CALLS, LEFT):
        (TRACING / event / "trigger").write_text(words)
    try:
        with Watched(tools.vmm_linux(append, guest.reading_xen(), more)) as run:
            for name, mark in (("begin", guest.SINGLE), ("read", guest.LARGE)):
                run.until(mark, boot.PATIENCE)
                calls, left = counted(CALLS[0], COUNTED), counted(LEFT[0], RETURNED)
                yield f"hypercalls, {name}", calls
                yield f"% that leave, {name}", 100 * left / calls
            run.end(signal.SIGTERM)
    finally:
        for event, words in (CALLS, LEFT):
            (TRACING / event / "trigger").write_text(f"!{words}")


def counted(event: str, row: re.Pattern[str]) -> int:
    return sum(int(hits) for hits in row.findall((TRACING / event / "hist").read_text()))


def event_subjects() -> dict[str, list[str]]:
    append = f"n={EVENTS} rounds={TIMES} ops=event"
    begin = tools.vmm_boot("--kernel", exits.ELF, "--debug-exit", "--append", append)
    said = (*tools.EXIT, "-debugcon", "stdio", "-serial", "null")
    return {
        "raw": [*tools.RAW, "-i", "-x", "-a", append, exits.ELF],
        **{name: [*begin, *more] for name, more in VMM.items()},
        "qemu pc": qemu("-kernel", exits.MULTIBOOT, *said, "-append", append),
    }


def events(argv: list[str]) -> Iterator[tuple[str, float]]:
    """The quickest mean of a round, and how many took so long or longer, by classes."""
    _seconds, said = cpu_of(argv, exits.DONE)
    for _op, count, ticks in exits.RESULT.findall(said):
        yield "mean", int(ticks) / int(count)
    for begin, count in EVENT.findall(said):
        yield f">= {begin}", int(count)
