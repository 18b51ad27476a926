"""The table of exit codes, for the manual and docs/exit-codes.md; vmm/errors.py has the numbers."""

from __future__ import annotations

from vmm import errors

# fmt: off
# (code, short name, meaning)
EXIT_CODES: tuple[tuple[int, str, str], ...] = (
    (errors.EXIT_OK, "power-off", "The guest powered itself off, or was ended on request "
     "(Ctrl-A x, the control socket)."),
    (errors.EXIT_USAGE, "usage", "The command line or the configuration cannot work, or a command "
     "does not suit the machine's state."),
    (errors.EXIT_HOST, "host", "The host lacks something: a device node, a capability, a "
     "permission, a place to write."),
    (errors.EXIT_KVM, "KVM", "KVM or VFIO refused a request."),
    (errors.EXIT_IMAGE, "image", "A kernel, initrd or module cannot be used."),
    (errors.EXIT_REPORT, "report", "The guest ended as standard error says, but the exit report "
     "could not be written."),
    (errors.EXIT_INTERNAL, "internal", "A fault of vmm itself; --debug shows where."),
    (errors.EXIT_TIMEOUT, "timeout", "--timeout ran out."),
    (errors.EXIT_SIGNAL, "signal", "SIGINT, SIGTERM, SIGHUP or SIGPIPE ended vmm; the report "
     "names it."),
    (errors.EXIT_RESET, "reset", "The guest reset itself, and --reboot exit was given."),
    (errors.EXIT_CRASH, "crash", "The guest crashed: triple fault, KVM internal error, failed "
     "entry."),
    (errors.EXIT_PANIC, "panic", "The guest panicked, as pvpanic or its console tells."),
)
# fmt: on

DEBUG_EXIT = (
    "odd",
    "debug-exit",
    "The guest wrote v to isa-debug-exit: the code is (v << 1) | 1, cut to the eight bits that a "
    "shell sees.",
)
