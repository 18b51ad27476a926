"""A small AML builder: each function returns the bytes of one term (ACPI 6.5, chapter 20).

Terms nest by passing bytes on: `device("PWRB", name("_HID", eisa_id("PNP0C0C")))`. Names are
paths such as "_CRS", "\\_SB.PCI0" or "^EVTS"; integers are encoded in their shortest form.
Resource descriptors are in `vmm.boot.resources`.
"""

from __future__ import annotations

ZERO, ONE, ONES = b"\x00", b"\x01", b"\xff"
ROOT, PARENT = "\\", "^"
ANY_ACCESS, BYTE_ACCESS, WORD_ACCESS, DWORD_ACCESS = range(4)
SYSTEM_MEMORY, SYSTEM_IO, PCI_CONFIG = range(3)
NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")  # of which names are made
_MANY = {0: "\0", 1: "", 2: "\x2e"}  # what stands before a name of so many segments


def name_string(path: str) -> bytes:
    """NameString (20.2.2): prefix characters, then one, two or many four-character segments."""
    if len(path) == 4 and path.isascii() and path.isupper() and path.isidentifier():
        return path.encode("ascii")  # most are a whole segment and need none of what follows
    rest = path.lstrip("\\^")
    segments = [part for part in rest.split(".") if part]
    for part in segments:
        if len(part) > 4 or part[0].isdigit() or not NAME.issuperset(part):
            raise ValueError(f"{path!r} is not an ACPI name")
    prefix = path[: len(path) - len(rest)] + _MANY.get(len(segments), f"\x2f{chr(len(segments))}")
    return (prefix + "".join([part.ljust(4, "_") for part in segments])).encode("ascii")


def with_length(body: bytes) -> bytes:
    """PkgLength (20.2.4), which counts itself, followed by `body`."""
    if len(body) < 0x3F:
        return bytes((len(body) + 1,)) + body
    for extra, limit in ((1, 0xFFF), (2, 0xF_FFFF), (3, 0xFFF_FFFF)):
        total = len(body) + 1 + extra
        if total <= limit:
            head = bytes([extra << 6 | total & 0xF])
            return head + (total >> 4).to_bytes(extra, "little") + body
    raise ValueError(f"{len(body)} bytes do not fit into an AML package")


def integer(value: int) -> bytes:
    """ConstObj or the shortest of ByteConst to QWordConst; `value` is unsigned 64-bit."""
    if value < 2:
        return ONE if value else ZERO
    if value < 0x100:
        return bytes((0x0A, value))
    if value == (1 << 64) - 1:
        return ONES
    for prefix, size in ((b"\x0b", 2), (b"\x0c", 4), (b"\x0e", 8)):
        if value < 1 << 8 * size:
            return prefix + value.to_bytes(size, "little")
    raise ValueError(f"{value:#x} does not fit into 64 bits")


def string(text: str) -> bytes:
    return b"\x0d" + text.encode("ascii") + b"\0"


def eisa_id(text: str) -> bytes:
    """A seven-character EISA id such as PNP0501, compressed to an integer (19.6.37)."""
    a, b, c = (ord(letter) - 0x40 for letter in text[:3])
    packed = (a << 26 | b << 21 | c << 16 | int(text[3:], 16)).to_bytes(4, "big")
    return integer(int.from_bytes(packed, "little"))


def buffer(data: bytes) -> bytes:
    return b"\x11" + with_length(integer(len(data)) + data)


def package(*items: bytes) -> bytes:
    if len(items) > 255:
        raise ValueError(f"a package holds 255 items at most, not {len(items)}")
    return b"\x12" + with_length(bytes([len(items)]) + b"".join(items))


def name(path: str, value: bytes) -> bytes:
    return b"\x08" + name_string(path) + value


def scope(path: str, *body: bytes) -> bytes:
    return b"\x10" + with_length(name_string(path) + b"".join(body))


def device(path: str, *body: bytes) -> bytes:
    return b"\x5b\x82" + with_length(name_string(path) + b"".join(body))


def method(path: str, arguments: int, *body: bytes, serialized: bool = False) -> bytes:
    flags = arguments | serialized << 3
    return b"\x14" + with_length(name_string(path) + bytes([flags]) + b"".join(body))


def region(path: str, space: int, offset: int, length: int) -> bytes:
    return b"\x5b\x80" + name_string(path) + bytes([space]) + integer(offset) + integer(length)


def field(region_path: str, access: int, *units: tuple[str, int]) -> bytes:
    """Field units as (name, bits); an empty name skips bits. No lock; other bits are preserved."""
    body = b"".join(
        (unit.ljust(4, "_").encode("ascii") if unit else b"\0") + _field_bits(bits)
        for unit, bits in units
    )
    return b"\x5b\x81" + with_length(name_string(region_path) + bytes([access]) + body)


def _field_bits(bits: int) -> bytes:
    """A field's bit count: PkgLength encoding, which here does not count itself."""
    if bits <= 0x3F:
        return bytes([bits])
    return bytes([0x40 | bits & 0xF, bits >> 4])


def create_dword_field(source: bytes, offset: int, path: str) -> bytes:
    """`path` names the 32 bits at byte `offset` of the buffer `source`."""
    return b"\x8a" + source + integer(offset) + name_string(path)


def mutex(path: str) -> bytes:
    return b"\x5b\x01" + name_string(path) + b"\0"


def acquire(path: str) -> bytes:
    """Wait for a mutex without a time-out."""
    return b"\x5b\x23" + name_string(path) + b"\xff\xff"


def release(path: str) -> bytes:
    return b"\x5b\x27" + name_string(path)


def local(number: int) -> bytes:
    return bytes([0x60 + number])


def arg(number: int) -> bytes:
    return bytes([0x68 + number])


def path(text: str) -> bytes:
    """A named object as an operand or target."""
    return name_string(text)


def call(method_path: str, *arguments: bytes) -> bytes:
    return name_string(method_path) + b"".join(arguments)


def store(value: bytes, target: bytes) -> bytes:
    return b"\x70" + value + target


def add(a: bytes, b: bytes, target: bytes = ZERO) -> bytes:
    return b"\x72" + a + b + target


def and_(a: bytes, b: bytes, target: bytes = ZERO) -> bytes:
    return b"\x7b" + a + b + target


def or_(a: bytes, b: bytes, target: bytes = ZERO) -> bytes:
    return b"\x7d" + a + b + target


def shift_left(a: bytes, count: bytes, target: bytes = ZERO) -> bytes:
    return b"\x79" + a + count + target


def increment(target: bytes) -> bytes:
    return b"\x75" + target


def not_(value: bytes) -> bytes:
    return b"\x92" + value


def equal(a: bytes, b: bytes) -> bytes:
    return b"\x93" + a + b


def less(a: bytes, b: bytes) -> bytes:
    return b"\x95" + a + b


def if_(condition: bytes, *body: bytes) -> bytes:
    return b"\xa0" + with_length(condition + b"".join(body))


def else_(*body: bytes) -> bytes:
    """Goes directly behind an `if_`."""
    return b"\xa1" + with_length(b"".join(body))


def while_(condition: bytes, *body: bytes) -> bytes:
    return b"\xa2" + with_length(condition + b"".join(body))


def notify(object_path: str, value: int) -> bytes:
    return b"\x86" + name_string(object_path) + integer(value)


def return_(value: bytes) -> bytes:
    return b"\xa4" + value
