"""A disk whose host never answers, when the machine ends: its memory must not be freed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import gc, sys
from pathlib import Path
import vmm.backends.block, vmm.virtio.core
vmm.backends.block.WORKERS = 0  # nobody does what is asked of the disk
vmm.virtio.core.PATIENCE = 20
from tests.native.blkrig import IN, SECTOR, BlkRig, header
from vmm.errors import VmmError
from vmm.native import ffi

rig = BlkRig(Path(sys.argv[1]), engine="threads", queues=2)
ring = rig.start()
ring.add([header(IN)], [SECTOR, 1])
ring.publish()
rig.driver.notify(0)
rig.settle()
struct = ffi.cast("char *", int(ffi.cast("uintptr_t", rig.core.pointer)))
before = ffi.unpack(struct, 16)  # where the allocator keeps its books when it is free
try:
    rig.pci.close()
except VmmError as error:
    assert "disk0 did not reset" in str(error), error
else:
    raise AssertionError("closed")
rig.pci.close()  # may be repeated
rig.__exit__()
del rig, ring
gc.collect()
assert ffi.unpack(struct, 16) == before, "freed"
assert "guest-ram" in Path("/proc/self/maps").read_text(), "unmapped"
print("over")
"""


def test_disk_that_is_stuck_is_never_freed(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(1 << 20))

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(image)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "over\n"), done.stderr
