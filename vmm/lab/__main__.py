"""`python -m vmm.lab`: the lab without the rest of the command line, for use before anything is
built.

run [OPTIONS] -- COMMAND, shell [OPTIONS] [-- COMMAND]: the lab, with the options of `vmm lab`.
fetch: fill the cache. headers: fill it, then print the include folder of the lab's kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vmm.argv import nearest, scan
from vmm.errors import EXIT_OK, ConfigError, VmmError
from vmm.lab import LabConfig, lab_run, lab_shell
from vmm.lab.kernel import kernel
from vmm.options import options_of
from vmm.sentences import explain

WHO = "vmm lab"
OPTIONS = options_of("lab")
LABS = {"run": lab_run, "shell": lab_shell}
FETCHES = ("fetch", "headers")


def main(argv: Sequence[str]) -> int:
    try:
        return command(argv)
    except VmmError as error:
        return explain(error, WHO)


def command(argv: Sequence[str]) -> int:
    """Runs `argv`; its exit code. Raises VmmError."""
    verb, *words = argv or ("--help",)
    whose = "the command's words"
    values, problems = scan(words, OPTIONS, whose)
    if verb in ("-h", "--help") or values.pop("help", False):
        print(usage(), end="")
        return EXIT_OK
    if verb not in LABS and verb not in FETCHES:
        problems = [f"there is no command {verb}{nearest(verb, (*LABS, *FETCHES))}"]
    if problems:
        raise ConfigError(*problems)
    if verb in LABS:
        return LABS[verb](LabConfig.from_values(values))
    if words:
        raise ConfigError(f"{verb} takes no further words, so {words[0]!r} cannot be right")
    found = kernel()
    print(found.headers if verb == "headers" else found.version)
    return EXIT_OK


def usage() -> str:
    """What --help shows: this module's own words, and the table."""
    rows = [(row.spelling, row.help) for row in OPTIONS]
    width = max(len(spelling) for spelling, _help in rows)
    return "\n".join([__doc__ or "", *(f"  {name:<{width}}  {help}" for name, help in rows), ""])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
