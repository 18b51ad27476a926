"""Whether this host's KVM can run a stock Linux kernel: tried, not guessed by name or version."""

from __future__ import annotations


def stock_kernel_problem(path: str = "/dev/kvm") -> str | None:
    """None if KVM behind `path` runs what stock kernels execute, else one sentence why it does not.

    It runs some dozen tiny pieces of guest code in a throw-away VM, which takes milliseconds. Some
    KVMs emulate the guest's kernel mode and lack instructions; others are missing, locked, or not
    KVM at all. The sentence has no full stop and names `path`.
    """
    try:
        from vmm.host import kvmprobe

        return kvmprobe.problem(path)
    except FileNotFoundError:
        return f"{path} does not exist, so there is no KVM on this host"
    except PermissionError:
        return f"{path} may not be opened by this user"
    except OSError as error:
        return f"{path} cannot be opened: {error.strerror}"
