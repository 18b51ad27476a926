"""CPU topology: sockets, cores, threads, and the APIC ids that encode them.

An APIC id is socket, core and thread number side by side, each in as many bits as its count needs
(SDM volume 3, 9.9.1; AMD APM volume 3, appendix E.5). Counts that are not powers of two leave gaps
between ids, so the largest id can exceed the number of vCPUs.
"""

from __future__ import annotations

from vmm import layout
from vmm.errors import ConfigError
from vmm.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vmm.values import CpuConfig


class Topology(Record):
    """Counts: sockets, cores per socket, threads per core. All at least 1."""

    sockets: int
    cores: int
    threads: int

    def thread_bits(self) -> int:
        return (self.threads - 1).bit_length()

    def socket_shift(self) -> int:
        """Bits of an APIC id below the socket number."""
        return (self.cores - 1).bit_length() + self.thread_bits()


def of(cpu: CpuConfig, cpus: int) -> Topology:
    """The topology asked for, or else one socket of `cpus` cores. ConfigError if it cannot be."""
    sockets, cores, threads = cpu.topology or (1, cpus, 1)
    text = f"--cpu topology={sockets}:{cores}:{threads}"
    if min(sockets, cores, threads) < 1 or sockets * cores * threads != cpus:
        raise ConfigError(f"{text} makes {sockets * cores * threads} vCPUs, but --cpus is {cpus}")
    topology = Topology(sockets=sockets, cores=cores, threads=threads)
    last = apic_id(topology, cpus - 1)
    if last > layout.APIC_ID_MAX:
        raise ConfigError(
            f"{text} gives the last vCPU APIC id {last}, but the largest is {layout.APIC_ID_MAX}; "
            "take counts that are powers of two, or fewer vCPUs"
        )
    return topology


def apic_id(topology: Topology, vcpu_id: int) -> int:
    """The APIC id of vCPU `vcpu_id` (0 .. cpus - 1): what KVM, the MADT and CPUID must agree on."""
    core, thread = divmod(vcpu_id, topology.threads)
    socket, core = divmod(core, topology.cores)
    return socket << topology.socket_shift() | core << topology.thread_bits() | thread


def apic_ids(cpu: CpuConfig, cpus: int) -> tuple[int, ...]:
    """The APIC id of each vCPU, in the order of their numbers. ConfigError as in `of`."""
    topology = of(cpu, cpus)
    return tuple(apic_id(topology, vcpu_id) for vcpu_id in range(cpus))
