"""The probe for stock kernels: its machine code, and hosts without a usable KVM."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vmm.host import kvmsteps
from vmm.host.kvm import stock_kernel_problem

STEPS = [*kvmsteps.INSTRUCTIONS, *kvmsteps.ABILITIES]


def assemble(source: str, folder: Path) -> bytes:
    """What the GNU assembler makes of AT&T syntax."""
    text, object_file, flat = folder / "step.s", folder / "step.o", folder / "step.bin"
    text.write_text(source.replace("; ", "\n") + "\n")
    subprocess.run(["as", "--64", "-o", object_file, text], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", object_file, flat], check=True)
    return flat.read_bytes()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.can)
def test_the_machine_code_is_what_its_source_assembles_to(
    step: kvmsteps.Step, tmp_path: Path
) -> None:
    assert step.code == assemble(step.source + "; hlt", tmp_path)


def test_no_step_runs_into_the_scratch_page() -> None:
    assert all(kvmsteps.STEP + len(step.code) <= kvmsteps.SCRATCH for step in STEPS)


def test_a_missing_device_is_told() -> None:
    assert stock_kernel_problem("/nonexistent/kvm") == (
        "/nonexistent/kvm does not exist, so there is no KVM on this host"
    )


def test_a_device_that_is_not_kvm_is_told() -> None:
    problem = stock_kernel_problem("/dev/null")
    assert problem is not None
    assert problem.startswith("/dev/null cannot run a virtual machine: ")


def test_a_device_without_permission_is_told(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch(mode=0)
    os.chmod(tmp_path, 0o755)
    assert _as_nobody(str(device)) == f"{device} may not be opened by this user"


def _as_nobody(path: str) -> str:
    """The answer in a child that is not root."""
    stock_kernel_problem("/nonexistent/kvm")  # imports everything while that is still possible
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            os.write(writer, str(stock_kernel_problem(path)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text
