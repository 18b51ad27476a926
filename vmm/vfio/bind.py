"""Taking functions from their drivers for vfio-pci, and giving them back.

A function's `driver_override` names the one driver it may have, so no other function of its kind is
touched. What was there before is written down first; when a step fails, all before it are undone.
"""

from __future__ import annotations

import os

from vmm.errors import HostError
from vmm.host.files import write_bounded
from vmm.host.survey import at
from vmm.record import replace
from vmm.vfio.check import IN_USE, VITAL, check, refusals
from vmm.vfio.journal import Entry, Journal
from vmm.vfio.steps import Step, Sysfs
from vmm.vfio.sysfs import DEVICES, DRIVERS, VFIO_PCI, Function, for_vfio, function, link_name
from vmm.vfio.usage import Holder, holders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmm.vfio.steps import Write

PROBE = "/sys/bus/pci/drivers_probe"
TOLD = {IN_USE: "say --force to take it all the same", VITAL: "or say both --force and --really"}


class Binder:
    """The host whose functions are bound. `write` is how sysfs is written."""

    def __init__(self, root: str = "/", write: Write = write_bounded) -> None:
        self.root = root
        self.host = Sysfs(root, write)

    # --- taking

    def refuse(
        self,
        picked: Sequence[Function],
        force: bool = False,
        really: bool = False,
        memory: int = 0,
    ) -> None:
        """HostError with the first reason why these functions must not be taken.

        memory: bytes of the guest that shall have them; 0 if none shall.
        """
        taken = [one.address for one in picked]
        reasons = [reason for one in picked for reason in check(one, self.root, taken, memory)]
        found = refusals(reasons, force, really)
        if not found:
            return
        first, *others = found
        parts = [f"{first.address} cannot be taken: {first.what}", first.mend]
        parts.append(TOLD.get(first.level, ""))
        if others:
            parts.append(f"`vmm vfio check` tells {len(others)} more")
        raise HostError("; ".join(filter(None, parts)))

    def plan(self, picked: Sequence[Function]) -> list[Step]:
        """What bind() would do."""
        steps = [step for one in picked for step in self._steps(one)]
        if steps and not self._loaded():
            steps.insert(0, Step(path="", text=f"modprobe {VFIO_PCI}"))
        return steps

    def _steps(self, one: Function) -> list[Step]:
        if for_vfio(one):
            return []
        steps = [Step(path=f"{DEVICES}/{one.address}/driver_override", text=VFIO_PCI)]
        if one.driver:
            steps.append(Step(path=f"{DRIVERS}/{one.driver}/unbind", text=one.address))
        return [*steps, Step(path=PROBE, text=one.address)]

    def bind(
        self,
        picked: Sequence[Function],
        force: bool = False,
        really: bool = False,
        *,
        temporary: bool = False,
    ) -> list[str]:
        """Binds all of them to vfio-pci, or none. Returns those that were not bound before.

        temporary: for as long as the caller needs them, who ends that by release().

        HostError, and nothing is changed, where refuse() finds a reason: it is asked before the
        lock is taken, and again behind it, because another process may just have let go of it.
        """
        self.refuse(picked, force, really)
        self._load()
        done: list[str] = []
        added: list[str] = []
        with Journal(self.root) as journal:
            now = [function(one.address, self.root) for one in picked]
            self.refuse(now, force, really)
            try:
                for one in now:
                    steps = self._steps(one)
                    if not temporary:
                        _keep(one.address, journal)
                    if not steps:
                        continue
                    if not _half_way(one, journal):
                        entry = Entry(
                            address=one.address,
                            driver=one.driver,
                            override=one.override,
                            taker=os.getpid() if temporary else None,
                        )
                        journal.add(entry)
                        added.append(one.address)
                    self.host.do(steps)
                    self.host.expect(one.address, VFIO_PCI)
                    done.append(one.address)
            except (HostError, KeyboardInterrupt) as error:
                self._undo(added, journal, error)
                raise
        return done

    def _undo(self, added: Sequence[str], journal: Journal, cause: BaseException) -> None:
        problems = []
        for address in reversed(added):
            try:
                self._give_back(address, journal)
            except HostError as error:
                problems.append(f"giving it back failed too: {error}")
        if problems:
            raise HostError("; ".join([str(cause) or "interrupted", *problems])) from cause

    def _loaded(self) -> bool:
        return os.path.isdir(at(self.root, f"{DRIVERS}/{VFIO_PCI}"))

    def _load(self) -> None:
        if self._loaded():
            return
        import subprocess

        try:
            done = subprocess.run(
                ["modprobe", VFIO_PCI], capture_output=True, text=True, check=False
            )
            problem = done.stderr.strip() if done.returncode else ""
        except OSError as error:
            problem = f"modprobe: {error.strerror}"
        if problem:
            raise HostError(f"Loading {VFIO_PCI} failed: {problem}; is it in this kernel?")

    # --- giving back

    def restore_plan(self, address: str, journal: Journal) -> list[Step]:
        """What restore() would write. HostError where it would give nothing back."""
        entry = journal.get(address)
        if entry is None:
            raise HostError(f"{address} was not taken by `vmm vfio bind`")
        if not self.host.there(address):
            return []
        self._not_open(address)
        now = link_name(f"{DEVICES}/{address}/driver", self.root)
        steps = [Step(path=f"{DEVICES}/{address}/driver_override", text=entry.override)]
        if now != entry.driver:
            if now:
                steps.append(Step(path=f"{DRIVERS}/{now}/unbind", text=address))
            if entry.driver:
                steps.append(Step(path=f"{DRIVERS}/{entry.driver}/bind", text=address))
        return steps

    def restore(self, addresses: Sequence[str] = ()) -> list[str]:
        """Gives these functions back, or all that were taken. Returns those that were given back.

        HostError if one of them was not taken, or cannot be had back: the others are all the same.
        """
        with Journal(self.root) as journal:
            return self._give_all_back(tuple(addresses) or journal.addresses(), journal)

    def release(self, addresses: Sequence[str], bound: Sequence[str]) -> None:
        """Gives back those that were taken for a time only, once nobody has them any more.

        bound: what bind() took for the caller. Others may have been taken by a command that ended
        while the caller had them; what another process has open now is that one's to give back.
        HostError as restore().
        """
        journal = Journal(self.root)
        if not bound and not os.access(journal.folder, os.W_OK):
            return  # a user who may open what is bound, and not bind
        with journal:
            due = [one for one in addresses if self._is_due(one, one in bound, journal)]
            self._give_all_back(due, journal)

    def _is_due(self, address: str, own: bool, journal: Journal) -> bool:
        entry = journal.get(address)
        if entry is None or entry.taker is None:
            return False
        users = self._users(address)
        if own and users:
            journal.add(replace(entry, taker=0))
        runs = not own and entry.taker and os.path.isdir(at(self.root, f"/proc/{entry.taker}"))
        return not users and not runs

    def _give_all_back(self, addresses: Sequence[str], journal: Journal) -> list[str]:
        problems: list[str] = []
        done: list[str] = []
        for address in dict.fromkeys(addresses):
            try:
                self._give_back(address, journal)
                done.append(address)
            except HostError as error:
                problems.append(str(error))
        if problems:
            raise HostError("; ".join(problems))
        return done

    def _give_back(self, address: str, journal: Journal) -> None:
        steps, entry = self.restore_plan(address, journal), journal.get(address)
        self.host.do(steps)
        if entry is not None and self.host.there(address):
            self.host.expect(address, entry.driver)
        journal.remove(address)

    def _not_open(self, address: str) -> None:
        """vfio-pci lets go only when nobody has the function open any more."""
        for holder in self._users(address):
            raise HostError(
                f"{address} is still in use by process {holder.pid} ({holder.name}); "
                f"end it with `kill {holder.pid}`, then try again"
            )

    def _users(self, address: str) -> list[Holder]:
        """Who has it open, or another of its group, which needs it away from its driver."""
        if not self.host.there(address):
            return []
        one = function(address, self.root)
        if not for_vfio(one):
            return []
        nodes = [f"/dev/vfio/{one.group}"]
        nodes += [function(member, self.root).node for member in one.members]
        return [holder for node in filter(None, nodes) for holder in holders(node, self.root)]


def _keep(address: str, journal: Journal) -> None:
    """What was taken for a time stays taken from here on."""
    entry = journal.get(address)
    if entry is not None and entry.taker is not None:
        journal.add(replace(entry, taker=None))


def _half_way(one: Function, journal: Journal) -> bool:
    """Whether somebody was killed while he took the function or gave it back.

    Then the entry of that time tells what to come back to, and what is seen now does not.
    """
    between = one.override == VFIO_PCI or not one.driver
    return between and journal.get(one.address) is not None
