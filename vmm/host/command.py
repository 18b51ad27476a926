"""`vmm` once more, as a process of its own."""

from __future__ import annotations

import sys

START = "import sys; at = sys.argv.pop(1); at in sys.path or sys.path.insert(0, at); "
VMM = "from vmm.__main__ import command; command()"


def vmm_command(*words: str) -> list[str]:
    """`vmm WORDS` with the Python and the package that run now."""
    return own_command(VMM, *words)


def own_command(code: str, *words: str) -> list[str]:
    """`code`, which finds the package that runs now, with `words` as its arguments.

    The folder that somebody happens to be in is not searched for modules, as `python -m` would.
    """
    package = __file__.rpartition("/")[0].rpartition("/")[0]
    return [sys.executable, "-I", "-c", START + code, package.rpartition("/")[0], *words]
