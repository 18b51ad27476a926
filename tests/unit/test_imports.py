"""Imports point one way: every arrow between modules of vmm/, wherever it stands, is checked.

An import counts whether it stands at the top of a module, inside a function or under TYPE_CHECKING:
what a module names, it depends on. Adding a module or a package means giving it a layer here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TOP = Path(__file__).resolve().parents[2]

# Lowest first. A unit is a module or a package directly in vmm/; it may import lower units only.
LAYERS = (
    "errors record closing threads bundle",
    "layout options outcome sentences",
    "texts values argv check tomlfile config consoleconfig portconfig consoleplan pciplan "
    "deviceconfig netconfig kindtable kinds",
    "native log stats trace",
    "host",
    "kvm hugepages",
    "region",
    "memory bus irq loop doorbell",
    "coalesce alarm",
    "backends",
    "context",
    "cdevice",
    "pci",
    "virtio",
    "extend xen",
    "devices",
    "vfio",
    "boot",
    "schedule gate vcpu crash mailbox events bootplan guestcpuid hardware plugging twins ports "
    "lifecycle inspection machine",
    "control lab",
    "cli",
    "__main__",
)
# Layers whose units are one subject in several files and may import one another, without a circle.
CONNECTED = {
    "texts values argv check tomlfile config consoleconfig portconfig consoleplan pciplan "
    "deviceconfig netconfig kindtable kinds",
    "schedule gate vcpu crash mailbox events bootplan guestcpuid hardware plugging twins ports "
    "lifecycle inspection machine",
}
# Narrower than the layers: all that these units may import of vmm.
ONLY = {
    "boot": {"errors", "record", "layout", "memory", "kvm.regs"},
    "pci": {
        "errors", "threads", "record", "layout", "values", "native", "log", "bus", "irq", "loop",
        "doorbell", "context", "cdevice", "deviceconfig", "kinds",
    },
    "virtio": {
        "errors", "threads", "record", "layout", "values", "native", "log", "bus", "irq", "loop",
        "doorbell", "memory", "backends", "context", "cdevice", "pci", "deviceconfig", "portconfig",
        "consoleconfig", "consoleplan", "kinds",
    },
    "vfio": {
        "errors", "record", "closing", "layout", "texts", "native", "log", "host", "region",
        "memory", "context", "cdevice", "pci", "deviceconfig",
    },
    "devices": {
        "errors", "record", "closing", "layout", "values", "native", "log", "bus", "irq", "loop",
        "coalesce", "backends", "doorbell", "context", "cdevice", "pci", "pciplan", "deviceconfig",
        "kinds", "consoleconfig",
    },
}  # fmt: skip

# What costs more than a share of a machine's start, or pulls in something that does.
HEAVY = {
    "argparse", "asyncio", "cffi", "click", "collections", "concurrent", "contextlib",
    "dataclasses", "difflib", "enum", "functools", "hashlib", "inspect", "json", "logging",
    "pathlib", "pyroute2", "re", "select", "selectors", "shutil", "signal", "socket", "structlog",
    "subprocess", "tempfile", "threading", "tomllib", "traceback", "typing",
}  # fmt: skip
# Beside everything below `control`, `vmm boot` runs these; of `host` it needs the terminal only.
BOOT_PATH = {
    "", "__main__", "cli", "cli.boot", "control", "control.run", "control.signals",
    "control.escape", "control.ending", "host", "host.tty",
}  # fmt: skip
# Imports by computed name: public names, click's commands, kinds of devices; loaded when used.
DYNAMIC = {"", "cli.main", "kindtable"}


class Import(NamedTuple):
    """`source` imports `target` on `line`; `place` is "module", "function" or "types"."""

    source: str
    target: str
    line: int
    place: str


class Finder(ast.NodeVisitor):
    """Collects all imports of one module with the place they stand in."""

    def __init__(self, source: str, known: frozenset[str]) -> None:
        self.source, self.known = source, known
        self.place = "module"
        self.found: list[Import] = []

    def _add(self, name: str, line: int) -> None:
        self.found.append(Import(self.source, name, line, self.place))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"vmm/{self.source}:{node.lineno}: relative imports hide their aim"
        assert node.module is not None
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner != "vmm.__version__":  # text, not a module
                self._add(inner if inner in self.known else node.module, node.lineno)

    def _visit_in(self, place: str, nodes: Iterable[ast.AST]) -> None:
        before = self.place
        self.place = place if before == "module" else before
        for node in nodes:
            self.visit(node)
        self.place = before

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_in("function", node.body)

    def visit_If(self, node: ast.If) -> None:
        types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self._visit_in("types" if types else self.place, node.body)
        self._visit_in(self.place, node.orelse)


def module_names() -> dict[str, Path]:
    """Every module of vmm/ by its dotted name inside vmm; the package itself is ""."""
    names = {}
    for path in sorted((TOP / "vmm").rglob("*.py")):
        parts = path.relative_to(TOP / "vmm").with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@cache
def imports() -> tuple[Import, ...]:
    """Every import in vmm/."""
    names = module_names()
    known = frozenset(f"vmm.{name}" for name in (*names, "_native"))
    found: list[Import] = []
    for name, path in names.items():
        finder = Finder(name, known)
        finder.visit(ast.parse(path.read_text(), str(path)))
        found += finder.found
    return tuple(found)


def own_arrows() -> Iterator[tuple[Import, str]]:
    """Imports of modules of vmm, each with the target's name inside vmm."""
    for arrow in imports():
        if arrow.target == "vmm" or arrow.target.startswith("vmm."):
            yield arrow, arrow.target.removeprefix("vmm").removeprefix(".")


def unit(name: str) -> str:
    return name.partition(".")[0]


def layer_of(name: str) -> int:
    return next(index for index, units in enumerate(LAYERS) if unit(name) in units.split())


def test_every_module_has_its_layer() -> None:
    placed = [name for units in LAYERS for name in units.split()]

    assert sorted(placed) == sorted({unit(name) for name in module_names()} - {""})


def test_arrows_between_units_point_down() -> None:
    wrong = []
    for arrow, target in own_arrows():
        if not arrow.source or target == "_native" or unit(arrow.source) == unit(target):
            continue
        above, below = layer_of(arrow.source), layer_of(target) if target else -1
        sideways = above == below and LAYERS[above] in CONNECTED
        if not (target and (below < above or sideways)):
            wrong.append(f"{arrow.source}:{arrow.line} imports {arrow.target}")

    assert wrong == []


def test_run_time_imports_make_no_circle() -> None:
    arrows: dict[str, set[str]] = {name: set() for name in module_names()}
    for arrow, target in own_arrows():
        if arrow.place != "types" and arrow.source and target in arrows:
            arrows[arrow.source].add(target)

    leaves = {name for name, targets in arrows.items() if not targets}
    while leaves:
        arrows = {name: targets - leaves for name, targets in arrows.items() if name not in leaves}
        leaves = {name for name, targets in arrows.items() if not targets}

    assert arrows == {}


@pytest.mark.parametrize("narrow", ONLY)
def test_narrow_units_import_only_what_they_may(narrow: str) -> None:
    allowed = ONLY[narrow] | {narrow}
    wrong = [
        f"{arrow.source}:{arrow.line} imports {arrow.target}"
        for arrow, target in own_arrows()
        if unit(arrow.source) == narrow and not {target, unit(target)} & allowed
    ]

    assert wrong == []


def test_only_native_imports_the_extension() -> None:
    assert {arrow.source for arrow, target in own_arrows() if target == "_native"} == {"native"}


def test_other_imports_by_computed_name_do_not_exist() -> None:
    users = set()
    for name, path in module_names().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name) and node.id in ("__import__", "import_module"):
                users.add(name)

    assert users == DYNAMIC


def test_boot_path_imports_nothing_heavy_at_module_level() -> None:
    below_control = layer_of("control")
    wrong = [
        f"{arrow.source}:{arrow.line} imports {arrow.target}"
        for arrow in imports()
        if arrow.place == "module"
        and arrow.target.partition(".")[0] in HEAVY
        and (
            arrow.source in BOOT_PATH
            or (unit(arrow.source) not in ("", "host") and layer_of(arrow.source) < below_control)
        )
    ]

    assert wrong == []


def test_third_party_packages_are_the_declared_ones() -> None:
    declared = {"cffi", "click", "structlog", "pyroute2", "zstandard", "lz4"}
    plugin = "vfio.fixture"  # of pytest, which imports it
    used = {
        arrow.target.partition(".")[0]
        for arrow in imports()
        if (arrow.source, arrow.target) != (plugin, "pytest")
    }

    assert used - sys.stdlib_module_names - {"vmm"} <= declared
