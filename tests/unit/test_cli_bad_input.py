"""What a user may get wrong: one sentence, the documented code, no traceback. Real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import bootkit
from vmm.errors import EXIT_HOST, EXIT_IMAGE, EXIT_USAGE

LOOP = b"\xeb\xfe"  # jmp to itself, for the flat protocol


POWERLESS = "exec setpriv --bounding-set=-all"  # root, but subject to file permissions


def vmm(*argv: str, inside: str = "") -> subprocess.CompletedProcess[str]:
    """`vmm ARGV`; with `inside`, after that shell text in namespaces of its own.

    The text ends with what the command is given to, `exec` or POWERLESS.
    """
    command = [sys.executable, "-m", "vmm", *argv]
    if inside:
        command = ["unshare", "-rm", "sh", "-ec", f'{inside} "$@"', "sh", *command]
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one sentence on stderr, having checked everything else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("vmm: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr.removeprefix("vmm: ").rstrip("\n")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "garbage").write_bytes(bytes(range(256)) * 300)
    (tmp_path / "directory").mkdir()
    elf = b"\x7fELF\x02\x01\x01" + bytes(9)
    arm = (2).to_bytes(2, "little") + (183).to_bytes(2, "little")  # ET_EXEC, EM_AARCH64
    (tmp_path / "arm").write_bytes(elf + arm + bytes(4096))
    arm_image = b"MZ" + bytes(54) + b"ARM\x64"  # the kernel's own format there
    (tmp_path / "arm-image").write_bytes(arm_image + bytes(4096))
    (tmp_path / "truncated").write_bytes(elf + b"\x02\x00\x3e\x00")
    packed = bootkit.bzimage(bootkit.gzip_payload(bootkit.linux_elf()))
    (tmp_path / "truncated-bzimage").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "truncated-vmlinux").write_bytes(bootkit.linux_elf()[:-1000])
    (tmp_path / "loop").write_bytes(LOOP + bytes(510))
    (tmp_path / "bad.toml").write_text('kernel = "loop"\nmemory = "1G"\n')
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("missing", "directory", "empty", "garbage", "arm", "arm-image"),
        *("truncated", "truncated-bzimage", "truncated-vmlinux"),
    ],
)
def test_an_image_that_cannot_boot_is_named(files: Path, name: str) -> None:
    said = complaint(vmm("boot", "-k", str(files / name)), EXIT_IMAGE)

    assert str(files / name) in said
    assert complaint(vmm("boot", "-k", str(files / name), "--dry-run"), EXIT_IMAGE) == said


def test_an_initrd_too_large_is_told_by_a_dry_run_too(tmp_path: Path) -> None:
    kernel = bootkit.write(tmp_path / "kernel", bootkit.linux_elf())
    with (tmp_path / "initrd").open("wb") as file:
        file.truncate(64 << 20)
    argv = ["boot", "-k", kernel, "-i", str(tmp_path / "initrd"), "-m", "32M", "--dry-run"]

    assert "no room" in complaint(vmm(*argv), EXIT_IMAGE)


def test_a_kernel_without_a_clock_is_told_by_a_dry_run_too(tmp_path: Path) -> None:
    kernel = bootkit.write(tmp_path / "kernel", bootkit.linux_elf())
    argv = ["boot", "-k", kernel, "--append", "no-kvmclock", "--dry-run"]

    assert "would wait for ever" in complaint(vmm(*argv), EXIT_USAGE)


@pytest.mark.parametrize("name", ["missing", "directory"])
def test_an_initrd_that_cannot_be_read_is_named(files: Path, name: str) -> None:
    argv = ["-k", str(files / "loop"), "--boot-protocol=flat", "-i", str(files / name)]

    assert str(files / name) in complaint(vmm("boot", *argv), EXIT_IMAGE)


@pytest.mark.needs("root")
def test_an_image_without_permission_is_named(files: Path) -> None:
    os.chmod(files / "garbage", 0)

    done = vmm("boot", "-k", str(files / "garbage"), inside=POWERLESS)

    said = complaint(done, EXIT_IMAGE)
    assert str(files / "garbage") in said
    assert "may not be read by this user" in said


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-m", "0"], "--mem is 0B; a machine needs at least 1M"),
        (["-m", "0x10001001"], "not a multiple of the 4 KiB page"),
        (["-m", "99999999T"], "is the limit"),
        (["-m", "-1"], "wants a size"),
        (["-c", "0"], "at least one vCPU"),
        (["-c", "256"], "because xAPIC ids have 8 bits"),
        (["-c", "1e3"], "wants a number"),
        (["--cpu", "host,topology=1:2:2"], "makes 4 vCPUs, but --cpus is 1"),
        (["--console", "tty"], "wants stdio"),
        (["--timeout", "0"], "more than 0 seconds"),
        (["--kernul"], "did you mean --kernel?"),
        (["--state-dir"], "wants a value"),
        (["--config", "{files}/bad.toml"], "there is no key 'memory'"),
        (["--config", "{files}/missing.toml"], "No such file or directory"),
    ],
)
def test_a_configuration_that_cannot_work_is_one_sentence(
    files: Path, argv: list[str], words: str
) -> None:
    filled = [word.format(files=files) for word in argv]

    assert words in complaint(vmm("boot", "-k", "k", *filled), EXIT_USAGE)


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("exec", "does not exist"),
        ("touch /dev/kvm; exec", "is not the KVM device"),
        ("mkdir /dev/kvm; exec", "Is a directory"),
        (f"touch /dev/kvm; chmod 0 /dev/kvm; {POWERLESS}", "permission denied"),
    ],
)
def test_a_host_without_a_usable_dev_kvm_is_one_sentence(
    files: Path, inside: str, words: str
) -> None:
    argv = ["boot", "-k", str(files / "loop"), "--boot-protocol=flat", "--console=null"]

    done = vmm(*argv, inside=f"mount -t tmpfs none /dev; {inside}")

    said = complaint(done, EXIT_HOST)
    assert "/dev/kvm" in said
    assert words in said


@pytest.mark.needs("root")
def test_doctor_says_that_no_guest_can_run_and_why() -> None:
    done = vmm("doctor", inside="mount -t tmpfs none /dev; exec")

    assert done.returncode == EXIT_HOST
    assert done.stderr == ""
    assert "! /dev/kvm" in done.stdout
    assert "mend: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Guests cannot run here: /dev/kvm")


@pytest.mark.parametrize("argv", [[], ["boot", "-h"], ["boot"], ["nonsense"], ["boot", "-k", "k"]])
def test_closed_standard_streams_are_no_reason_to_crash(argv: list[str]) -> None:
    command = [sys.executable, "-m", "vmm", *argv]

    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], check=False, timeout=60
    )

    assert done.returncode in (0, EXIT_USAGE, EXIT_IMAGE)
