"""The survey of PCI functions, on made-up hosts."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pcitree import BRIDGE_CLASS, Tree
from vmm.errors import ConfigError, HostError
from vmm.vfio import sysfs
from vmm.vfio.sysfs import Bar, full_address, function, functions, offenders

# What Linux 6.12 shows of a network card with ports, memory, a 64-bit register and a ROM.
RESOURCE = """\
0x000000000000d140 0x000000000000d15f 0x0000000000040101
0x00000000febc5000 0x00000000febc5fff 0x0000000000040200
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x000000c060004000 0x000000c060007fff 0x000000000014220c
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x00000000feb80000 0x00000000febbffff 0x0000000000046200
0x0000000000000000 0x0000000000000000 0x0000000000000000"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_function_is_read_as_it_stands(tree: Tree) -> None:
    folder = tree.function(
        "0000:00:02.0", "8086:10d3", 0x020000, "e1000e", 4,
        resource=RESOURCE, reset_method="flr pm", sriov_numvfs="2",
    )  # fmt: skip
    tree.file(f"{folder}/vfio-dev/vfio7/dev", "511:7")

    one = function("0:00:02.0", tree.root)

    assert (one.address, one.ids, one.kind) == ("0000:00:02.0", "8086:10d3", "Ethernet")
    assert (one.driver, one.override, one.group) == ("e1000e", "", 4)
    assert (one.reset_methods, one.virtual_functions) == (("flr", "pm"), 2)
    assert one.node == "/dev/vfio/devices/vfio7"
    assert one.bars == (
        Bar(index=0, address=0xD140, size=32, io=True),
        Bar(index=1, address=0xFEBC5000, size=4096),
        Bar(index=4, address=0xC060004000, size=16384, wide=True, prefetchable=True),
        Bar(index=6, address=0xFEB80000, size=256 << 10, prefetchable=True),
    )


def test_one_without_iommu_driver_or_reset(tree: Tree) -> None:
    tree.function("0000:00:03.0", group=None)

    (one,) = functions(tree.root)

    assert (one.driver, one.group, one.members) == ("", None, ("0000:00:03.0",))
    assert one.reset_methods == ()
    assert one.node == ""


def test_a_kernel_without_device_nodes_has_their_folder(tree: Tree) -> None:
    folder = tree.function("0000:01:00.0", driver="vfio-pci")
    tree.file(f"{folder}/vfio-dev/vfio7/uevent", "")

    assert function("0000:01:00.0", tree.root).node == ""


def test_an_older_kernel_only_says_that_there_is_a_reset(tree: Tree) -> None:
    tree.function("0000:00:03.0", reset="")

    assert function("00:03.0", tree.root).reset_methods == ("unnamed",)


def test_a_bridge_is_known_by_its_header_or_else_by_its_class(tree: Tree) -> None:
    tree.function("0000:00:01.0", kind=BRIDGE_CLASS)
    folder = tree.function("0000:00:02.0", kind=BRIDGE_CLASS)
    (tree.top / folder / "config").unlink()
    tree.function("0000:00:03.0", kind=0x060000)

    assert [one.bridge for one in functions(tree.root)] == [True, True, False]


def test_what_keeps_a_group_from_being_used(tree: Tree) -> None:
    tree.function("0000:01:00.0", driver="pcieport", kind=BRIDGE_CLASS)
    for number, driver in enumerate(("vfio-pci", "mlx5-vfio-pci", "pci-stub", "snd", "")):
        tree.function(f"0000:01:01.{number}", driver=driver)
    one = function("01:01.0", tree.root)

    assert [other.address for other in offenders(one, tree.root)] == ["0000:01:01.3"]
    assert offenders(one, tree.root, taken=["0000:01:01.3"]) == []
    assert len(one.members) == 6


def test_a_host_without_pci_has_no_functions(tmp_path: Path) -> None:
    assert functions(str(tmp_path)) == []


def test_an_address_nobody_has_is_one_sentence(tree: Tree) -> None:
    with pytest.raises(HostError, match=r"no PCI function 0000:09:00\.0; `vmm vfio list`"):
        function("09:00.0", tree.root)


@pytest.mark.parametrize(
    ("text", "address"),
    [("03:00.0", "0000:03:00.0"), ("1:2:3.4", "0001:02:03.4"), ("0000:AB:1f.7", "0000:ab:1f.7")],
)
def test_addresses_are_spelt_as_sysfs_does(text: str, address: str) -> None:
    assert full_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "x", "00:20.0", "00:00.8", "100:00.0", "::.", "0:0:0:0.0", "00:00", "-1:00.0", "0 :1.0",
     "../..:0.0", "00:0_1.0"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a PCI address"):
        full_address(text)


@given(st.text(alphabet="0123456789abcdef:.x/- ", max_size=14))
def test_no_text_leads_outside_the_folder_of_devices(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert "/" not in full_address(text)


def test_a_function_that_went_away_shows_nothing(tree: Tree) -> None:
    (tree.top / sysfs.DEVICES.lstrip("/") / "0000:00:09.0").mkdir()

    (one,) = functions(tree.root)

    assert (one.ids, one.driver, one.bars) == ("0000:0000", "", ())
