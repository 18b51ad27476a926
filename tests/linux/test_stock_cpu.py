"""A stock kernel's own idea of the processors that --cpu shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.linux.stock import boot
from vmm.errors import EXIT_USAGE

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

TOPOLOGY = """
cd /sys/devices/system/cpu
for n in 0 1 2 3 4 5 6 7 8 9 10 11; do
  [ -d cpu$n ] || continue
  cd cpu$n
  echo package$n=$(cat topology/physical_package_id)
  echo threads$n=$(cat topology/thread_siblings_list)
  echo cores$n=$(cat topology/core_siblings_list)
  echo shared$n=$(cat cache/index*/shared_cpu_list | tr '\\n' ' ')
  cd ..
done
echo ids=$(grep -w ^apicid /proc/cpuinfo | cut -d: -f2 | tr -d '\\n')
"""

FEATURES = """
echo flags=$(grep -m1 ^flags /proc/cpuinfo | cut -d: -f2)
echo model=$(grep -m1 "^model name" /proc/cpuinfo | cut -d: -f2)
echo clock=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
"""


def host_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()


def test_a_topology_of_odd_counts_arrives(tmp_path: Path) -> None:
    options = ("--cpus", "6", "--cpu", "host,topology=2:3:1")
    ended = boot(tmp_path, options, script=TOPOLOGY, append="quiet")

    answers = ended.answers()
    assert ended.code == 0, ended.stderr
    assert [answers[f"package{n}"] for n in range(6)] == list("000111")
    assert [answers[f"threads{n}"] for n in range(6)] == list("012345")
    assert [answers[f"cores{n}"] for n in range(6)] == ["0-2"] * 3 + ["3-5"] * 3
    assert [answers[f"shared{n}"].split() for n in (0, 5)] == [
        ["0", "0", "0", "0-2"],
        ["5", "5", "5", "3-5"],
    ]
    assert answers["ids"].split() == ["0", "1", "2", "4", "5", "6"]


def test_threads_of_a_core_arrive(tmp_path: Path) -> None:
    options = ("--cpus", "4", "--cpu", "host,topology=1:2:2")
    ended = boot(tmp_path, options, script=TOPOLOGY, append="quiet mitigations=off")

    answers = ended.answers()
    assert ended.code == 0, ended.stderr
    assert [answers[f"threads{n}"] for n in range(4)] == ["0-1", "0-1", "2-3", "2-3"]
    assert {answers[f"package{n}"] for n in range(4)} == {"0"}


def test_a_baseline_processor_boots_and_shows_nothing_more(tmp_path: Path) -> None:
    options = ("--cpus", "2", "--cpu", "none,+popcnt")
    ended = boot(tmp_path, options, script=FEATURES, append="quiet")

    answers = ended.answers()
    assert ended.code == 0, ended.stderr
    flags = set(answers["flags"].split())
    assert {"fpu", "sse2", "lm", "nx", "x2apic", "hypervisor", "popcnt"} <= flags
    assert not flags & {"avx", "xsave", "pni", "ssse3", "svm", "vmx", "smep", "rdrand", "cx16"}
    assert answers["clock"] == "kvm-clock"
    assert answers["model"].strip() != host_model()


def test_removed_features_are_gone(tmp_path: Path) -> None:
    options = ("--cpu", "host,-xsave,-smap,vendor=GenuineIntel")
    ended = boot(tmp_path, options, script=FEATURES, append="quiet")

    flags = set(ended.answers()["flags"].split())
    assert ended.code == 0, ended.stderr
    assert not flags & {"xsave", "avx", "avx2", "fma", "smap"}
    assert "sse4_2" in flags
    assert ended.answers()["model"].strip() == host_model()


def test_without_kvmclock_it_boots_with_the_timers_of_legacy(tmp_path: Path) -> None:
    options = ("--cpu", "host,-kvmclock", "--machine", "legacy")
    ended = boot(tmp_path, options, script=FEATURES, append="quiet")

    assert ended.code == 0, ended.stderr
    assert ended.answers()["clock"] in ("tsc", "tsc-early", "hpet", "acpi_pm")


def test_without_kvmclock_the_default_machine_refuses_it(tmp_path: Path) -> None:
    ended = boot(tmp_path, ("--cpu", "host,-kvmclock"))

    assert ended.code == EXIT_USAGE
    assert ended.console == ""
    assert ended.stderr.startswith("vmm: --cpu -kvmclock leaves Linux nothing to measure its TSC")
    assert ended.stderr.count("\n") == 1
