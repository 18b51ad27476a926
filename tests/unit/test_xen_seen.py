"""What is seen of hypercalls: lines of --trace xen, refusals beside Xen's, own handlers."""

from __future__ import annotations

import json
from pathlib import Path
from struct import calcsize, pack, unpack
from typing import Any

import pytest

from tests.unit.test_xen_hypercalls import FakeCall, fake_domain
from vmm.config import VmConfig
from vmm.errors import ConfigError
from vmm.native import ffi
from vmm.trace import Trace
from vmm.xen import abi, hypercalls
from vmm.xen.abi import XenError
from vmm.xen.seen import BEHIND, LATE, NARROW, Observer, conformance

AT = 0x1000
IDS = (0, 2)  # KVM's numbers of two vCPUs
SEND, VERSION = "event_channel_op send", "xen_version version"


def call_of(number: int, *params: int) -> FakeCall:
    call = FakeCall(True, *params)
    call.number = number
    return call


class Seen:
    """An observer and what it has written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "trace"
        self.observer = Observer(Trace(str(self._path), print), IDS, hypercalls.name_of)

    def kernel(self, vcpu_id: int, at: float, number: int, first: int) -> None:
        rest = " ".join(f"a{n} 0x0" for n in range(1, 5))
        self.observer._kernel(
            f"           vcpu{vcpu_id}-77    [000] ...1. {at:.6f}: kvm_xen_hypercall: "
            f"cpl 0 nr {number:#x} a0 {first:#x} {rest} a5 0"
        )

    def lines(self) -> list[dict[str, Any]]:
        self.observer._settle(final=True)
        self.observer.close()
        return [json.loads(line) for line in self._path.read_text().splitlines()]


@pytest.fixture
def seen(tmp_path: Path) -> Seen:
    return Seen(tmp_path)


def test_line_tells_the_call_with_what_lies_behind_its_arguments(seen: Seen) -> None:
    call = call_of(abi.EVENT_CHANNEL_OP, 7, AT)
    call.write(AT, pack("<II", 1, 9))
    domain = fake_domain(observer=seen.observer, handlers={(32, 7): lambda _c, _u: 0})

    assert hypercalls.answer(domain, call) == 0

    [line] = seen.lines()
    assert line.pop("us") >= 0
    assert line.pop("t") > 0
    assert line == {
        "kind": "xen",
        "vcpu": 0,
        "call": "event_channel_op bind_ipi",
        "number": 32,
        "op": 7,
        "args": [7, AT, 0, 0, 0, 0],
        "fields": {"vcpu": 1, "port": 9},
        "result": 0,
        "by": "vmm",
    }


@pytest.mark.parametrize(("wide", "layout"), [(True, "<HHIQQ"), (False, "<HHIII")])
def test_structures_are_read_as_the_guest_wrote_them(seen: Seen, wide: bool, layout: str) -> None:
    call = call_of(abi.MEMORY_OP, 7, AT)
    call.wide = wide
    call.write(AT, pack(layout, 0x7FF0, 1, 1, 5, 0xABCDE))

    seen.observer.answered(call, 1.0, 0)

    [line] = seen.lines()
    assert line["fields"] == {
        "domain": 0x7FF0, "size": 1, "space": 1, "index": 5, "frame": 0xABCDE,
    }  # fmt: skip


def test_structures_belong_to_calls_and_have_names_for_all_they_hold() -> None:
    for (number, op), (place, layout, names) in BEHIND.items():
        assert op in hypercalls.TABLE[number][1]
        assert place in (1, 2)
        narrow = NARROW.get((number, op), layout)
        for each in (layout, narrow):
            assert len(unpack(each, bytes(calcsize(each)))) == len(names.split())
    assert NARROW.keys() <= BEHIND.keys()


def test_line_of_a_refused_call_has_its_error(seen: Seen) -> None:
    with pytest.raises(XenError):
        hypercalls.answer(fake_domain(observer=seen.observer), call_of(abi.MEMORY_OP, 63))
    [line] = seen.lines()
    assert (line["call"], line["result"], line["error"]) == ("memory_op unknown", -38, "ENOSYS")


def test_calls_that_c_answers_are_told_with_what_it_has_read(seen: Seen) -> None:
    record = ffi.new(
        "struct xenus_seen *",
        {
            "began": 3 * 10**9,
            "took": 1500,
            "number": abi.VCPU_OP,
            "params": [8, 1, AT, 0, 0, 0],
            "result": -62,
            "behind": pack("<QI", 77, 1),
            "behind_length": 12,
        },
    )

    seen.observer._quick(1, record)

    [line] = seen.lines()
    assert line == {
        "kind": "xen",
        "t": 3.0,
        "vcpu": 1,
        "call": "vcpu_op set_singleshot_timer",
        "number": 24,
        "op": 8,
        "args": [8, 1, AT, 0, 0, 0],
        "fields": {"when": 77, "flags": 1},
        "result": -62,
        "error": "ETIME",
        "us": 1.5,
        "by": "vmm",
    }


def test_calls_that_kvm_answers_are_told_and_ours_only_once(seen: Seen) -> None:
    ours = call_of(abi.XEN_VERSION, 0)
    seen.observer.answered(ours, 10.0, 262161)
    seen.kernel(0, 9.999, abi.XEN_VERSION, 0)  # ours
    seen.kernel(0, 9.999, abi.EVENT_CHANNEL_OP, 4)
    seen.kernel(2, 10.5, abi.XEN_VERSION, 0)  # another vCPU's
    seen.kernel(0, 10.0 + LATE, abi.XEN_VERSION, 0)  # a later one
    seen.kernel(7, 10.0, abi.XEN_VERSION, 0)  # nobody's

    lines = [(line["by"], line["vcpu"], line["call"]) for line in seen.lines()]

    assert lines[0] == ("vmm", 0, VERSION)
    assert sorted(lines[1:]) == [
        ("kernel", 0, SEND),
        ("kernel", 0, VERSION),
        ("kernel", 1, VERSION),
    ]


def test_kernel_calls_wait_until_they_could_have_come_here(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmm.xen.seen.monotonic", lambda: 10.1)
    seen.kernel(0, 10.0, abi.EVENT_CHANNEL_OP, 4)
    seen.observer._settle()
    seen.observer.answered(call_of(abi.EVENT_CHANNEL_OP, 4, AT), 10.01, 0)
    assert [line["by"] for line in seen.lines()] == ["vmm"]


def test_refusals_are_compared_with_xen() -> None:
    refused = {
        "event_channel_op init_control 38": 1,
        "event_channel_op init_control 22": 2,
        "memory_op unknown 38": 3,
    }
    assert conformance(refused) == [
        {"call": "event_channel_op init_control", "error": "EINVAL", "count": 2, "xen": "refuses"},
        {"call": "event_channel_op init_control", "error": "ENOSYS", "count": 1, "xen": "answers"},
        {"call": "memory_op unknown", "error": "ENOSYS", "count": 3, "xen": "refuses"},
    ]
    clock = "vcpu_op register_vcpu_time_memory_area"
    rows = conformance({f"{clock} 14": 1, f"{clock} 38": 1})
    assert [(r["error"], r["xen"]) for r in rows] == [("EFAULT", "refuses"), ("ENOSYS", "answers")]
    (row,) = conformance({"memory_op exchange 95": 1})
    assert (row["error"], row["xen"]) == ("EOPNOTSUPP", "refuses")


def test_every_call_has_one_name_and_is_found_by_it() -> None:
    for number, (_group, operations, _mask) in hypercalls.TABLE.items():
        for op in operations:
            name, found = hypercalls.name_of(number, op)
            assert hypercalls.place_of(name) == (number, found)


# --- handlers of one's own


def with_handlers() -> Any:
    asked: list[bool] = []
    domain = fake_domain(observer=None, handlers={}, asked=asked)
    domain.backend.answer_all = lambda: asked.append(True)
    return domain


def test_handler_answers_or_passes_on_or_refuses() -> None:
    domain, call = with_handlers(), call_of(abi.XEN_VERSION, 7)

    hypercalls.answer_by(domain, "xen_version pagesize", lambda _call, usual: usual() + 1)
    assert hypercalls.answer(domain, call) == abi.PAGE + 1

    def refuse(_call: object, _usual: object) -> int:
        raise XenError(abi.ENOMEM)

    hypercalls.answer_by(domain, "xen_version pagesize", refuse)
    with pytest.raises(XenError) as refused:
        hypercalls.answer(domain, call)
    assert refused.value.number == abi.ENOMEM
    assert domain.refused == {"xen_version pagesize 12": 1}

    hypercalls.answer_by(domain, "xen_version pagesize", None)
    assert hypercalls.answer(domain, call) == abi.PAGE
    assert domain.asked


def test_handler_for_a_call_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError):
        hypercalls.answer_by(with_handlers(), "xen_version nothing", None)


@pytest.mark.parametrize(
    ("trace", "xen", "problem"),
    [("exits", True, "no kind 'exits'"), ("xen", False, "needs --xen"), ("xen,", True, "no kind")],
)
def test_trace_that_cannot_be(trace: str, xen: bool, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        VmConfig.of(kernel="-", xen=xen, trace=trace)
