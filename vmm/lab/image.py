"""L1's initramfs: busybox, the modules L1 needs, init.sh, and the job of one run.

The first part is the same for every run and kept in the cache; the job is a second, tiny archive
behind it.
"""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from vmm.host import apt, cache
from vmm.lab import initramfs
from vmm.lab.config import LabConfig, environment
from vmm.lab.kernel import Kernel, load_order, module_bytes, module_name

BOOT_MODULES = ("9pnet_virtio", "9p", "overlay")  # for the root
LAB_MODULES = (
    *("kvm_amd", "vfio_pci", "vfio_iommu_type1", "vhost_net", "vhost_vsock", "tun", "tap"),
    *("bridge", "virtio_net", "virtio_blk", "virtio_rng"),
)
INIT = Path(__file__).with_name("init.sh")


def base(root: apt.Root, found: Kernel) -> Path:
    """The cached part, made for this kernel, this busybox and this init.sh."""
    init = INIT.read_bytes()
    recipe = repr((str(root.path), found.version, BOOT_MODULES, LAB_MODULES, __doc__)).encode()
    name = f"lab-{hashlib.sha256(recipe + init).hexdigest()[:12]}"

    def fill(path: Path) -> None:
        (path / "initramfs").write_bytes(_base(root, found, init))

    return cache.entry(name, fill) / "initramfs"


def _base(root: apt.Root, found: Kernel, init: bytes) -> bytes:
    paths = load_order(found, (*BOOT_MODULES, *LAB_MODULES))
    table = [module.removesuffix(".xz") for module in paths]
    tree = f"lib/modules/{found.version}"
    names = [module_name(path) for path in paths]
    boot = {module_name(path) for path in load_order(found, BOOT_MODULES)}
    order = {
        "BOOT_ORDER": " ".join(name for name in names if name in boot),
        "LAB_ORDER": " ".join(name for name in names if name not in boot),
    }
    dep = "".join(f"{path}:\n" for path in table)  # needs nothing: init.sh loads in this order
    members = [
        initramfs.character_device("dev/console", 5, 1),
        initramfs.file("bin/busybox", (root.path / "bin/busybox").read_bytes(), 0o755),
        initramfs.link("bin/sh", "busybox"),
        initramfs.file("init", init, 0o755),
        initramfs.file("lab/modules", shell_variables(order).encode()),
        initramfs.file(f"{tree}/modules.dep", dep.encode()),
        *(initramfs.directory(name) for name in ("proc", "sys", "host", "new", "scratch")),
    ]
    for source, path in zip(paths, table, strict=True):
        members.append(initramfs.file(f"{tree}/{path}", module_bytes(found.modules / source)))
    return initramfs.pack(members)


BEAT_SECONDS = 5


def job(
    config: LabConfig, found: Kernel, cwd: str, here: dict[str, str], interactive: bool
) -> bytes:
    """The second archive: the command as a shell script, and variables for init.sh."""
    settings = {
        "OUT": "1" if config.out else "0",
        "INTERACTIVE": "1" if interactive else "0",
        "BEAT": "0" if config.count else str(BEAT_SECONDS),  # a beat costs instructions
        "MODULE_SOURCE": str(found.modules.resolve()),
        "MODULE_TREE": f"/lib/modules/{found.version}",
    }
    return initramfs.pack(
        [
            initramfs.file("lab/config", shell_variables(settings).encode()),
            initramfs.file(
                "lab/job", script(config, cwd, here, interactive).encode(errors="surrogateescape")
            ),
        ]
    )


def shell_variables(values: dict[str, str]) -> str:
    """NAME='value' lines."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def script(config: LabConfig, cwd: str, here: dict[str, str], interactive: bool) -> str:
    """What init.sh runs: enters `cwd`, then becomes the command with exactly its environment."""
    command = config.command
    if interactive and not command:
        command = (here.get("SHELL") or "/bin/sh",)
    variables = [f"{name}={value}" for name, value in environment(config, here).items()]
    words = ["/.vmm-lab/busybox", "env", "-i", *variables, *command]
    return (
        f"cd {shlex.quote(cwd)} || exit 1\nexec {' '.join(shlex.quote(word) for word in words)}\n"
    )
