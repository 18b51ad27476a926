"""The exception tree and the exit codes. Every error that reaches a user is one of these.

The VMM's own exit codes are even, because isa-debug-exit's are odd: (value << 1) | 1.
"""

from __future__ import annotations

EXIT_OK = 0  # the guest powered itself off
EXIT_USAGE = 2  # usage or configuration
EXIT_HOST = 4  # device node, capability, permission
EXIT_KVM = 6  # KVM or VFIO refused something
EXIT_IMAGE = 8  # kernel, initrd or other boot image
EXIT_REPORT = 10  # the guest ended as said on stderr, but the exit report could not be written
EXIT_INTERNAL = 70  # a fault of the VMM itself; --debug shows where
EXIT_TIMEOUT = 124  # --timeout ran out
EXIT_SIGNAL = 130  # SIGINT, SIGTERM, SIGHUP or SIGPIPE ended the VMM; the report names it
EXIT_RESET = 252  # the guest reset itself and --reboot exit was given
EXIT_CRASH = 254  # triple fault, KVM internal error, failed entry
EXIT_PANIC = 255  # guest panic: pvpanic or the console's panic line


class VmmError(Exception):
    """Base of all. `str()` is one sentence: what was tried, on what, what came back, what to do."""

    exit_code = EXIT_USAGE


class ConfigError(VmmError):
    """The user's configuration cannot work; `problems` holds every fault, not just the first."""

    exit_code = EXIT_USAGE

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class HostError(VmmError):
    """The host lacks something: a device node, a capability, a permission."""

    exit_code = EXIT_HOST


class IoctlError(VmmError, OSError):
    """A request to the kernel failed.

    `call` is the ioctl's uapi name, `errno` the positive error number.
    """

    exit_code = EXIT_KVM

    def __init__(self, call: str, errno: int, about: str = "") -> None:
        import os

        OSError.__init__(self, errno, os.strerror(errno))
        self.call = call
        self.about = about

    def __str__(self) -> str:
        where = f" ({self.about})" if self.about else ""
        return f"{self.call}{where} failed: {self.strerror}"


class KvmError(IoctlError):
    """An ioctl on /dev/kvm or one of its fds failed."""


class VfioError(IoctlError):
    """An ioctl on a VFIO or iommufd descriptor failed."""


class BootError(VmmError):
    """A kernel, initrd or other boot image cannot be used."""

    exit_code = EXIT_IMAGE


class StateError(VmmError):
    """What the machine's present state does not allow, or a saved state that does not fit."""

    exit_code = EXIT_USAGE


class GuestCrash(VmmError):
    """Triple fault, KVM internal error, failed entry. `report` has registers and the last exits."""

    exit_code = EXIT_CRASH

    def __init__(self, message: str, report: dict[str, object]) -> None:
        super().__init__(message)
        self.report = report
