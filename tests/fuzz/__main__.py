"""libFuzzer on the C core: `python -m tests.fuzz [--seconds N] [TARGET...]`, or `make fuzz`.

Each target is built with the address and undefined-behaviour sanitizers and runs for a while, going
on from the inputs that are kept in the tree and those that earlier runs found (build/fuzz/corpus).
An input that breaks something stays in build/fuzz/TARGET-crash-*; `build/fuzz/TARGET FILE` runs it
again. `--keep` puts the inputs that are worth it into the tree.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz import corpus
from tests.native import sanitize

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = TOP / "build" / "fuzz"
FLAGS = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]
SANITIZERS = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
LIMITS = ["-max_len=4096", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]

TIMER = ("loop.c", "loop_event.c", "timer.c", "irq.c", "intx.c")
CHAN = (
    "chan.c", "chan_watch.c", "chan_in.c", "chan_out.c", "chan_peer.c", "chan_link.c",
    "chan_opens.c", "chan_straight.c",
)  # fmt: skip
VQ = ("gmem.c", "iov.c", "vq.c", "vq_pop.c")
BLK = (
    "blk.c", "blk_threads.c", "blk_uring.c", "vblk.c", "vblk_make.c",
    "vblk_request.c", "vblk_state.c",
)  # fmt: skip
PCI = (*TIMER, "coalesce.c", "kvmwait.c", "pci_config.c", "pci_func.c", "pci_root.c")
TARGETS = {
    "gmem": ("gmem.c",),
    "uart": (*TIMER, *CHAN, "coalesce.c", "kvmwait.c", "uart.c", "uart_line.c", "uart_life.c"),
    "irqchip": (
        *TIMER, "pic.c", "pic_chip.c", "pic_state.c", "ioapic.c", "ioapic_life.c", "router.c",
        "split_sink.c", "pit.c", "pit_channel.c",
    ),
    "rtc": (*TIMER, "rtc.c", "rtc_clock.c", "rtc_time.c"),
    "fwcfg": ("fwcfg.c",),
    "vq": VQ,
    "msix": (*PCI, "msix.c", "msix_state.c", "msix_cap.c", "router.c"),
    "pci": (*PCI, "pcihp.c", "pcitest.c"),
    "virtio": (
        *VQ, *PCI, "virtio.c", "virtio_loop.c", "virtio_regs.c", "virtio_state.c",
        "virtio_pci.c", "virtio_pci_caps.c", "virtio_legacy.c", "msix.c", "msix_state.c",
        "msix_cap.c", "router.c",
    ),
    "vcon": (
        *TIMER, *CHAN, *VQ, "virtio.c", "virtio_loop.c", "virtio_regs.c", "virtio_state.c",
        "vcon.c", "vcon_control.c", "vcon_data.c", "vcon_port.c", "vcon_state.c",
    ),
    "vblk": (
        *TIMER, *VQ, *BLK, "virtio.c", "virtio_loop.c", "virtio_regs.c", "virtio_state.c",
    ),
    "vnet": (
        *TIMER, *VQ, "virtio.c", "virtio_loop.c", "virtio_regs.c", "virtio_state.c", "vnet.c",
        "vnet_control.c", "vnet_features.c", "vnet_rx.c", "vnet_state.c", "vnet_tx.c",
        "vnet_vhost.c",
    ),
    "xblk": (*TIMER, *BLK[:3], "gmem.c", "gnttab.c", "iov.c", "xblk.c", "xblk_request.c"),
    "xnet": (
        *TIMER, "gmem.c", "gnttab.c", "iov.c", "xnet.c", "xnet_frame.c", "xnet_rx.c", "xnet_tx.c",
    ),
    "xencalls": (
        *TIMER, "gmem.c", "evtchn.c", "xenus.c", "xenfetch.c", "xenus_channel.c", "xenus_debug.c",
        "xenus_event.c", "xenus_run.c", "xenus_seen.c", "xenus_time.c", "xenpirq.c",
    ),
    "xenrings": (*TIMER, *CHAN, "gmem.c", "xencon.c", "xsring.c"),
    "platform": (
        *TIMER, "hpet.c", "hpet_event.c", "hpet_state.c", "i8042.c", "i8042_state.c", "ps2.c",
        "acpiregs.c", "pmtimer.c", "testdev.c",
    ),
}  # fmt: skip


def build(target: str, folder: Path = BUILD) -> Path:
    """The target's program, with everything it links checked by the sanitizers."""
    folder.mkdir(parents=True, exist_ok=True)
    units = [str(sanitize.UNITS[unit]) for unit in TARGETS[target]]
    command = ["clang", *FLAGS, *SANITIZERS, *sanitize.INCLUDES, f"-I{HERE}"]
    binary = folder / target
    source = str(HERE / f"{target}.c")
    subprocess.run([*command, source, *units, "-lpthread", "-o", str(binary)], check=True)
    return binary


def fuzz(target: str, seconds: int) -> bool:
    """Runs a target for `seconds`; whether all promises held."""
    binary = build(target)
    inputs = BUILD / "corpus" / target
    corpus.unpack(target, inputs)
    options = [*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={BUILD}/{target}-"]
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1"}
    log = BUILD / f"{target}.log"
    with log.open("wb") as out:
        done = subprocess.run(
            [str(binary), *options, str(inputs)], env=environment, stderr=out, check=False
        )
    lines = log.read_text(errors="replace").splitlines()
    if done.returncode != 0:
        print("\n".join(lines[-40:]), file=sys.stderr)
        print(f"{target}: FAILED, see {log}", file=sys.stderr)
        return False
    runs = next(line.split()[-1] for line in lines if "number_of_executed_units" in line)
    print(f"{target}: {runs} inputs, {len(list(inputs.iterdir()))} kept", flush=True)
    return True


def keep(target: str) -> None:
    """Renews the target's kept inputs from those that were found here."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs, chosen = BUILD / "corpus" / target, Path(scratch) / target
        print(f"{target}: {corpus.keep(target, BUILD / target, inputs, chosen)} inputs kept")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the C core.")
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--keep", action="store_true", help="then renew the inputs in the tree")
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    words = parser.parse_args()
    unknown = [target for target in words.target if target not in TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    targets = words.target or list(TARGETS)
    results = [fuzz(target, words.seconds) for target in targets]
    for target in targets if words.keep and all(results) else ():
        keep(target)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
