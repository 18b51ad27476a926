"""What `vmm boot` imports: the start-up budget, held by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Modules that cost more than a share of a machine's start, or pull in such ones.
HEAVY = (
    "argparse", "ast", "asyncio", "cffi", "click", "collections", "concurrent", "contextlib",
    "dataclasses", "difflib", "enum", "functools", "hashlib", "inspect", "json", "logging",
    "pathlib", "pyroute2", "re", "select", "selectors", "shutil", "signal", "socket", "structlog",
    "subprocess", "tempfile", "threading", "tomllib", "traceback", "typing",
)  # fmt: skip

# Everything that stands between the interpreter and `VmConfig`, besides what it loads by itself.
LEAN = {
    "__future__",
    "vmm",
    "vmm.__main__",
    "vmm.argv",
    "vmm.check",
    "vmm.cli",
    "vmm.cli.boot",
    "vmm.config",
    "vmm.consoleconfig",
    "vmm.errors",
    "vmm.layout",
    "vmm.options",
    "vmm.pciplan",
    "vmm.record",
    "vmm.texts",
    "vmm.values",
}

PROBE = """
import sys
before = set(sys.modules)
sys.path.insert(0, {top!r})
from vmm import __main__
{body}
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""
TOP = str(Path(__file__).resolve().parents[2])


def loaded(body: str) -> set[str]:
    """Modules that `body` loads in an isolated interpreter beyond its own."""
    code = PROBE.format(top=TOP, body=body)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


def test_argv_to_configuration_loads_only_what_is_listed() -> None:
    body = (
        "from vmm.cli.boot import *\n"
        "argv = '-k k -m 1G --cpus=4 --cpu host,-avx --console null -- quiet'.split()\n"
        "VmConfig.from_values(*scan(argv, BOOT_OPTIONS))"
    )

    assert loaded(body) == LEAN


@pytest.mark.parametrize("argv", ["-k k --dump-config", "-k /dev/null --dry-run"])
def test_actions_without_a_machine_load_nothing_native(argv: str) -> None:
    names = loaded(f"__main__.main({['boot', *argv.split()]!r})")

    assert "vmm.native" not in names
    assert "click" not in names


def test_the_way_to_the_machine_is_free_of_heavy_modules() -> None:
    names = loaded("import vmm.control.run, vmm.control.signals, vmm.control.escape, vmm.stats")

    assert names.isdisjoint(HEAVY)


@pytest.mark.needs("kvm")
def test_nothing_heavy_is_loaded_when_the_guest_starts() -> None:
    body = (
        "from vmm import machine\n"
        "def launch(self):\n"
        "    raise SystemExit\n"
        "machine.Machine._launch = launch\n"
        "loaded = set()\n"
        "enter = machine.Machine.__enter__\n"
        "def entered(self):\n"
        "    enter(self)\n"
        "    loaded.update(sys.modules)\n"
        "    return self\n"
        "machine.Machine.__enter__ = entered\n"
        "try:\n"
        "    __main__.main(['boot', '-k', 'guests/build/null.elf', '--console', 'null'])\n"
        "except SystemExit:\n"
        "    for name in set(sys.modules) - loaded:\n"
        "        del sys.modules[name]\n"
    )

    names = loaded(body)

    assert "vmm.devices.platform" in names
    assert names.isdisjoint(HEAVY), sorted(names & set(HEAVY))
