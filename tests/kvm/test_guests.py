"""Every tiny guest of guests/guests.toml, on each irqchip it names, with every verdict checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.errors import GuestCrash
from vmm.machine import Machine

GUESTS = guests.load()[0]


def cases() -> list[object]:
    """One case per guest and irqchip, with what it needs of the host."""
    return [
        pytest.param(guest, chip, id=f"{name}-{chip}", marks=pytest.mark.needs("kvm", *guest.needs))
        for name, guest in GUESTS.items()
        if not guest.run_by
        for chip in guest.irqchips
    ]


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    guests.build()


@pytest.mark.parametrize(("guest", "irqchip"), cases())
def test_guest_passes(guest: guests.Guest, irqchip: str, tmp_path: Path) -> None:
    output = tmp_path / "console"
    settings = guest.settings(irqchip, tmp_path)
    config = VmConfig.of(consoles=[f"file:{output}"], **settings)

    with Machine(config) as machine:
        try:
            code = machine.run().code
        except GuestCrash as crash:
            code = crash.exit_code

    assert not guest.complaints(output.read_text(errors="replace"), code)
