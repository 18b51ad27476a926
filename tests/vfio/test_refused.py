"""What keeps a device from being opened or from reaching memory: one sentence each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.vfio.host import drive, holding, load
from tests.vfio.lab import EDU, SHARED_CARD, SHARED_EDU
from vmm.errors import HostError
from vmm.vfio import passthrough

pytestmark = pytest.mark.needs("vfio")


def test_a_group_that_the_host_drives_in_part_is_refused() -> None:
    load("8139cp")
    with passthrough(SHARED_EDU, group=True):
        pass
    drive(SHARED_CARD, "8139cp")
    with pytest.raises(HostError, match=f"also holds {SHARED_CARD}"):
        passthrough(SHARED_EDU).__enter__()


def test_a_device_in_use_names_the_process() -> None:
    code = "import os, sys; os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); input()"
    with passthrough(EDU) as device:
        path = f"/dev/vfio/{device.function.group}"
        device.close()
        device.iommu.close()
        refusal = r"process {} \(python3?"
        with holding(code, path) as pid, pytest.raises(HostError, match=refusal.format(pid)):
            passthrough(EDU).__enter__()


LIMITED = """
import sys
from vmm.errors import VmmError
from vmm.vfio import passthrough
with passthrough(sys.argv[1]) as device:
    device.dma(4096)
    try:
        device.dma(1 << 24)
    except VmmError as error:
        print(error)
"""


def test_too_little_lockable_memory_is_told_with_the_command_that_mends_it() -> None:
    limit = ("setpriv", "--bounding-set=-ipc_lock", "prlimit", "--memlock=1048576:1048576")
    done = subprocess.run(
        [*limit, sys.executable, "-c", LIMITED, EDU], capture_output=True, text=True, check=True
    )

    assert done.stdout.count("\n") == 1
    assert "1,048,576 bytes may be locked; sudo prlimit --pid $$ --memlock=" in done.stdout


def test_a_user_who_may_not_open_the_group_is_told() -> None:
    with passthrough(EDU) as device:
        path = f"/dev/vfio/{device.function.group}"
        device.close()
        device.iommu.close()
        code = LIMITED.replace("sys.argv[1]", repr(EDU))
        nobody = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all")
        done = subprocess.run(
            [*nobody, sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert f"Opening {path} failed: Permission denied" in done.stderr
        assert f"sudo chown $USER {path}" in done.stderr
