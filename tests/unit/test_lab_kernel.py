"""modules.dep, load order, signatures and the kernel inside a bzImage."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from vmm.errors import HostError
from vmm.lab import kernel

# As depmod writes it: a module's needs are transitive, the deepest last.
DEP = """\
kernel/net/9p/9pnet.ko.xz:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz
kernel/fs/netfs/netfs.ko.xz:
kernel/fs/9p/9p.ko.xz: kernel/fs/netfs/netfs.ko.xz kernel/net/9p/9pnet.ko.xz
kernel/virt/irqbypass.ko.xz:
kernel/arch/x86/kvm/kvm.ko.xz: kernel/virt/irqbypass.ko.xz
kernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz kernel/virt/irqbypass.ko.xz
"""


@pytest.fixture
def found(tmp_path: Path) -> kernel.Kernel:
    (tmp_path / "modules.dep").write_text(DEP)
    (tmp_path / "modules.builtin").write_text("kernel/drivers/char/virtio_console.ko\n")
    return kernel.Kernel(
        version="6", image=tmp_path, vmlinux=tmp_path, modules=tmp_path, headers=tmp_path
    )


def names(paths: list[str]) -> list[str]:
    return [kernel.module_name(path) for path in paths]


def test_every_module_comes_after_what_it_needs(found: kernel.Kernel) -> None:
    assert names(kernel.load_order(found, ["kvm_amd"])) == ["irqbypass", "kvm", "kvm_amd"]


def test_a_shared_need_is_loaded_once(found: kernel.Kernel) -> None:
    order = names(kernel.load_order(found, ["9pnet_virtio", "9p"]))
    assert order == ["9pnet", "9pnet_virtio", "netfs", "9p"]


def test_dashes_and_underscores_name_the_same_module(found: kernel.Kernel) -> None:
    assert kernel.load_order(found, ["kvm-amd"]) == kernel.load_order(found, ["kvm_amd"])


def test_built_in_modules_need_no_loading(found: kernel.Kernel) -> None:
    assert names(kernel.load_order(found, ["virtio_console", "netfs"])) == ["netfs"]


def test_unknown_modules_are_named(found: kernel.Kernel) -> None:
    with pytest.raises(HostError, match="kernel 6 has no module nosuch"):
        kernel.load_order(found, ["netfs", "nosuch"])


def signed(body: bytes, signature: bytes, length: int | None = None) -> bytes:
    size = len(signature) if length is None else length
    return body + signature + bytes(8) + size.to_bytes(4, "big") + kernel.SIGNATURE


def test_a_signature_is_cut_off() -> None:
    assert kernel.strip_signature(signed(b"ELF module", b"s" * 300)) == b"ELF module"


def test_an_unsigned_module_stays_as_it_is() -> None:
    assert kernel.strip_signature(b"ELF module") == b"ELF module"


def test_a_signature_longer_than_the_file_is_not_believed() -> None:
    data = signed(b"ELF", b"s", length=0xFFFF_FFFF)
    assert kernel.strip_signature(data) == data


def test_a_packed_module_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "m.ko.xz"
    path.write_bytes(lzma.compress(signed(b"ELF module", b"sig")))
    assert kernel.module_bytes(path) == b"ELF module"


def test_an_unknown_packing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.ko.br"
    path.write_bytes(b"")
    with pytest.raises(HostError, match="unknown compression"):
        kernel.module_bytes(path)


def bzimage(
    payload: bytes, setup_sects: int = 1, offset: int = 0, length: int | None = None
) -> bytes:
    image = bytearray((setup_sects + 1) * 512)
    image[0x1F1] = setup_sects
    image[0x202:0x206] = b"HdrS"
    image[0x248:0x24C] = offset.to_bytes(4, "little")
    size = len(payload) if length is None else length
    image[0x24C:0x250] = size.to_bytes(4, "little")
    return bytes(image) + payload


def test_the_payload_is_found_without_its_size_field() -> None:
    assert kernel.payload(bzimage(b"zstd data" + b"SIZE")) == b"zstd data"


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"MZ" * 400,
        bzimage(b"abcdefgh", length=9),
        bzimage(b"abcdefgh", offset=1),
        bzimage(b"abcdefgh", length=4),
        bzimage(b"abcdefgh", length=0xFFFF_FFFF),
    ],
)
def test_a_payload_outside_the_file_is_refused(image: bytes) -> None:
    with pytest.raises(HostError):
        kernel.payload(image)
