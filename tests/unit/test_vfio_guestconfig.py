"""Which bytes of a host's function a guest finds, and which are its machine's own."""

from __future__ import annotations

import random
from struct import pack, pack_into

import pytest

from vmm.errors import HostError
from vmm.vfio.guestbars import inner_pages, outside, whole_pages
from vmm.vfio.guestconfig import CLASSIC, EXPRESS, MSI, MSIX, PM, WHOLE, guest_config

AT = {PM: 0x40, MSI: 0x50, MSIX: 0x70, EXPRESS: 0x80}
VENDOR_AT = 0xC8
ARI, SERIAL, AER = 0x0E, 0x03, 0x01


def card(size: int = WHOLE) -> bytearray:
    """A function with every capability that is special, and one that is not."""
    raw = bytearray(size)
    pack_into("<HHHH", raw, 0, 0x8086, 0x10D3, 0x0407, 0x0010)
    raw[0x0E] = 0x80
    pack_into("<6I", raw, 0x10, 0xFEB40000, 0x0, 0xC001, 0xFE00000C, 0xF, 0)
    pack_into("<I", raw, 0x30, 0xFE000001)
    raw[0x34], raw[0x3C], raw[0x3D] = AT[PM], 11, 1
    chain = [*AT.values(), VENDOR_AT, 0]
    bodies = {
        AT[PM]: pack("<HI", 0xC823, 0x2003),
        AT[MSI]: pack("<HQH", 0x0081, 0xFEE00000, 0x41),
        AT[MSIX]: pack("<HII", 0x8004, 0x3, 0x2003),
        AT[EXPRESS]: pack("<HIIIHH", 0x0002, 0x8CC0, 0x2810, 0x0003_3C11, 0x40, 0x1011),
        VENDOR_AT: b"\x10abc",
    }
    kinds = [*AT, 0x09]
    for kind, at, after in zip(kinds, chain, chain[1:], strict=False):
        raw[at], raw[at + 1] = kind, after
        raw[at + 2 : at + 2 + len(bodies[at])] = bodies[at]
    if size == WHOLE:
        for kind, at, after in ((AER, 0x100, 0x140), (ARI, 0x140, 0x150), (SERIAL, 0x150, 0)):
            pack_into("<II", raw, at, kind | 1 << 16 | after << 20, 0x1234)
    return raw


def word(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(data[at : at + size], "little")


def test_the_header_is_ours_but_for_the_status() -> None:
    config = guest_config(bytes(card()), pin=True)
    assert word(config.image, 0, 4) == 0x10D3_8086
    assert word(config.image, 4) == 0  # decodes nothing yet
    assert config.image[0x0E] == 0
    assert not any((*config.image[0x10:0x28], *config.image[0x30:0x34]))  # the host's addresses
    assert (config.image[0x3C], config.image[0x3D]) == (0, 1)
    assert [at for at in range(0x40) if config.passed[at]] == [6, 7]
    assert guest_config(bytes(card()), pin=False).image[0x3D] == 0


def test_interrupts_power_and_links_are_ours_and_the_rest_is_the_devices() -> None:
    config = guest_config(bytes(card()), pin=True)
    assert config.capabilities == {**AT, 0x09: VENDOR_AT}
    ours = {at for at in range(0x40, CLASSIC) if not config.passed[at]}
    express = AT[EXPRESS]
    assert ours == {
        *range(AT[PM], AT[PM] + 8),
        *range(AT[MSI], AT[MSI] + 14),
        *range(AT[MSIX], AT[MSIX] + 12),
        *range(express, express + 4),
        *range(express + 0x0C, express + 0x14),
        *range(express + 0x2C, express + 0x34),
        *(VENDOR_AT, VENDOR_AT + 1),
    }
    assert config.writable == ((AT[PM] + 4, 1, 3),)
    assert config.image[AT[PM] + 4] == 8  # no state is lost: none is
    assert word(config.image, AT[PM] + 2) == 0x0023  # no event wakes a guest
    assert word(config.image, express + 2) >> 4 & 0xF == 9
    assert not any(config.image[express + 0x0C : express + 0x14])


def test_extended_capabilities_that_need_another_machine_are_left_out() -> None:
    config = guest_config(bytes(card()), pin=True)
    assert word(config.image, 0x100, 4) == AER | 1 << 16 | 0x150 << 20
    assert not any((*config.image[0x140:0x150], *config.passed[0x140:0x150]))
    assert word(config.image, 0x150, 4) == SERIAL | 1 << 16
    assert not any(config.passed[0x150:0x154])
    assert all(config.passed[0x154:])


def test_a_hidden_one_at_the_start_leaves_a_stone_to_step_on() -> None:
    raw = card()
    pack_into("<I", raw, 0x100, ARI | 1 << 16 | 0x150 << 20)
    config = guest_config(bytes(raw), pin=True)
    assert word(config.image, 0x100, 4) == 0x150 << 20


@pytest.mark.parametrize("first", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_function_without_extended_space_has_none(first: bytes) -> None:
    raw = card()
    raw[0x100:0x104] = first
    assert len(guest_config(bytes(raw), pin=True).image) == CLASSIC
    assert len(guest_config(bytes(card(CLASSIC)), pin=True).image) == CLASSIC


def test_chains_that_go_in_circles_or_nowhere_end() -> None:
    raw = card()
    raw[AT[MSI] + 1] = AT[PM]
    pack_into("<I", raw, 0x150, SERIAL | 1 << 16 | 0x100 << 20)
    config = guest_config(bytes(raw), pin=True)
    assert config.capabilities == {PM: AT[PM], MSI: AT[MSI]}
    noise = random.Random(5)
    for _ in range(300):
        found = guest_config(noise.randbytes(WHOLE), pin=True)
        assert len(found.image) == len(found.passed) in (CLASSIC, WHOLE)
        assert not any(found.image[0x10:0x28])


def test_what_is_left_of_spans_and_their_pages() -> None:
    assert outside([(0, 100)], [(10, 20), (90, 20)]) == [(0, 10), (30, 60)]
    assert outside([(0, 10), (20, 10)], [(0, 40)]) == []
    assert outside([(0, 10)], []) == [(0, 10)]
    assert whole_pages(0x2010, 16) == (0x2000, 0x1000)
    assert whole_pages(0x2FF0, 32) == (0x2000, 0x2000)
    assert inner_pages((0x10, 0x2000)) == (0x1000, 0x1000)
    assert inner_pages((0x10, 0x100))[1] <= 0


@pytest.mark.parametrize("kind", [PM, MSI, MSIX, EXPRESS])
@pytest.mark.parametrize("size", [CLASSIC, WHOLE])
def test_a_capability_without_room_is_refused(kind: int, size: int) -> None:
    raw = card(size)
    raw[0x34] = 0xFC
    raw[0xFC:0x100] = bytes((kind, 0, 0x02, 0x00))
    with pytest.raises(HostError, match=f"capability {kind:#04x} is at 0xfc.* cannot be passed"):
        guest_config(bytes(raw), pin=True)
