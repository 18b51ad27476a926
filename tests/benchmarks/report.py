"""Results as a table: medians, ratios to the reference of each suite, and how two files differ."""

from __future__ import annotations

from tests.benchmarks.results import Measures

# What stands for 1.00, by suite.
REFERENCES = {
    "exits": "raw",
    "startup": "qemu microvm",
    "boot": "qemu microvm",
    "reasons": "qemu microvm",
    "serial": "qemu microvm",
    "devices": "qemu pc",
    "hvc": "qemu pc",
    "disk": "qemu pc",
    "net": "qemu pc",
    "vfio": "qemu pc",
    "xen": "qemu pc",
    "host-startup": "qemu pc",
    "host-exits": "raw",
}


def ratio(measures: Measures, name: str) -> float | None:
    """The median of `name` over that of its suite's reference for the same operation."""
    suite, _, rest = name.partition("/")
    operation, slash, _subject = rest.rpartition("/")
    reference = measures.get(f"{suite}/{operation}{slash}{REFERENCES.get(suite, '')}")
    value = measures.get(name)
    return value / reference if value is not None and reference else None


def table(measures: Measures, old: Measures | None = None) -> str:
    """One line for each name; with `old` a last column tells the change against it."""
    lines = [f"{'measured':<44} {'median':>16} {'spread':>8} {'ratio':>7}"]
    for name in measures.samples:
        value, by = measures.get(name), ratio(measures, name)
        ratio_text = f"{by:.3f}" if by is not None else ""
        line = f"{name:<44} {value:>16,.6g} {measures.spread(name):>8.2%} {ratio_text:>7}"
        before = old.get(name) if old is not None else None
        if before and value is not None:
            line += f" {value / before - 1:>+8.2%}"
        lines.append(line)
    return "\n".join(lines)
