"""Comparison with reviewed text files. `VMM_GOLDEN=refresh` (make golden) rewrites them instead."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def check(name: str, text: str) -> None:
    """Compare `text` with the golden file `name`; a difference shows as pytest's text diff."""
    path = DATA / name
    if os.environ.get("VMM_GOLDEN") == "refresh":
        DATA.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path} does not exist; `make golden` makes it, then review it"
    assert text.splitlines() == path.read_text().splitlines(), (
        f"{name} changed; if that is meant, run `make golden` and review the difference"
    )


def hexdump(data: bytes) -> str:
    """16 bytes a line, with offsets."""
    lines = [f"{at:04x}: {data[at : at + 16].hex(' ')}" for at in range(0, len(data), 16)]
    return "\n".join(lines) + "\n"
