"""The kernel command line as bytes in guest memory."""

from __future__ import annotations

from vmm import layout
from vmm.boot.loader import Loader
from vmm.errors import BootError


def encode(text: str, limit: int) -> bytes:
    """`text` with its NUL; at most `limit` bytes before it, and what the memory map has room for"""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BootError("the kernel command line holds characters that are not text") from None
    if b"\0" in data:
        raise BootError("the kernel command line holds a NUL character, which would end it there")
    limit = min(limit, layout.CMDLINE_MAX - 1)
    if len(data) > limit:
        raise BootError(
            f"the kernel command line has {len(data)} bytes, this kernel takes {limit}; shorten it"
        )
    return data + b"\0"


def place(loader: Loader, text: str, limit: int) -> int:
    """Write the command line at its fixed place and return its address."""
    loader.put("command line", layout.CMDLINE, encode(text, limit))
    return layout.CMDLINE
