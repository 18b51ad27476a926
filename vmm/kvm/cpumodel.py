"""Which features a CPUID table shows: --cpu's base, +f and -f applied to what KVM supports."""

from __future__ import annotations

from vmm.errors import ConfigError
from vmm.kvm import features
from vmm.kvm.features import EAX, EBX, ECX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmm.kvm.cpuid import Rows
    from vmm.kvm.features import Feature
    from vmm.values import CpuConfig

EXTENDED_BASE = 0x80000000
LINEAR_48, LINEAR_57 = 48, 57  # bits of a linear address: leaf 0x80000008 EAX[15:8]

# `--cpu none`: leaves that stay, and the signature shown in leaf 1: a K8 for AMD's name, a Core 2
# for others, so that no kernel looks for the model-specific registers of a processor it is not.
BASELINE_LEAVES = {
    0, 1, 2, 4, 7, 0xB, 0xD, 0x1F, 0x40000000, 0x40000001, 0x40000010,
    0x80000000, 0x80000001, *range(0x80000005, 0x80000009), 0x8000001D, 0x8000001E, 0x80000021,
}  # fmt: skip
SIGNATURE_K8, SIGNATURE_CORE2 = 0x00060FB1, 0x000006FB


def _has(rows: Rows, feature: Feature) -> bool:
    row = rows.get(feature[:2])
    return row is not None and bool(row[feature[2]] >> feature[3] & 1)


def choose(rows: Rows, cpu: CpuConfig, *, amd: bool) -> None:
    """Applies base, +f and -f; whatever needs a feature that is gone goes too.

    `amd`: which vendor's conventions the table follows. ConfigError lists every unknown feature and
    every added one that `rows` lacks or whose needed feature is taken away.
    """
    known = features.table()
    problems: list[str] = []
    add = _named(cpu.add, "+", known, problems)
    remove = _named(cpu.remove, "-", known, problems)
    for typed, names in add.items():
        if not any(_has(rows, known[name]) for name in names):
            problems.append(f"--cpu +{typed}: KVM on this host does not offer it; leave it out")
    if problems:
        raise ConfigError(*problems)
    wanted = {name for names in add.values() for name in names}
    gone = {name for names in remove.values() for name in names}
    if cpu.base == "none":
        kept = {*features.BASELINE.split(), *wanted}
        gone |= {name for name in known if name not in kept and not name.startswith("kvm_")}
    for name in gone:
        _clear(rows, known[name])
    for name, needed in features.NEEDS.items():
        if _has(rows, known[name]) and not _has(rows, known[needed]):
            if name in wanted:
                problems.append(f"--cpu +{name} needs {needed}; add +{needed}")
            _clear(rows, known[name])
    if problems:
        raise ConfigError(*problems)
    _follow(rows, known)
    if cpu.base == "none":
        _cut_to_baseline(rows, amd=amd)


def _named(
    typed: Iterable[str], sign: str, known: dict[str, Feature], problems: list[str]
) -> dict[str, tuple[str, ...]]:
    """What each typed name stands for; unknown ones become problems."""
    found: dict[str, tuple[str, ...]] = {}
    for name in typed:
        found[name] = features.resolve(name, known)
        if not found[name]:
            near = features.nearest(name, known)
            advice = f"; did you mean {near}?" if near else "; /proc/cpuinfo has the names"
            problems.append(f"--cpu {sign}{name}: there is no CPU feature {name}{advice}")
    return {name: names for name, names in found.items() if names}


def _clear(rows: Rows, feature: Feature) -> None:
    row = rows.get(feature[:2])
    if row is not None:
        row[feature[2]] &= ~(1 << feature[3])


def _follow(rows: Rows, known: dict[str, Feature]) -> None:
    """Takes away what belonged to features that are gone: leaves, state components, widths."""
    for function, name in features.LEAVES.items():
        if not _has(rows, known[name]):
            for key in [key for key in rows if key[0] == function]:
                del rows[key]
    sizes = rows.get((0x80000008, 0))
    if sizes is not None and not _has(rows, known["la57"]) and sizes[EAX] >> 8 & 0xFF == LINEAR_57:
        sizes[EAX] += LINEAR_48 - LINEAR_57 << 8
    if (0xD, 0) not in rows:
        return
    if not _has(rows, known["xsave"]):
        for key in [key for key in rows if key[0] == 0xD]:
            del rows[key]
        return
    main = rows[0xD, 0]
    for bit, name in features.XSTATE.items():
        if not _has(rows, known[name]):
            main[EAX] &= ~(1 << bit)
            rows.pop((0xD, bit), None)
    ends = [row[EAX] + row[EBX] for (leaf, index), row in rows.items() if leaf == 0xD and index > 1]
    main[ECX] = max([0x240, *ends])  # legacy area and header; KVM keeps EBX up to date itself


def _cut_to_baseline(rows: Rows, *, amd: bool) -> None:
    for key in [key for key in rows if key[0] not in BASELINE_LEAVES]:
        del rows[key]
    signature = SIGNATURE_K8 if amd else SIGNATURE_CORE2
    rows[1, 0][EAX] = signature
    if (0x80000001, 0) in rows:
        rows[0x80000001, 0][EAX : EBX + 1] = [signature if amd else 0, 0]
    for base in (0, EXTENDED_BASE):
        if (base, 0) in rows:
            used = [key[0] - base for key, row in rows.items() if any(row[EAX:])]
            last = base + max(leaf for leaf in used if 0 <= leaf < 0x10000)
            rows[base, 0][EAX] = min(rows[base, 0][EAX], last)
