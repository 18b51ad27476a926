"""What is said when a guest crashes: registers, instruction bytes, KVM's reason, the last exits."""

from __future__ import annotations

from vmm.native import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vmm.memory import GuestMemory
    from vmm.vcpu import Vcpu

GENERAL = "rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags".split()
CONTROL = "cr0 cr2 cr3 cr4 cr8 efer apic_base".split()
SEGMENTS = "cs ds es fs gs ss tr ldt".split()
CODE_BYTES = 16
SHOWN_EXITS = 16
INTERNAL_ERRORS = {
    1: "emulation failed",
    2: "simultaneous exceptions",
    3: "exit during event delivery",
    4: "unexpected exit reason",
}


def exit_name(reason: int) -> str:
    """The uapi name of an exit reason without its prefix: 2 -> "IO"."""
    for name in dir(lib):
        if name.startswith("KVM_EXIT_") and getattr(lib, name) == reason:
            return name.removeprefix("KVM_EXIT_")
    return str(reason)


def last_exits(vcpu: Vcpu) -> list[dict[str, object]]:
    """The flight recorder, oldest first. Only while the vCPU is not running."""
    trace = vcpu.pointer.trace
    names: dict[int, str] = {}
    exits: list[dict[str, object]] = []
    for index in range(max(0, trace.count - lib.TRACE_RECORDS), trace.count):
        r = trace.record[index % lib.TRACE_RECORDS]
        name = names.get(r.reason) or names.setdefault(r.reason, exit_name(r.reason))
        entry: dict[str, object] = {"tsc": r.tsc, "reason": name}
        if r.size:
            way = "write" if r.flags & lib.TRACE_WRITE else "read"
            entry |= {"way": way, "address": r.address, "size": r.size, "value": r.value}
        exits.append(entry)
    return exits


def registers(vcpu: Vcpu) -> dict[str, object]:
    """All general, control and segment registers by name."""
    regs, sregs = vcpu.kvm.get_regs(), vcpu.kvm.get_sregs()
    values: dict[str, object] = {name: getattr(regs, name) for name in GENERAL}
    values |= {name: getattr(sregs, name) for name in CONTROL}
    for name in SEGMENTS:
        s = getattr(sregs, name)
        values[name] = {"selector": s.selector, "base": s.base, "limit": s.limit, "type": s.type}
    for name in ("gdt", "idt"):
        table = getattr(sregs, name)
        values[name] = {"base": table.base, "limit": table.limit}
    return values


def code_bytes(vcpu: Vcpu, memory: GuestMemory) -> bytes:
    """The bytes at CS:RIP as far as they are mapped RAM, at most 16."""
    linear = int(vcpu.kvm.get_regs().rip + vcpu.kvm.get_sregs().cs.base) & (1 << 64) - 1
    code = b""
    while len(code) < CODE_BYTES:
        at = linear + len(code)
        physical = vcpu.kvm.translate(at)
        part = min(CODE_BYTES - len(code), 4096 - at % 4096)
        try:
            if physical is None:
                break
            code += memory.read(physical, part)
        except ValueError:
            break
    return code


def report(vcpu: Vcpu, memory: GuestMemory, event: Any) -> dict[str, object]:
    """Everything known about a crash, as plain data. Own thread of the vCPU only."""
    failure = ffi.new("struct vcpu_failure *")
    lib.vcpu_failure(vcpu.pointer, failure)
    kvm: dict[str, object] = {"exit": exit_name(event.exit_reason)}
    if event.kind == lib.VCPU_INTERNAL_ERROR:
        kvm |= {
            "suberror": failure.suberror,
            "meaning": INTERNAL_ERRORS.get(failure.suberror, "unknown suberror"),
            "data": [failure.data[i] for i in range(failure.ndata)],
        }
    if event.kind == lib.VCPU_FAIL_ENTRY:
        kvm["hardware_entry_failure_reason"] = failure.entry_reason
    return {"kvm": kvm, **position(vcpu, memory)}


def position(vcpu: Vcpu, memory: GuestMemory) -> dict[str, object]:
    """Where a vCPU stands and how it came there. Only while it is not running."""
    return {
        "vcpu": vcpu.id,
        "mp_state": vcpu.kvm.get_mp_state(),
        "registers": registers(vcpu),
        "code": code_bytes(vcpu, memory).hex(" "),
        "exits": last_exits(vcpu),
    }


def as_text(crash: dict[str, Any]) -> str:
    """The report for a person: registers, code and the newest exits."""
    regs = crash["registers"]
    lines = [f"vCPU {crash['vcpu']}, KVM said: {_pairs(crash['kvm'])}"]
    for start in range(0, len(GENERAL), 4):
        row = GENERAL[start : start + 4]
        lines.append("  " + "  ".join(f"{name:>6} {regs[name]:016x}" for name in row))
    lines.append("  " + "  ".join(f"{name} {regs[name]:x}" for name in CONTROL))
    lines.append("  " + "  ".join(f"{n} {regs[n]['selector']:04x}" for n in SEGMENTS))
    lines.append(f"  code at cs:rip: {crash['code'] or 'not mapped'}")
    exits = crash["exits"][-SHOWN_EXITS:]
    more = f" (of {len(crash['exits'])} in the exit report)" if crash["exits"] != exits else ""
    lines.append(f"  last {len(exits)} exits, oldest first{more}:")
    lines.extend("    " + _exit_line(entry) for entry in exits)
    return "\n".join(lines)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {' '.join(map(hex, value)) if isinstance(value, list) else value}"
        for key, value in values.items()
    )


def _exit_line(entry: dict[str, Any]) -> str:
    if "way" not in entry:
        return str(entry["reason"])
    return (
        f"{entry['reason']:<6} {entry['way']:<5} {entry['address']:#x} "
        f"size {entry['size']} value {entry['value']:#x}"
    )
