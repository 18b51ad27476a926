"""The cdef and compat.h against kernel headers: the system's, and the newest that Debian has."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from cffi_build import build
from tests.abi import headers

HERE = build.HERE
# Structures that say their own length (argsz): newer releases add padding that nobody reads.
GROWN = ("vfio_device_info",)
FLAGS = ["-std=gnu11", "-O0", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]


def include_flags(uapi: str) -> list[str]:
    folders = [str(HERE), *build.core_dirs(), sysconfig.get_path("include")]
    if uapi == "newest":
        return ["-isystem", headers.newest(), *(f"-I{folder}" for folder in folders)]
    return [f"-I{folder}" for folder in folders]


@pytest.mark.parametrize("uapi", ["system", "newest"])
def test_extension_compiles_with_headers(uapi: str, tmp_path: Path) -> None:
    source = tmp_path / "_native.c"
    build.make_builder().emit_c_code(str(source))

    command = ["gcc", "-c", *FLAGS, *include_flags(uapi), str(source), "-o", f"{source}.o"]
    subprocess.run(command, check=True)

    assert Path(f"{source}.o").stat().st_size > 0


@pytest.mark.parametrize("uapi", ["system", "newest"])
def test_core_compiles_with_headers(uapi: str) -> None:
    files = [str(path) for path in sorted(build.CORE.rglob("*.c"))]

    done = subprocess.run(
        ["gcc", "-fsyntax-only", *FLAGS, *include_flags(uapi), *files],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_compat_says_what_the_newest_headers_say(tmp_path: Path) -> None:
    names = headers.compat_names()

    assert headers.with_compat(tmp_path, *names) == headers.with_newest(tmp_path, *names)
    assert {"IOMMU_IOAS_MAP", "VFIO_DEVICE_BIND_IOMMUFD", "IOMMU_OPTION_OP_GET"} <= names[0]
    assert "u.evtchn.deliver.port.vcpu" in names[1]["kvm_xen_hvm_attr"]
    assert "devid" in names[1]["vfio_pci_dependent_device"]


def test_cdef_means_the_same_with_either_headers(tmp_path: Path) -> None:
    names = headers.cdef_names()
    old, new = headers.with_compat(tmp_path, *names), headers.with_newest(tmp_path, *names)
    for name in GROWN:
        assert int(old.pop(name)) <= int(new.pop(name))

    assert old == new


def test_a_wrong_constant_would_show(tmp_path: Path) -> None:
    wrong = ["<linux/kvm.h>", '"wrong.h"']
    (tmp_path / "wrong.h").write_text("#undef KVM_EXIT_IO\n#define KVM_EXIT_IO 3\n")
    names = ({"KVM_EXIT_IO"}, {"kvm_regs": ["rip"]})

    assert headers.facts(tmp_path, wrong, [f"-I{tmp_path}"], *names) == {
        "KVM_EXIT_IO": "0x3",
        "kvm_regs": "144",
        "kvm_regs.rip": "128",
    }
    assert headers.with_newest(tmp_path, *names)["KVM_EXIT_IO"] == "0x2"


def test_every_compat_definition_names_the_release_that_added_it() -> None:
    for path in headers.COMPAT:
        guards = re.findall(r"^#ifndef (?!VMM_)\w+.*$", path.read_text(), re.M)

        assert [line for line in guards if not re.search(r" // 6\.\d+$", line)] == []


def test_topics_and_files_are_the_same() -> None:
    files = {path.stem for path in (HERE / "cdef").glob("*")}

    assert sorted(build.TOPICS) == sorted(files)


def test_every_core_header_is_in_the_prelude_or_used_by_one() -> None:
    prelude = (HERE / "prelude.h").read_text()
    included = set(re.findall(r'#include "(\w+\.h)"', prelude))

    assert included - {"compat.h"} <= {path.name for path in build.CORE.rglob("*.h")}
    assert len(included) > len(build.TOPICS)


def test_files_of_the_core_are_told_apart_by_name_alone() -> None:
    names = [path.name for path in build.CORE.rglob("*.[ch]")]

    assert len(names) == len(set(names))
