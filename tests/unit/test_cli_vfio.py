"""`vmm vfio list` and `check`: what they print and how they end, on made-up hosts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.pcitree import BRIDGE_CLASS, Tree
from vmm.__main__ import main
from vmm.cli import vfio
from vmm.errors import EXIT_HOST, EXIT_OK, EXIT_USAGE

BAR = "0x00000000febc0000 0x00000000febcffff 0x0000000000040200"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    made = Tree(tmp_path)
    made.file("proc/self/status", f"CapEff: {1 << 14:x}\n")  # may lock memory without a limit
    for name in ("function", "functions", "check"):
        monkeypatch.setattr(vfio, name, partial(getattr(vfio, name), root=made.root))
    return made


@pytest.fixture
def group(tree: Tree) -> Tree:
    """A bridge, a function nobody drives and one with a driver, in one group."""
    tree.function("0000:00:14.0", "1b36:000e", BRIDGE_CLASS, group=6)
    tree.function("0000:01:01.0", group=6, resource=BAR, reset_method="bus")
    tree.function("0000:01:02.0", "10ec:8139", 0x020000, "8139cp", group=6)
    return tree


def test_list_is_a_tree_of_groups(group: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    group.function("0000:02:00.0", group=None)
    group.function("0000:00:1a.0", "1b36:000c", BRIDGE_CLASS, "pcieport", group=7)
    assert main(["vfio", "list"]) == EXIT_OK

    assert capsys.readouterr().out.splitlines() == [
        "group 6: held by 8139cp",
        "  ├─ 0000:00:14.0  1b36:000e  PCI bridge      -             reset none",
        "  ├─ 0000:01:01.0  1234:11e8  device          -             reset bus  BAR0 64K",
        "  └─ 0000:01:02.0  10ec:8139  Ethernet        8139cp        reset none",
        "group 7: a bridge",
        "  └─ 0000:00:1a.0  1b36:000c  PCI bridge      pcieport      reset none",
        "without an IOMMU group: not usable",
        "  └─ 0000:02:00.0  1234:11e8  device          -             reset none",
    ]


def test_a_host_without_functions_says_so(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vfio", "list"]) == EXIT_OK
    assert capsys.readouterr().out == "There are no PCI functions.\n"


def test_list_for_programs(group: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vfio", "list", "--json"]) == EXIT_OK

    rows = {row["address"]: row for row in json.loads(capsys.readouterr().out)}

    row = rows["0000:01:01.0"]
    assert (row["vendor"], row["device"], row["class_code"]) == ("0x1234", "0x11e8", "0x00ff00")
    assert (row["group"], row["reset_methods"], row["harmless"]) == (6, ["bus"], True)
    assert row["bars"][0]["size"] == 64 << 10
    assert not rows["0000:01:02.0"]["harmless"]


def test_check_tells_what_mends(group: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vfio", "check", "01:01.0"]) == EXIT_HOST

    assert capsys.readouterr().out.splitlines() == [
        "0000:01:01.0 (1234:11e8, device) cannot be used",
        "  ! IOMMU group 6 also holds 0000:01:02.0 (Ethernet), which the driver 8139cp runs",
        "      mend: vmm vfio bind --group 0000:01:01.0",
        "  ~ it has no driver, not vfio-pci",
        "      mend: vmm vfio bind 0000:01:01.0",
    ]


def test_check_of_a_whole_group_leaves_its_bridge_out(
    group: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vfio", "check", "--group", "--json", "01:01.0", "01:02.0"]) == EXIT_OK

    answer = json.loads(capsys.readouterr().out)

    assert answer["usable"]
    assert {row["address"] for row in answer["reasons"]} == {"0000:01:01.0", "0000:01:02.0"}
    assert {row["level"] for row in answer["reasons"]} == {"note"}


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["check", "09:00.0"], EXIT_HOST, "There is no PCI function 0000:09:00.0"),
        (["check", "nvme"], EXIT_USAGE, "'nvme' is not a PCI address"),
        (["check"], EXIT_USAGE, "Missing argument"),
        (["chek"], EXIT_USAGE, "chek"),
        (["list", "--group"], EXIT_USAGE, "No such option"),
    ],
)
def test_mistakes_are_one_sentence(
    group: Tree, capsys: pytest.CaptureFixture[str], argv: list[str], code: int, words: str
) -> None:
    assert main(["vfio", *argv]) == code
    said = capsys.readouterr()

    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


def test_the_group_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vfio"]) == EXIT_OK
    assert "Tell every reason" in capsys.readouterr().out
