"""A disk of the host handed through: CPU per 4 KiB read, and of a start with 4 GiB mapped for DMA.

The disk is emulated by the lab's QEMU, whose work no clock in the lab counts: what is measured is
the guest's driver, the host's kernel, and whatever the monitor adds.
"""

from __future__ import annotations

from statistics import mean

from tests.benchmarks import guest, tools
from tests.benchmarks.boot import APPEND, prefer_reader, warm_up
from tests.benchmarks.process import Watched, cpu_of, say
from tests.benchmarks.results import Measures
from tests.benchmarks.startup import NULL
from vmm.vfio.bind import Binder
from vmm.vfio.sysfs import function

HOST = "0000:00:12.0"
SIZE = 64 << 20
LAB = (
    *("--mem", "8G", "--qemu-arg=-blockdev", "--device", "nvme,drive=d,serial=bench,addr=0x12"),
    f"--qemu-arg=driver=null-co,node-name=d,size={SIZE},read-zeroes=on",
)
VMM, QEMU = ("--device", f"vfio,host={HOST}"), ("-device", f"vfio-pci,host={HOST}")
LARGE = 4096  # MiB
HALTS = "halt_exits"
PATIENCE = 3600.0  # where L1 waits for the disk, which works in real time, its clock leaps
PARTS = (("single", guest.MANY, 2048), ("many", guest.LARGE, 8192))  # the mark behind, requests


def measure(rounds: int) -> Measures:
    """CPU seconds; the first of `rounds` only warms up."""
    found = Measures()
    Binder().bind([function(HOST)])
    initrd, append = guest.reading_host(), f"{APPEND} cryptomgr.notests"
    prefer_reader()
    subjects = {
        "vmm": tools.vmm_linux(append, initrd, VMM),
        "vmm split": tools.vmm_linux(append, initrd, (*VMM, "--irqchip", "split")),
        "qemu pc": tools.pc(*QEMU, "-serial", "stdio", *tools.qemu_image(append, initrd)),
    }
    warm_up(subjects["vmm"])
    for number in range(rounds):
        for name, argv in subjects.items():
            say(f"vfio: {name}, round {number}")
            for what, value in read(argv).items():
                if number:
                    found.add(f"vfio/{what}/{name}", value)
        for name, (argv, codes) in starts().items():
            say(f"vfio: start of {name}, round {number}")
            seconds, _said = cpu_of(argv, codes)
            if number:
                found.add(f"vfio/start/{name}", seconds)
    for what, _end, _amount in PARTS if rounds > 1 else ():
        awake(found, what, [*subjects])
    return found


def awake(found: Measures, what: str, subjects: list[str]) -> None:
    """Adds what the requests cost without the guest's sleep.

    The lab's disk works beside the lab's CPU, in its own time. Where it is late the guest sleeps,
    which costs as much as a request again, and how often that is does no subject any credit. The
    cost of a sleep is the slope over all samples.
    """
    pairs = [(found.samples[f"vfio/{what} halts/{one}"], found.samples[f"vfio/{what}/{one}"])
             for one in subjects]  # fmt: skip
    around = [(halts - mean(all_halts), cpu - mean(all_cpu))
              for all_halts, all_cpu in pairs
              for halts, cpu in zip(all_halts, all_cpu, strict=True)]  # fmt: skip
    wide = sum(halts * halts for halts, _ in around)
    slope = sum(halts * cpu for halts, cpu in around) / wide if wide else 0.0
    for one, (all_halts, all_cpu) in zip(subjects, pairs, strict=True):
        for halts, cpu in zip(all_halts, all_cpu, strict=True):
            found.add(f"vfio/{what} awake/{one}", cpu - slope * halts)


def read(argv: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    with Watched(argv) as run:
        run.until(guest.SINGLE, PATIENCE)
        cpu, halts = run.cpu_ns(), run.kvm_stats()[HALTS]
        for name, end, amount in PARTS:
            run.until(end, PATIENCE)
            now, slept = run.cpu_ns(), run.kvm_stats()[HALTS]
            found[name] = (now - cpu) / 1e9 / amount
            found[f"{name} halts"] = (slept - halts) / amount
            cpu, halts = run.cpu_ns(), slept
    return found


def starts() -> dict[str, tuple[list[str], tuple[int, ...]]]:
    """A guest that ends with its first instruction, with and without the device."""
    vmm = (*tools.VMM, "boot", "-m", f"{LARGE}M", "--kernel", str(NULL), "--debug-exit")
    qemu = ("-m", str(LARGE), "-kernel", str(NULL.with_suffix(".mb")), *tools.EXIT)
    return {
        "vmm": ([*vmm, *VMM], (1,)),
        "vmm alone": ([*vmm], (1,)),
        "qemu pc": (tools.pc(*qemu, *QEMU), (1,)),
        "qemu pc alone": (tools.pc(*qemu), (1,)),
    }
