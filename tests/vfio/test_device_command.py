"""`vmm vfio info` and `reset` of functions of a real kernel."""

from __future__ import annotations

import json

import pytest

from tests.vfio.host import vmm
from tests.vfio.lab import CARD, DISK, EDU, SHARED_CARD, SHARED_EDU
from vmm.errors import EXIT_HOST, EXIT_OK

pytestmark = pytest.mark.needs("vfio")


def test_what_a_function_has() -> None:
    assert vmm("bind", "--force", "--really", EDU, DISK).returncode == EXIT_OK

    said = vmm("info", EDU).stdout
    edu, disk = json.loads(vmm("info", "--json", EDU, DISK).stdout)

    assert said.startswith(f"{EDU} (1234:11e8, device) through type1\n")
    assert "  region bar0      1M     read write map 0x0+0x100000\n" in said
    assert "  interrupt msi    1\n" in said
    assert "  memory for DMA: 0x0 to 0xfedfffff, 0xfef00000 to " in said
    assert (edu["reset"], disk["reset"]) == (False, True)
    assert {one["name"] for one in edu["interrupts"]} == {"intx", "msi", "req"}
    assert next(one for one in disk["interrupts"] if one["name"] == "msix")["count"] > 1
    assert edu["page_size"] == 4096
    assert vmm("restore").returncode == EXIT_OK


def test_resets_and_what_they_would_reset() -> None:
    assert vmm("bind", "--group", DISK, SHARED_EDU).returncode == EXIT_OK

    assert vmm("reset", "--dry-run", DISK).stdout == f"would reset {DISK}\n"
    assert vmm("reset", DISK).stdout == f"reset {DISK}\n"
    both = f"{SHARED_EDU}, {SHARED_CARD}"
    assert vmm("reset", "--hot", "--dry-run", SHARED_EDU).stdout == f"would reset {both}\n"
    done = vmm("reset", "--hot", "--json", SHARED_EDU)
    assert json.loads(done.stdout)[0]["reset"] == [SHARED_EDU, SHARED_CARD]
    done = vmm("reset", "--hot", DISK)
    assert (done.returncode, done.stdout) == (EXIT_HOST, "")
    assert done.stderr == f"vmm: Resetting the bus of {DISK} failed: no bus reset here\n"
    assert vmm("restore").returncode == EXIT_OK


@pytest.mark.parametrize("verb", ["info", "reset"])
def test_a_function_that_is_not_bound_stays_with_the_host(verb: str) -> None:
    done = vmm(verb, CARD)

    assert (done.returncode, done.stdout) == (EXIT_HOST, "")
    assert done.stderr == (
        f"vmm: {CARD} is not bound to vfio-pci; bind it with `sudo vmm vfio bind {CARD}` first\n"
    )
