"""File systems of another machine that come through a PCI function: virtio's 9p and virtiofs.

A guest that hands functions on to guests of its own often lives on one.
"""

from __future__ import annotations

import os

from vmm.host.survey import at, read
from vmm.vfio.sysfs import DEVICES
from vmm.vfio.usage import ROOTS, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VIRTIOFS = "/sys/fs/virtiofs"  # Linux 6.9 and newer


def shares(address: str, root: str = "/") -> Iterator[Use]:
    """Those that are mounted, by the tags of the function at `address`."""
    tags = _tags(address, root)
    for line in read(root, "/proc/self/mountinfo").splitlines() if tags else ():
        head, _, tail = line.partition(" - ")
        words, (kind, source) = head.split(), [*map(_plain, tail.split()), "", ""][:2]
        if (kind, source) in tags and len(words) > 4:
            place, vital = words[4], words[4] in ROOTS
            what = f"the {kind} share {source} is mounted at {place}"
            mend = "run the host from elsewhere" if vital else f"umount {place}"
            yield Use(what=what, mend=mend, vital=vital)


def _tags(address: str, root: str) -> set[tuple[str, str]]:
    """(kind of file system, tag) of what the function offers."""
    folder = f"{DEVICES}/{address}"
    parts = [name for name in _names(folder, root) if name.startswith("virtio")]
    found = {("9p", read(root, f"{folder}/{part}/mount_tag").strip("\0")) for part in parts}
    for number in _names(VIRTIOFS, root):
        if f"/{address}/" in f"{os.path.realpath(at(root, f'{VIRTIOFS}/{number}/device'))}/":
            found.add(("virtiofs", read(root, f"{VIRTIOFS}/{number}/tag")))
    return {(kind, tag) for kind, tag in found if tag}


def _plain(word: str) -> str:
    """Spaces and the like are octal numbers there."""
    for octal in ("040", "011", "012", "134"):  # the backslash last
        word = word.replace(f"\\{octal}", chr(int(octal, 8)))
    return word


def _names(path: str, root: str) -> list[str]:
    try:
        return sorted(os.listdir(at(root, path)))
    except OSError:
        return []
