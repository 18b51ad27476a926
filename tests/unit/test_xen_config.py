"""What --xen asks for, and what CPUID then shows."""

from __future__ import annotations

from struct import pack

import pytest

from vmm import kinds, twins
from vmm.check import read_xen_version
from vmm.config import VmConfig
from vmm.errors import ConfigError, HostError
from vmm.native import lib
from vmm.xen import cpuid, net
from vmm.xen.kvmcaps import NEEDED, check_flags

VERSION, MSR = 4 << 16 | 17, 0x40000000


@pytest.mark.parametrize(
    ("text", "number"), [("4.17", VERSION), ("4.0", 4 << 16), ("4.255", 4 << 16 | 255)]
)
def test_versions_are_read(text: str, number: int) -> None:
    assert read_xen_version(text) == number


@pytest.mark.parametrize(
    "text", ["", "4", "4.", ".17", "3.4", "5.0", "4.256", "4.-1", "4.1.7", "4.\uff11"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--xen-version is .*; it must be like 4\.17"):
        VmConfig.of(kernel="k", xen=True, xen_version=text)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"nets": ["tap,bus=xen"]}, "--net with bus=xen needs --xen"),
        ({"xen": True, "nets": ["tap,bus=xen,vhost=on"]}, "cannot have vhost=on"),
        ({"xen": True, "nets": ["tap,bus=xen"] * 17}, "17 times --net with bus=xen"),
        ({"disks": ["/disk,bus=xen"]}, "--disk with bus=xen needs --xen"),
        ({"devices": ["virtio-blk,path=/disk,bus=both"]}, "--device has bus=, which is for"),
        ({"disks": ["/disk,bus=both"]}, "--disk with bus=both needs --xen"),
        ({"xen": True, "disks": ["/disk,bus=xen,queues=17"]}, "--disk with .* 1 to 16 queues"),
        ({"xen": True, "disks": ["/disk,bus=xen,queues=0"]}, "--disk with .* 1 to 16 queues"),
        ({"xen": True, "disks": ["/disk,bus=xen,addr=5"]}, "leave out addr="),
        ({"xen": True, "disks": ["/disk,bus=xen,io-thread=0"]}, "--disk with .* has no io-thread="),
        ({"xen": True, "disks": ["/disk,bus=xen,serial=a"]}, "--disk with bus=xen has no serial="),
        ({"xen": True, "nets": ["tap,bus=xen,notify=pio"]}, "--net with bus=xen has no notify="),
    ],
)
def test_pv_devices_that_cannot_be_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        VmConfig.of(kernel="k", **settings)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"xen_backend": "kvm"}, "--xen-backend needs --xen"),
        ({"xen_calls": "breakpoint"}, "--xen-calls needs --xen"),
        ({"xen_version": "4.16"}, "--xen-version needs --xen"),
        ({"xen_pirqs": "all"}, "--xen-pirqs needs --xen"),
        ({"trace": "xen"}, "--trace xen needs --xen"),
        ({"xen": True, "trace": "xen,kvm"}, "--trace has no kind 'kvm'; there is xen"),
        ({"xen": True, "trace": ":/file"}, "--trace :/file names no kind; there is xen"),
        ({"xen": True, "xen_backend": "kvm", "xen_calls": "breakpoint"}, "breakpoint is for"),
        ({"xen": True, "xen_backend": "userspace", "xen_pirqs": "all"}, "--xen-pirqs needs"),
    ],
)
def test_options_without_what_they_are_for_are_refused(
    settings: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        VmConfig.of(kernel="k", **settings)


def test_options_of_xen_come_with_it() -> None:
    for calls in ("patch", "breakpoint"):
        for backend in ("auto", "userspace"):
            VmConfig.of(kernel="k", xen=True, xen_backend=backend, xen_calls=calls)
    VmConfig.of(kernel="k", xen=True, disks=["/disk,bus=both,serial=a"])  # until it is unplugged
    VmConfig.of(kernel="k", xen_backend="auto", xen_calls="patch", xen_version="4.17")


def test_pv_cards_are_not_on_the_pci_bus() -> None:
    nets = ["tap,bus=both", "tap,bus=xen", "tap,id=other"]
    config = VmConfig.of(kernel="k", xen=True, nets=nets)

    assert [device.id for device in kinds.wanted(config)] == ["", "other", ""]
    assert [(index, card.id) for index, card in net.wanted(config.nets)] == [(1, "vif1")]


def test_twins_are_meant_by_the_bits_of_their_kind() -> None:
    disks = ["/a,bus=xen", "/b,bus=both", "/c", "/d,bus=both,id=last"]
    config = VmConfig.of(kernel="k", xen=True, disks=disks, nets=["tap", "tap,bus=both"])

    planned = {twin.device.id: (twin.index, twin.bits) for twin in twins.planned(config)}
    assert planned == {"virtio-blk0": (1, 1), "last": (2, 5), "virtio-net1": (0, 2)}
    assert twins.meant(config) == 7
    assert twins.meant(VmConfig.of(kernel="k", xen=True, disks=["/a,bus=xen", "/c"])) == 0


def test_leaves_name_xen_and_the_vcpu() -> None:
    leaves = {(entry[0], entry[1]): entry[3:] for entry in cpuid.leaves(VERSION, 3, 2_000_000, MSR)}

    name = leaves[0x40000000, 0]
    assert pack("<3I", *name[1:]) == b"XenVMMXenVMM"
    assert name[0] == max(function for function, _index in leaves)
    assert leaves[0x40000001, 0][0] == VERSION
    assert leaves[0x40000002, 0][:2] == (1, 0x40000000)
    assert leaves[0x40000003, 0][2] == 2_000_000
    assert leaves[0x40000004, 0] == (0x58, 3, 1, 0)


def test_upcall_vectors_of_vcpus_are_offered_from_4_17_on() -> None:
    flags = {v: cpuid.leaves(4 << 16 | v, 0, 0, MSR)[-1][3] >> 6 & 1 for v in (16, 17, 18)}

    assert flags == {16: 0, 17: 1, 18: 1}


def test_leaves_of_kvm_are_taken_out() -> None:
    supported = [(f, 0, 0, 1, 1, 1, 1) for f in (0, 1, 0x40000000, 0x40000001, 0x80000000)]

    assert [entry[0] for entry in cpuid.without_hypervisor(supported)] == [0, 1, 0x80000000]


def test_kernel_without_xen_is_told_of() -> None:
    with pytest.raises(HostError, match=r"lacks KVM_CAP_XEN_HVM.*CONFIG_KVM_XEN"):
        check_flags(0)


@pytest.mark.parametrize("lacking", NEEDED)
def test_each_flag_that_is_lacking_is_named(lacking: str) -> None:
    flags = {name: getattr(lib, f"KVM_XEN_HVM_CONFIG_{name}") for name in NEEDED}

    with pytest.raises(HostError, match=f"lacks {lacking}, which"):
        check_flags(sum(flags.values()) - flags[lacking])
    check_flags(sum(flags.values()))
