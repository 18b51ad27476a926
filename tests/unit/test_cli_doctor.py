"""`vmm doctor` on made-up hosts."""

from __future__ import annotations

import json
import os
import types
from pathlib import Path

import pytest

from vmm.__main__ import main
from vmm.cli import doctor, kvmfindings
from vmm.errors import EXIT_HOST, EXIT_OK
from vmm.host import survey
from vmm.host.survey import ABSENT, LIMITED, MISSING, NODES, OK, Finding
from vmm.xen import usercaps


def finding(name: str = "thing", status: str = OK, **more: str) -> Finding:
    fields = {"topic": "Topic", "found": "yes", "needed_for": "something", **more}
    return Finding(name=name, status=status, **fields)


def host(root: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return str(root)


THP = "sys/kernel/mm/transparent_hugepage"
POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"


# --- survey ---------------------------------------------------------------------------------------


def test_a_bare_host_offers_nothing_and_every_node_says_what_mends_it(tmp_path: Path) -> None:
    found = [survey.device_node(node, str(tmp_path)) for node in NODES]

    assert {row.status for row in found} == {ABSENT}
    assert all(row.mend.startswith("modprobe ") for row in found)


def test_a_node_that_opens_is_usable(tmp_path: Path) -> None:
    root = host(tmp_path, {"dev/net/tun": ""})

    row = survey.device_node(NODES[0], root)

    assert (row.name, row.status, row.found, row.mend) == ("/dev/net/tun", OK, "usable", "")


def test_a_node_without_permission_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = host(tmp_path, {"dev/net/tun": ""})
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    row = survey.device_node(NODES[0], root)

    assert (row.status, row.found) == (ABSENT, "no permission")
    assert row.mend == "setfacl -m u:$USER:rw /dev/net/tun"


def test_iommu_groups_are_counted(tmp_path: Path) -> None:
    assert survey.iommu_groups(str(tmp_path)).status == ABSENT
    for number in range(3):
        (tmp_path / f"sys/kernel/iommu_groups/{number}").mkdir(parents=True)

    row = survey.iommu_groups(str(tmp_path))

    assert (row.status, row.found) == (OK, "3 groups")


@pytest.mark.parametrize(
    ("enabled", "shmem", "statuses"),
    [
        ("always [madvise] never", "always within_size [advise] never deny force", [OK, OK]),
        (
            "always madvise [never]",
            "always within_size advise [never] deny force",
            [ABSENT, ABSENT],
        ),
        ("", "", [ABSENT, ABSENT]),
    ],
)
def test_transparent_huge_pages_are_read_from_the_brackets(
    tmp_path: Path, enabled: str, shmem: str, statuses: list[str]
) -> None:
    root = host(tmp_path, {f"{THP}/enabled": enabled, f"{THP}/shmem_enabled": shmem})

    rows = list(survey.huge_pages(root))[:2]

    assert [row.status for row in rows] == statuses
    assert [bool(row.mend) for row in rows] == [status == ABSENT for status in statuses]


@pytest.mark.parametrize(
    ("free", "total", "status"), [("5", "8", OK), ("0", "8", ABSENT), ("x", "y", ABSENT)]
)
def test_huge_page_pool_must_have_free_pages(
    tmp_path: Path, free: str, total: str, status: str
) -> None:
    root = host(tmp_path, {f"{POOL}/free_hugepages": free, f"{POOL}/nr_hugepages": total})

    assert list(survey.huge_pages(root))[2].status == status


def test_a_low_limit_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _number: (64 << 10, 64 << 10))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    locked, files = survey.limits()

    assert (locked.status, files.status) == (LIMITED, OK)
    assert "ulimit -l" in locked.mend


def test_root_may_lock_all_memory_but_not_open_any_number_of_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _number: (1, 1))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert [row.status for row in survey.limits()] == [OK, LIMITED]


def test_survey_of_this_host_is_complete() -> None:
    rows = list(survey.survey())

    assert len(rows) == len(NODES) + 7
    assert all(row.found and row.needed_for for row in rows)


# --- KVM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"proc/cpuinfo": "flags : fpu vmx"}, "modprobe kvm_intel"),
        ({"proc/cpuinfo": "flags : fpu svm"}, "modprobe kvm_amd"),
        ({"proc/cpuinfo": "flags : fpu"}, "no vmx or svm"),
        ({}, "no vmx or svm"),
        ({"dev/kvm": ""}, "see what"),
    ],
)
def test_remedy_fits_what_is_wrong_with_dev_kvm(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    assert words in kvmfindings.mend(host(tmp_path, files))


def test_remedy_for_a_permission_is_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    assert "usermod -aG kvm" in kvmfindings.mend(host(tmp_path, {"dev/kvm": ""}))


@pytest.mark.parametrize("content", [None, ""])
def test_without_kvm_nothing_else_about_it_is_asked(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "kvm"
    if content is not None:
        path.write_text(content)

    rows = list(kvmfindings.kvm_findings(str(tmp_path), str(path)))

    assert [(row.name, row.status) for row in rows] == [(str(path), MISSING)]
    assert str(path) in rows[0].found


@pytest.mark.parametrize(("content", "status"), [("Y", OK), ("1", OK), ("N", ABSENT), ("", ABSENT)])
def test_nested_virtualization(tmp_path: Path, content: str, status: str) -> None:
    root = host(tmp_path, {"sys/module/kvm_amd/parameters/nested": content})

    assert kvmfindings.nested(root).status == status


def test_xen_flags_are_spelt_out() -> None:
    rows = list(kvmfindings.xen(0b101))

    assert [row.name for row in rows if row.status == OK] == [
        "KVM_CAP_XEN_HVM",
        "HYPERCALL_MSR",
        "SHARED_INFO",
    ]
    assert len(rows) == 10
    assert [row.status for row in kvmfindings.xen(0)] == [ABSENT]


@pytest.mark.parametrize(
    ("flags", "sync", "status", "words"),
    [
        (0x1FF, 7, OK, "kvm"),
        (0x1FF, 0, OK, "kvm"),
        (0, 7, LIMITED, "userspace: KVM here lacks KVM_CAP_XEN_HVM"),
        (3, 7, LIMITED, "userspace: KVM_CAP_XEN_HVM is 0x3 here and lacks SHARED_INFO and"),
        (0, 0, ABSENT, "none: KVM here lacks KVM_CAP_XEN_HVM; KVM here lacks KVM_CAP_SYNC_REGS"),
    ],
)
def test_which_xen_backend_a_host_gets_and_why(
    flags: int, sync: int, status: str, words: str
) -> None:
    others = {**dict.fromkeys(usercaps.NEEDED, 1), "KVM_CAP_SYNC_REGS": sync}

    row = kvmfindings.xen_backend(flags, others)

    assert (row.name, row.status) == ("--xen-backend", status)
    assert row.found.startswith(words)
    assert bool(row.mend) == (status != OK)


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "code", "words"),
    [
        ([finding()], EXIT_OK, "Guests can run here."),
        ([finding(status=ABSENT)], EXIT_OK, "Guests can run here."),
        (
            [finding(), finding("/dev/kvm", MISSING, found="not there")],
            EXIT_HOST,
            "Guests cannot run here: /dev/kvm (not there).",
        ),
        (
            [finding("stock Linux kernels", LIMITED, found="shadow paging")],
            EXIT_OK,
            "Tiny guests run here, stock kernels do not: shadow paging.",
        ),
    ],
)
def test_verdict(rows: list[Finding], code: int, words: str) -> None:
    assert doctor.verdict(rows) == (code, words)


def test_table_shows_marks_topics_and_remedies() -> None:
    rows = [finding("one"), finding("other", ABSENT, found="no", topic="B", mend="do this")]

    assert doctor.as_table(rows) == (
        "Topic\n"
        "  + one    yes  something\n"
        "\n"
        "B\n"
        "  - other  no   something\n"
        "           mend: do this\n"
    )
    assert "\x1b[32m+\x1b[0m one" in doctor.as_table(rows, colour=True)


def test_command_prints_table_or_json_and_returns_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: [finding("x", MISSING)])

    assert main(["doctor"]) == EXIT_HOST
    assert "! x" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == EXIT_HOST
    body = json.loads(capsys.readouterr().out)
    assert body["code"] == EXIT_HOST
    assert body["findings"][0]["name"] == "x"


def test_without_the_c_core_the_rest_is_still_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[Finding]:
        raise ImportError("No module named 'vmm._native'")

    monkeypatch.setattr(kvmfindings, "kvm_findings", broken)

    rows = doctor.examine()

    assert (rows[0].name, rows[0].status, rows[0].mend) == ("the C core", MISSING, "make")
    assert len(rows) > 5


def test_a_host_whose_stock_kernel_does_not_run_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.SimpleNamespace(stock_kernel_problem=lambda: "shadow paging")
    monkeypatch.setitem(__import__("sys").modules, "vmm.host.kvm", module)

    row = kvmfindings.stock_kernel()

    assert (row.status, row.found, row.mend) == (LIMITED, "shadow paging", "use `vmm lab`")
