"""How many descriptors this process may have."""

from __future__ import annotations

import os

from vmm.errors import HostError

MARGIN = 64  # beyond what is asked for: the rest of a machine


def allow_descriptors(more: int, what: str) -> None:
    """Raises the soft limit of open files as far as `more` of them, for `what`, need it.

    HostError if the hard limit is too low.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = len(os.listdir("/proc/self/fd")) + more + MARGIN
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        raise HostError(
            f"{what} needs {more:,} descriptors, {need:,} with those of the rest, and this process "
            f"may have {hard:,}; sudo prlimit --pid $$ --nofile={need}:{need} (in a unit file: "
            f"LimitNOFILE={need})"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
