"""The figures the project holds itself to, computed from measurements. Shown, never enforced."""

from __future__ import annotations

from tests.benchmarks import exits
from tests.benchmarks.results import Measures
from vmm.record import Record


class Bar(Record):
    """`over` / `under` * `scale`, or `over` * `scale` alone, should be at most `limit`."""

    what: str
    limit: float
    over: str
    under: str = ""
    scale: float = 1.0


def against_qemu(what: str, limit: float, figure: str, subject: str = "vmm") -> Bar:
    under = f"boot/{figure}/qemu microvm"
    return Bar(what=what, limit=limit, over=f"boot/{figure}/{subject}", under=under)


def exit_bar(op: str, subject: str = "vmm") -> Bar:
    under = f"exits/{op}/raw"
    return Bar(what=f"exit, {op}: x raw", limit=1.05, over=f"exits/{op}/{subject}", under=under)


def disk_bar(what: str, limit: float, part: str) -> Bar:
    under = f"disk/{part}/qemu pc"
    return Bar(what=f"disk, {what}: x QEMU", limit=limit, over=f"disk/{part}/vmm", under=under)


def devices_bar(what: str, figure: str) -> Bar:
    under = f"devices/{figure}/qemu pc"
    what = f"boot with devices, {what}: x QEMU pc"
    return Bar(what=what, limit=0.9, over=f"devices/{figure}/vmm", under=under)


BARS = (
    *(exit_bar(op) for op in exits.PLAIN),
    *(exit_bar(op, "vmm legacy") for op in exits.CLOCKS),
    *(exit_bar(op, "vmm python") for op in exits.IN_KERNEL),
    Bar(
        what="doorbell, ring, irqfd, x raw",
        limit=1.05,
        over="exits/entropy/vmm",
        under="exits/entropy/raw ring",
    ),
    against_qemu("boot, same bzImage: CPU x QEMU microvm", 0.97, "cpu", "vmm --kaslr"),
    against_qemu("boot, default path: CPU x QEMU microvm", 0.68, "cpu"),
    against_qemu("boot: VM exits x QEMU microvm", 0.75, "exits"),
    Bar(what="boot: exits to user space", limit=400, over="reasons/all/vmm"),
    Bar(what="boot: calls into Python", limit=32, over="reasons/python/vmm"),
    against_qemu("private dirty beside the guest x QEMU microvm", 0.5, "private dirty"),
    Bar(what="exec to end of a null guest, M", limit=100, over="startup/vmm boot", scale=1e3),
    Bar(what="ttyS0, per byte", limit=2500, over="serial/per byte/vmm", scale=1e9),
    Bar(
        what="hvc0, per byte: x QEMU",
        limit=0.8,
        over="hvc/per byte/vmm",
        under="hvc/per byte/qemu pc",
    ),
    disk_bar("4 KiB reads, one at a time", 0.9, "single"),
    disk_bar("4 KiB reads, 32 at a time", 1.0, "many"),
    disk_bar("1 MiB reads", 1.1, "large"),
    Bar(
        what="net, round trip: x QEMU",
        limit=0.7,
        over="net/round trip/vmm",
        under="net/round trip/qemu pc",
    ),
    Bar(
        what="net with vhost, round trip: x QEMU's",
        limit=1.05,
        over="net/round trip/vmm vhost",
        under="net/round trip/qemu pc vhost",
    ),
    Bar(
        what="net with vhost, send: x QEMU's",
        limit=1.05,
        over="net/send/vmm vhost",
        under="net/send/qemu pc vhost",
    ),
    *(
        Bar(
            what=f"NVMe handed through, {what}: x QEMU's",
            limit=1.02,
            over=f"vfio/{part} awake/vmm",
            under=f"vfio/{part} awake/qemu pc",
        )
        for what, part in (("4 KiB reads, alone", "single"), ("32 at a time", "many"))
    ),
    Bar(
        what="start with 4 GiB for DMA: CPU x QEMU's",
        limit=1.05,
        over="vfio/start/vmm",
        under="vfio/start/qemu pc",
    ),
    Bar(
        what="Xen, boot: CPU x QEMU's",
        limit=1.0,
        over="xen/cpu/vmm",
        under="xen/cpu/qemu pc",
    ),
    *(
        Bar(
            what=f"Xen without KVM's help, {how}, with devices: CPU x without Xen",
            limit=1.02,
            over=f"xen/cpu, with devices/vmm {how}",
            under="xen/cpu, with devices/plain",
        )
        for how in ("patch", "breakpoint")
    ),
    Bar(what="Xen, % of hypercalls that leave KVM", limit=3, over="xen/% that leave, read/vmm"),
    Bar(
        what="Xen, send to upcall: x raw",
        limit=1.1,
        over="xen/event mean/vmm",
        under="xen/event mean/raw",
    ),
    devices_bar("CPU", "cpu"),
    devices_bar("VM exits", "exits"),
    Bar(what="boot with devices: calls into Python", limit=300, over="devices/user python/vmm"),
)


def value(bar: Bar, found: Measures) -> float | None:
    """None if a measurement it needs is missing."""
    over = found.get(bar.over)
    under = found.get(bar.under) if bar.under else 1.0
    return over / under * bar.scale if over is not None and under else None


def table(found: Measures) -> str:
    """One line for each bar whose measurements are there; "" if there is none."""
    lines: list[str] = []
    for bar in BARS:
        measured = value(bar, found)
        if measured is not None:
            verdict = "" if measured <= bar.limit else f"  over by {measured / bar.limit - 1:.1%}"
            digits = 3 if bar.limit < 10 else 0
            lines.append(f"{bar.what:<48} {measured:>10,.{digits}f} {bar.limit:>8g}{verdict}")
    return "\n".join([f"{'bar':<48} {'measured':>10} {'at most':>8}", *lines]) if lines else ""
