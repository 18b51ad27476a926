"""Looking at hypercalls: what `--trace xen` tells of each, and how refusals compare with Xen's.

Those that KVM answers by itself are read from its trace event kvm_xen_hypercall, which comes for
every call when it begins: one that has come here as well is told once, by us. Those that our C
answers are read from its records (quickcalls.py).
"""

from __future__ import annotations

from errno import errorcode
from struct import calcsize, unpack_from
from time import monotonic

from vmm import log
from vmm.closing import close_all
from vmm.threads import Lock
from vmm.xen import abi
from vmm.xen.abi import Again, XenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from vmm.trace import Trace
    from vmm.xen.call import Call

EVENT, THREAD = ": kvm_xen_hypercall: ", "vcpu"
LATE = 0.2  # seconds within which a call that KVM hands over has come here
KNOWN_MAX = 4096  # calls of ours that are remembered for it

# What lies behind an argument: its place among the arguments, layout and names.
EVTCHN, VCPU, HVM = abi.EVENT_CHANNEL_OP, abi.VCPU_OP, abi.HVM_OP
EXTENTS = (1, "<QQIIH", "extents count order flags domain")
BEHIND = {
    (EVTCHN, 0): (1, "<H2xII", "remote remote_port port"),
    (EVTCHN, 1): (1, "<III", "virq vcpu port"),
    (EVTCHN, 2): (1, "<III", "pirq flags port"),
    (EVTCHN, 3): (1, "<I", "port"),
    (EVTCHN, 4): (1, "<I", "port"),
    (EVTCHN, 5): (1, "<H2xII", "domain port status"),
    (EVTCHN, 6): (1, "<HHI", "domain remote port"),
    (EVTCHN, 7): (1, "<II", "vcpu port"),
    (EVTCHN, 8): (1, "<II", "port vcpu"),
    (EVTCHN, 9): (1, "<I", "port"),
    (EVTCHN, 10): (1, "<H", "domain"),
    (EVTCHN, 13): (1, "<II", "port priority"),
    (abi.XEN_VERSION, 6): (1, "<II", "submap features"),
    (abi.MEMORY_OP, 0): EXTENTS,
    (abi.MEMORY_OP, 1): EXTENTS,
    (abi.MEMORY_OP, 6): EXTENTS,
    (abi.MEMORY_OP, 7): (1, "<HHIQQ", "domain size space index frame"),
    (abi.MEMORY_OP, 9): (1, "<I4xQ", "count areas"),
    (abi.MEMORY_OP, 15): (1, "<H6xQ", "domain frame"),
    (abi.SCHED_OP, 2): (1, "<I", "reason"),
    (abi.SCHED_OP, 3): (1, "<QI4xQ", "ports count timeout"),
    (abi.SCHED_OP, 6): (1, "<II", "watchdog seconds"),
    (VCPU, 5): (2, "<Q", "address"),
    (VCPU, 6): (2, "<Q", "period"),
    (VCPU, 8): (2, "<QI", "when flags"),
    (VCPU, 10): (2, "<QI", "frame offset"),
    (VCPU, 13): (2, "<Q", "address"),
    (VCPU, 14): (2, "<Q", "address"),
    (VCPU, 15): (2, "<Q", "address"),
    (HVM, 0): (1, "<H2xIQ", "domain index value"),
    (HVM, 1): (1, "<H2xIQ", "domain index value"),
    (HVM, 15): (1, "<HH4xQ", "domain type frame"),
    (HVM, 23): (1, "<IB", "vcpu vector"),
    (abi.PHYSDEV_OP, 5): (1, "<II", "pirq flags"),
    (abi.PHYSDEV_OP, 12): (1, "<I", "pirq"),
    (abi.PHYSDEV_OP, 13): (1, "<H2xiii", "domain kind index pirq"),
    (abi.PHYSDEV_OP, 14): (1, "<H2xi", "domain pirq"),
    (abi.PHYSDEV_OP, 23): (1, "<iI", "kind pirq"),
    (abi.GRANT_TABLE_OP, 6): (1, "<H2xIIh", "domain frames max_frames status"),
    (abi.GRANT_TABLE_OP, 8): (1, "<I", "version"),
}
NOTHING = (0, "", "")  # of an operation that points to no structure
# Layouts that are others where a 32-bit guest made the call.
NARROW = {
    (abi.MEMORY_OP, 0): "<IIIIH",
    (abi.MEMORY_OP, 1): "<IIIIH",
    (abi.MEMORY_OP, 6): "<IIIIH",
    (abi.MEMORY_OP, 7): "<HHIII",
    (abi.MEMORY_OP, 9): "<II",
    (abi.MEMORY_OP, 15): "<H2xI",
    (abi.SCHED_OP, 3): "<IIQ",
    (VCPU, 5): "<I",
    (VCPU, 13): "<I",
}

# Refused here with ENOSYS or EOPNOTSUPP, though Xen 4.17 does it for an HVM domain.
XEN_DOES = {
    "event_channel_op init_control",
    "event_channel_op expand_array",
    "event_channel_op set_priority",
    "grant_table_op set_version",
    "grant_table_op unknown",  # mapping, copying, swapping
    "vcpu_op register_vcpu_time_memory_area",  # by the userspace back-end
    "vcpu_op get_runstate_info",  # on a host without scheduler statistics
}
NOT_THERE = (abi.ENOSYS, abi.EOPNOTSUPP)


def _error(number: int) -> str:
    """Its name in Xen; Python knows EOPNOTSUPP by another."""
    return "EOPNOTSUPP" if number == abi.EOPNOTSUPP else errorcode.get(number, str(number))


def conformance(refused: dict[str, int]) -> list[dict[str, object]]:
    """Each kind of refusal (name and error number), and whether Xen would have refused, too."""
    rows: list[dict[str, object]] = []
    for key, count in sorted(refused.items()):
        name, _, number = key.rpartition(" ")
        does = name in XEN_DOES and int(number) in NOT_THERE
        xen = "answers" if does else "refuses"
        rows.append({"call": name, "error": _error(int(number)), "count": count, "xen": xen})
    return rows


def _outcome(result: int) -> dict[str, object]:
    if result >= 0:
        return {"result": result}
    return {"result": result, "error": _error(-result)}


class Observer:
    """Writes a line for each hypercall. `name_of(number, first argument)`: see hypercalls."""

    def __init__(
        self, trace: Trace, ids: Sequence[int], name_of: Callable[[int, int], tuple[str, int]]
    ) -> None:
        """ids: KVM's number of each vCPU."""
        self._trace, self._ids, self._name_of = trace, list(ids), name_of
        self._readers: list[Any] = []
        self._lock = Lock()  # guards the two below
        self._ours: list[tuple[int, int, int, float]] = []
        self._waiting: list[tuple[float, int, int, list[int]]] = []

    def follow_kvm(self) -> None:
        """Tells of what KVM answers, too, where its trace can be read; says so if not."""
        from vmm.host.tracefs import EventReader

        try:
            reader = EventReader("kvm/kvm_xen_hypercall", self._kernel, self._settle)
            self._readers.append(reader)
        except OSError as error:
            log.limited("trace.kernel_calls_not_read", error=str(error))

    def follow_quick(self, xenus: object) -> None:
        """Tells of what the `struct xenus *` answers, too."""
        from vmm.xen.quickcalls import QuickCalls

        self._readers.append(QuickCalls(xenus, len(self._ids), self._quick))

    def answered(self, call: Call, began: float, result: int | BaseException) -> None:
        """Context: the vCPU's thread, behind the answer."""
        took, fields = monotonic() - began, self._behind(call)
        with self._lock:
            self._ours = self._ours[-KNOWN_MAX:]
            self._ours.append((call.vcpu, call.number, call.params[0], began))
        outcome: dict[str, object] = {"result": result}
        if isinstance(result, XenError):
            outcome = _outcome(-result.number)
        elif isinstance(result, Again):
            outcome = {"result": None, "again": True}
        elif isinstance(result, BaseException):
            outcome = {"result": None, "ends": type(result).__name__}
        head = self._head(call.vcpu, call.number, call.params)
        self._trace.write(
            "xen", began, **head, **fields, **outcome, us=round(took * 1e6, 1), by="vmm"
        )

    def _head(self, vcpu: int, number: int, params: Sequence[int]) -> dict[str, object]:
        name, op = self._name_of(number, params[0])
        return {"vcpu": vcpu, "call": name, "number": number, "op": op, "args": list(params)}

    def _behind(self, call: Call) -> dict[str, object]:
        """The structure that an argument points to, as the call has left it."""
        _name, op = self._name_of(call.number, call.params[0])
        if (call.number, op) not in BEHIND:
            return {}
        place, layout, names = BEHIND[call.number, op]
        if not call.wide:
            layout = NARROW.get((call.number, op), layout)
        try:
            values = call.read_struct(call.params[place], layout)
        except XenError:
            return {}
        return {"fields": dict(zip(names.split(), values, strict=True))}

    # --- what C answers; its reader's thread

    def _quick(self, vcpu: int, seen: Any) -> None:
        head = self._head(vcpu, seen.number, list(seen.params))
        _name, op = self._name_of(seen.number, seen.params[0])
        _place, layout, names = BEHIND.get((seen.number, op), NOTHING)
        fields: dict[str, object] = {}
        if 0 < calcsize(layout) <= seen.behind_length:
            values = unpack_from(layout, bytes(seen.behind))
            fields = {"fields": dict(zip(names.split(), values, strict=True))}
        us = round(seen.took / 1e3, 1)
        began = seen.began / 1e9
        self._trace.write("xen", began, **head, **fields, **_outcome(seen.result), us=us, by="vmm")

    # --- what KVM answers; the reader's thread

    def _kernel(self, line: str) -> None:
        """`vcpu0-77 [000] ..... 12.345678: kvm_xen_hypercall: cpl 0 nr 0x11 a0 0x0 a1 0x0 ...`"""
        head, _, tail = line.partition(EVENT)
        words, values = head.split(), tail.split()[1::2]
        try:
            kvm_id = int(words[0].rpartition("-")[0].removeprefix(THREAD))
            vcpu, at = self._ids.index(kvm_id), float(words[-1])
            _cpl, number, *params = (int(value, 16) for value in values)
        except (ValueError, IndexError):  # another thread's, or something lost
            return
        self._waiting.append((at, vcpu, number, params))

    def _settle(self, final: bool = False) -> None:
        """Those that have not come here by now were KVM's."""
        until = monotonic() - (0 if final else LATE)
        ready = [row for row in self._waiting if row[0] <= until]
        self._waiting = self._waiting[len(ready) :]
        for at, vcpu, number, params in ready:
            if not self._came(at, vcpu, number, params[0]):
                head = self._head(vcpu, number, params)
                self._trace.write("xen", at, **head, result=None, by="kernel")

    def _came(self, at: float, vcpu: int, number: int, first: int) -> bool:
        """Whether this vCPU's call came here soon after; each of ours stands for one."""
        with self._lock:
            for index, (*key, began) in enumerate(self._ours):
                if key == [vcpu, number, first] and 0 <= began - at + 1e-5 < LATE:
                    del self._ours[index]
                    return True
        return False

    def close(self) -> None:
        """After the last call, while the back-end is there."""
        readers = [reader.close for reader in self._readers]
        close_all([*readers, lambda: self._settle(final=True), self._trace.close])
