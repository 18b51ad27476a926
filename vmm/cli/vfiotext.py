"""What `vmm vfio` prints for people, and the dictionaries it prints for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vmm.record import as_dict
from vmm.texts import write_size
from vmm.vfio.check import BROKEN, IN_USE, NOTE, VITAL, Reason
from vmm.vfio.sysfs import ROM_LINE, Bar, Function, harmless

MARKS = {BROKEN: "!", IN_USE: "-", VITAL: "!", NOTE: "~"}
WORDS = {IN_USE: "in use: ", VITAL: "the host needs it: "}


def as_dictionary(one: Function) -> dict[str, Any]:
    """A function for JSON: the record's fields and what follows from them."""
    return {
        **as_dict(one),
        "vendor": f"{one.vendor:#06x}",
        "device": f"{one.device:#06x}",
        "class_code": f"{one.class_code:#08x}",
        "kind": one.kind,
        "harmless": harmless(one),
        "bars": [as_dict(bar) for bar in one.bars],
    }


def as_tree(found: Sequence[Function]) -> str:
    """A block for each IOMMU group, a line for each function."""
    groups: dict[int | None, list[Function]] = {}
    for one in found:
        groups.setdefault(one.group, []).append(one)
    lines: list[str] = []
    for group in sorted(groups, key=lambda number: (number is None, number or 0)):
        members = groups[group]
        lines += [_heading(group, members), *_branches(members)]
    return "\n".join(lines) + "\n" if lines else "There are no PCI functions.\n"


def _heading(group: int | None, members: Sequence[Function]) -> str:
    if group is None:
        return "without an IOMMU group: not usable"
    if all(one.bridge for one in members):
        return f"group {group}: a bridge"
    blockers = [one for one in members if not harmless(one)]
    if not blockers:
        return f"group {group}: usable"
    return f"group {group}: held by {', '.join(one.driver for one in blockers)}"


def _branches(members: Sequence[Function]) -> Iterator[str]:
    for one in members:
        branch = "└─" if one is members[-1] else "├─"
        reset = ",".join(one.reset_methods) or "none"
        bars = " ".join(_bar(bar) for bar in one.bars)
        yield (
            f"  {branch} {one.address}  {one.ids}  {one.kind:<14}  {one.driver or '-':<12}  "
            f"reset {reset}  {bars}"
        ).rstrip()


def _bar(bar: Bar) -> str:
    name = "ROM" if bar.index == ROM_LINE else f"BAR{bar.index}"
    return f"{name} {write_size(bar.size)}{' ports' if bar.io else ''}"


def reasons_text(picked: Sequence[Function], reasons: Sequence[Reason]) -> str:
    """A block for each function: what is wrong with it, and below what mends that."""
    lines: list[str] = []
    for one in picked:
        mine = [reason for reason in reasons if reason.address == one.address]
        good = all(reason.level == NOTE for reason in mine)
        verdict = "can be used" if good else "cannot be used"
        lines.append(f"{one.address} ({one.ids}, {one.kind}) {verdict}")
        for reason in mine:
            lines.append(f"  {MARKS[reason.level]} {WORDS.get(reason.level, '')}{reason.what}")
            if reason.mend:
                lines.append(f"      mend: {reason.mend}")
    return "\n".join(lines) + "\n"
