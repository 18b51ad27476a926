"""Inputs worth keeping: tests/fuzz/corpus/TARGET.zip, the least of them that reach what all reach.

They are unpacked beside what earlier runs here have found, in build/fuzz/corpus/TARGET, where
libFuzzer adds to them.
"""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

KEPT = Path(__file__).resolve().parent / "corpus"
DATE = (1980, 1, 1, 0, 0, 0)  # the same inputs make the same archive
LONGEST = 1024


def unpack(target: str, folder: Path) -> None:
    """Puts the kept inputs of a target into `folder`, if there are some."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = KEPT / f"{target}.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)


def keep(target: str, binary: Path, folder: Path, scratch: Path) -> int:
    """Packs the smallest choice of `folder` that reaches as much; how many inputs that are."""
    scratch.mkdir(parents=True)
    command = [str(binary), "-set_cover_merge=1", f"-max_len={LONGEST}", str(scratch), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    names = sorted(scratch.iterdir())
    KEPT.mkdir(exist_ok=True)
    with zipfile.ZipFile(KEPT / f"{target}.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in names:
            file.writestr(zipfile.ZipInfo(path.name, DATE), path.read_bytes())
    return len(names)
