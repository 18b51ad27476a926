"""--trace xen and handlers of one's own with the userspace back-end: all calls are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import guests
from vmm.config import VmConfig
from vmm.machine import Machine
from vmm.xen.abi import EPERM, XenError
from vmm.xen.call import Call

pytestmark = pytest.mark.needs("kvm", "probe-long64:interrupt")
# What C answers, and how it counts that.
BELOW = {
    "event_channel_op send": "send",
    "event_channel_op unmask": "unmask",
    "sched_op poll": "poll",
    "sched_op sched_yield": "yields",
    "vcpu_op stop_singleshot_timer": "stop_timer",
}


def config(**settings: str) -> VmConfig:
    guests.build()
    return VmConfig.of(
        kernel=str(guests.BUILD / "xen.elf"),
        append="backend=userspace skip=moves-while-polled,apic-off",
        xen=True,
        xen_backend="userspace",
        cpus=2,
        debug_exit=True,
        consoles=["null"],
        timeout="60",
        **settings,
    )


def test_every_call_is_told_once_and_answered_as_ever(tmp_path: Path) -> None:
    place = tmp_path / "trace"

    with Machine(config(trace=f"xen:{place}")) as machine:
        assert machine.run().code == 1
        counted = machine.stats()["devices"]["xen"]
        refused = machine.stats()["xen"]["refused"]

    lines = [json.loads(line) for line in place.read_text().splitlines()]
    told = Counter(line["call"] for line in lines)
    assert {line["by"] for line in lines} == {"vmm"}
    for name in set(told) - {"set_timer_op", "vcpu_op set_singleshot_timer"}:
        assert told[name] == counted.get(name, 0) + counted.get(BELOW.get(name, ""), 0), name
    assert told["set_timer_op"] + told["vcpu_op set_singleshot_timer"] >= counted["set_timer"]
    assert min(told[name] for name in ("multicall", *BELOW)) > 0
    assert len(refused) > 50
    assert {row["xen"] for row in refused} == {"answers", "refuses"}


def test_handler_answers_instead() -> None:
    asked: list[int] = []

    def refuse(call: Call, usual: Callable[[], int]) -> int:
        asked.append(call.vcpu)
        if len(asked) == 1:
            raise XenError(EPERM)
        return usual()

    with Machine(config()) as machine:
        machine.on_hypercall("event_channel_op send", refuse)
        assert machine.run().code == 3  # a send was refused, which its tests notice
        assert len(asked) > 10
        [row] = [
            row
            for row in machine.stats()["xen"]["refused"]
            if (row["call"], row["error"]) == ("event_channel_op send", "EPERM")
        ]
        assert row["count"] == 1
