"""--trace xen of a stock guest: every hypercall once, whoever answered it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.linux.stock import boot

pytestmark = pytest.mark.needs("kvm", "stock-kernel", "xen")
KEPT = {"event_channel_op send", "vcpu_op set_singleshot_timer"}  # by KVM


def trace_of(folder: Path, backend: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    place = folder / "trace"
    options = ["--xen", "--xen-backend", backend, "--cpus", "2", "--trace", f"xen:{place}"]

    run = boot(folder, options, script="sleep 1; echo done=yes")

    assert run.code == 0, run.console[-2000:] + run.stderr
    assert run.answers()["done"] == "yes"
    assert "not_read" not in run.stderr
    return [json.loads(line) for line in place.read_text().splitlines()], run.report["counters"]


def test_calls_of_kvm_and_of_ours_are_each_told_once(tmp_path: Path) -> None:
    lines, counters = trace_of(tmp_path, "kvm")

    ours = Counter(line["call"] for line in lines if line["by"] == "vmm")
    kernels = Counter(line["call"] for line in lines if line["by"] == "kernel")
    counted = counters["devices"]["xen"]
    assert ours == {name: counted[name] for name in ours}
    assert min(kernels[name] for name in KEPT) > 50
    assert not KEPT & set(ours)
    assert set(kernels) - KEPT <= {
        "xen_version version", "sched_op poll", "sched_op sched_yield",
        "vcpu_op stop_singleshot_timer",
    }  # fmt: skip
    assert {line["vcpu"] for line in lines if line["by"] == "kernel"} == {0, 1}
    binds = [line for line in lines if line["call"] == "event_channel_op bind_ipi"]
    assert all(line["fields"]["port"] > 0 for line in binds)
    [fifo] = [row for row in counters["xen"]["refused"] if row["call"].endswith("init_control")]
    assert (fifo["error"], fifo["xen"]) == ("ENOSYS", "answers")


def test_calls_that_c_answers_are_told_too(tmp_path: Path) -> None:
    lines, counters = trace_of(tmp_path, "userspace")

    told = Counter(line["call"] for line in lines)
    counted = counters["devices"]["xen"]
    assert {line["by"] for line in lines} == {"vmm"}
    for name in ("send", "unmask"):
        call = f"event_channel_op {name}"
        assert told[call] == counted.get(call, 0) + counted.get(name, 0)
    assert counted["send"] > 50
    late = sum(line.get("error") == "ETIME" for line in lines)
    timers = "vcpu_op set_singleshot_timer"
    assert told[timers] == counted["set_timer"] + counted.get(timers, 0) > 50
    assert late < told[timers]
    sends = [line for line in lines if line["call"] == "event_channel_op send"]
    assert all(line["fields"]["port"] > 0 for line in sends)
    assert {line["vcpu"] for line in sends} == {0, 1}
