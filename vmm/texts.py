"""Plain values as users type them: counts, sizes, times, texts, paths.

Every `read_*` raises ValueError with the end of a sentence that starts with an option's name
("--mem " + "wants a size such as 512M, not 'x'").
"""

from __future__ import annotations

TEXT_MAX = 1 << 16  # bytes of one value; the longest sensible one is a kernel command line
NUMBER_MAX = 24  # characters of a number: 2^64 in decimal has 20
UNITS = {"B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def read_count(text: str) -> int:
    """A number, decimal or 0x."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    base = 10 if digits is text else 16
    if not digits or len(digits) > NUMBER_MAX or not digits.isalnum() or not digits.isascii():
        raise ValueError(f"wants a number, not {text!r}")
    try:
        return int(digits, base)
    except ValueError:
        raise ValueError(f"wants a number, not {text!r}") from None


def read_size(text: str) -> int:
    """Bytes. A bare decimal number counts MiB as in other tools, 0x... counts bytes."""
    body = text.removesuffix("iB").removesuffix("ib")
    shift = UNITS.get(body[-1:].upper())
    try:
        if text[:2] in ("0x", "0X"):
            return read_count(text)
        if body is not text and shift in (None, 0):
            raise ValueError(text)
        if shift is None:
            return read_count(body) << UNITS["M"]
        return read_count(body[:-1]) << shift
    except ValueError:
        raise ValueError(f"wants a size such as 512M, 6G or 0x20000000, not {text!r}") from None


def write_size(size: int) -> str:
    """The shortest exact spelling of `size` bytes that `read_size` accepts."""
    for unit in ("T", "G", "M", "K"):
        if size and size % (1 << UNITS[unit]) == 0:
            return f"{size >> UNITS[unit]}{unit}"
    return f"{size}B"


def read_seconds(text: str) -> float:
    """Seconds, with s, m or h as unit."""
    unit = TIME_UNITS.get(text[-1:])
    digits = text[:-1] if unit else text
    whole, _, part = digits.partition(".")
    if len(digits) > NUMBER_MAX or not digits.isascii() or not (whole + part).isdigit():
        raise ValueError(f"wants seconds such as 30, 1.5, 2m or 1h, not {text!r}")
    return float(digits) * (unit or 1.0)


def read_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("cannot hold a NUL character")
    if len(text) > TEXT_MAX:
        raise ValueError(f"is {len(text)} characters long; the limit is {TEXT_MAX}")
    return text


def read_path(text: str) -> str:
    if not text:
        raise ValueError("wants a file name, not an empty text")
    if len(text) > 4095:  # PATH_MAX with its terminator
        raise ValueError("is longer than a path can be (4095 characters)")
    return read_text(text)


def listing(words: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else words[0]


def twice(words: list[str]) -> list[str]:
    """Those that are there more than once."""
    return [word for word in dict.fromkeys(words) if words.count(word) > 1]
