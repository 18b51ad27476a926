"""What a stock kernel does in ring 0, as tiny pieces of machine code that KVM is asked to run.

Each step starts in 64-bit mode with RSI at 4 KiB of zeroed scratch memory, and ends with HLT. A
fault ends at another HLT. The addresses are guest-physical, and linear as well (identity mapping).
"""

from __future__ import annotations

from vmm.record import Record

IDT, PML4, PDPT, PD, GDT, CODE, SCRATCH, STACK = (page << 12 for page in range(8))
SIZE = 8 << 12  # the stack grows down from the end

CS, DS, TSS, USER_BASE = 0x08, 0x10, 0x18, 0x28  # selectors; SYSRET's are USER_BASE + 8 and + 16
USER_CS, USER_DS = 0x3B, 0x33

HLT = b"\xf4"
IRETQ = b"\x48\xcf"
FAULT = CODE  # HLT: where every vector but the two below leads
RETURN = CODE + 0x10  # IRETQ: the breakpoint's and the interrupt's handler
FROM_USER = CODE + 0x20  # HLT: where SYSCALL arrives
STEP = CODE + 0x100  # the step under test, 0x5100
VECTOR_BREAKPOINT, VECTOR_INTERRUPT = 3, 0x40


class Step(Record):
    """`can` continues "cannot "; `source` is what `code` was assembled from, the final HLT apart.

    `leaf` is the CPUID bit (function, register 0..3, bit) without which a kernel would not try,
    `end` the HLT that must be executed, None for the step's own.
    """

    can: str
    source: str
    code: bytes
    leaf: tuple[int, int, int] | None = None
    end: int | None = None
    interrupt: bool = False


EBX, ECX, EDX = 1, 2, 3


def _instruction(
    name: str, source: str, text: str, leaf: tuple[int, int, int] | None = None
) -> Step:
    return Step(can=name, source=source, code=bytes.fromhex(text) + HLT, leaf=leaf)


INSTRUCTIONS = (
    # jump labels and static calls are patched through a breakpoint
    _instruction("INT3", "int3", "cc"),
    _instruction("LSL", "lsl %eax, %eax", "0f 03 c0"),
    # clears CPU buffers on the way to user mode
    _instruction("VERW", "verw %ax", "0f 00 e8"),
    # every entry from user mode, and every way back
    _instruction("SWAPGS", "swapgs; swapgs", "0f 01 f8 0f 01 f8"),
    # looks for the FPU
    _instruction("FNSTSW", "fninit; fnstsw %ax", "db e3 df e0"),
    # checksums and cryptography
    _instruction("PXOR", "pxor %xmm0, %xmm0", "66 0f ef c0"),
    # the slab allocator
    _instruction("CMPXCHG16B", "lock cmpxchg16b (%rsi)", "f0 48 0f c7 0e", (1, ECX, 13)),
    # bitmaps
    _instruction("POPCNT", "popcnt %rax, %rax", "f3 48 0f b8 c0", (1, ECX, 23)),
    _instruction("XGETBV", "xor %ecx, %ecx; xgetbv", "31 c9 0f 01 d0", (1, ECX, 26)),
    # every switch from one task to another
    _instruction(
        "XSAVE",
        "mov $3, %eax; xor %edx, %edx; xsave64 (%rsi); xrstor64 (%rsi)",
        "b8 03 00 00 00 31 d2 48 0f ae 26 48 0f ae 2e",
        (1, ECX, 26),
    ),
    # every access to user memory
    _instruction("STAC", "stac; clac", "0f 01 cb 0f 01 ca", (7, EBX, 20)),
    _instruction("CLFLUSHOPT", "clflushopt (%rsi)", "66 0f ae 3e", (7, EBX, 23)),
    _instruction(
        "INVPCID",
        "mov $2, %eax; invpcid (%rsi), %rax",
        "b8 02 00 00 00 66 0f 38 82 06",
        (7, EBX, 10),
    ),
    _instruction("RDTSCP", "rdtscp", "0f 01 f9", (0x80000001, EDX, 27)),
)

ABILITIES = (
    Step(
        can="return from an interrupt",
        source="sti; nop; nop; nop; nop",
        code=bytes.fromhex("fb 90 90 90 90") + HLT,
        interrupt=True,
    ),
    Step(
        can="enter user mode and come back by a system call",
        # push USER_DS, stack, RFLAGS, USER_CS and the address behind IRETQ
        source="push $0x33; push $0x7f00; push $2; push $0x3b; push $0x5112; iretq; syscall",
        code=bytes.fromhex("6a 33 68 00 7f 00 00 6a 02 6a 3b 68 12 51 00 00 48 cf 0f 05") + HLT,
        end=FROM_USER,
    ),
)


def image() -> bytes:
    """The probe's memory with everything but a step's code: tables, descriptors, handlers."""
    memory = bytearray(SIZE)

    def put(address: int, *values: int) -> None:
        for place, value in enumerate(values):
            memory[address + 8 * place : address + 8 * place + 8] = value.to_bytes(8, "little")

    put(PML4, PDPT | 7)  # present, writable, user
    put(PDPT, PD | 7)
    put(PD, 0x87)  # one page of 2 MiB
    put(GDT, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x0000890000000067 | SCRATCH << 16, 0)
    put(GDT + USER_BASE + 8, 0x00CFF3000000FFFF, 0x00AFFB000000FFFF)
    for vector in range(256):
        handler = RETURN if vector in (VECTOR_BREAKPOINT, VECTOR_INTERRUPT) else FAULT
        put(IDT + 16 * vector, handler & 0xFFFF | CS << 16 | 0x8E00 << 32, 0)
    for address, code in ((FAULT, HLT), (RETURN, IRETQ), (FROM_USER, HLT)):
        memory[address : address + len(code)] = code
    return bytes(memory)
