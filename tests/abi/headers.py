"""Programs that print what a set of kernel headers says: constants, sizes and offsets by name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from cffi import model
from cffi.cparser import Parser

from cffi_build.build import HERE
from vmm.lab.kernel import kernel

UAPI = ("kvm", "xen", "vfio", "iommufd", "vhost")  # the cdef topics that speak of the kernel
INCLUDES = ("linux/kvm.h", "linux/vfio.h", "linux/vhost.h")  # what every supported release has
ADDED = ("linux/iommufd.h",)
COMPAT = sorted(HERE.glob("compat*.h"))
KERNEL_TYPES = """
typedef uint8_t __u8; typedef uint16_t __u16; typedef uint32_t __u32; typedef uint64_t __u64;
typedef int32_t __s32; typedef uint64_t __aligned_u64;
"""
# Prelude's own views of kernel structures; no header has them.
OURS = {"ioapic_view"}


@cache
def newest() -> str:
    """The include folder of the newest headers there are: those of the lab's kernel."""
    return str(kernel().headers)


def cdef_names() -> tuple[set[str], dict[str, list[str]]]:
    """Constants and structures (with their fields) of the uapi topics."""
    source = "\n".join((HERE / "cdef" / f"{topic}.h").read_text() for topic in UAPI)
    return parsed(source)


def compat_names() -> tuple[set[str], dict[str, list[str]]]:
    """What compat.h and its parts define."""
    text = "\n".join(path.read_text() for path in COMPAT)
    aliases = set(re.findall(r"^#define (\w+) vmm_\1$", text, re.M))
    constants = set(re.findall(r"^#define (\w+) \S", text, re.M)) - aliases
    blocks = re.findall(r"^(?:struct \w+|enum) \{.*?^\};", text, re.M | re.S)
    enumerators, structs = parsed(KERNEL_TYPES + "\n".join(blocks))
    return constants | enumerators, structs


def parsed(source: str) -> tuple[set[str], dict[str, list[str]]]:
    parser = Parser()
    parser.parse(source)
    constants, structs = set(parser._int_constants), {}
    for key, (ctype, _quals) in parser._declarations.items():
        kind, _, name = key.partition(" ")
        if kind == "macro":
            constants.add(name)
        elif kind == "struct" and name not in OURS and not name.startswith("$") and ctype.fldnames:
            structs[name] = list(paths(ctype))
    return constants, structs


def paths(ctype: model.StructOrUnion, prefix: str = "") -> Iterator[str]:
    """Every field, those of unnamed inner structures by their path."""
    for name, inner in zip(ctype.fldnames, ctype.fldtypes, strict=True):
        path = f"{prefix}{name}" if name else prefix.rstrip(".")
        if name:
            yield path
        if isinstance(inner, model.StructOrUnion) and inner.name.startswith("$"):
            yield from paths(inner, f"{path}." if path else "")


def program(includes: Sequence[str], constants: set[str], structs: dict[str, list[str]]) -> str:
    lines = ["#include <stddef.h>", "#include <stdio.h>"]
    lines += [f"#include {include}" for include in includes]
    lines += ["int main(void)", "{"]
    for name in sorted(constants):
        lines.append(f'\tprintf("{name} %#llx\\n", (unsigned long long)({name}));')
    for name, fields in sorted(structs.items()):
        lines.append(f'\tprintf("{name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            place = f"offsetof(struct {name}, {field})"
            lines.append(f'\tprintf("{name}.{field} %zu\\n", {place});')
    return "\n".join([*lines, "\treturn 0;", "}", ""])


def facts(
    folder: Path, includes: Sequence[str], flags: Sequence[str], *names: object
) -> dict[str, str]:
    """What the program for `includes` prints, by name; CalledProcessError if gcc refuses it."""
    source = folder / "facts.c"
    source.write_text(program(includes, *names))  # type: ignore[arg-type]
    binary = folder / "facts"
    command = ["gcc", "-std=gnu11", *flags, str(source), "-o", str(binary)]
    subprocess.run(command, check=True)
    out = subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout
    return dict(line.rsplit(" ", 1) for line in out.splitlines())


def with_compat(folder: Path, *names: object) -> dict[str, str]:
    """Facts from the system's headers and compat.h."""
    return facts(folder, ['"compat.h"'], [f"-I{HERE}"], *names)


def with_newest(folder: Path, *names: object) -> dict[str, str]:
    """Facts from the newest headers alone."""
    return facts(folder, [f"<{name}>" for name in INCLUDES + ADDED], [f"-I{newest()}"], *names)
