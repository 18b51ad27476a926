"""Settings that all virtio devices share: which thread serves one, which transport it has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.native.virtiorig import PlugRig
from vmm import kinds
from vmm.config import VmConfig
from vmm.deviceconfig import read_device
from vmm.errors import ConfigError, VmmError
from vmm.kindtable import KINDS
from vmm.loop import IoLoops
from vmm.virtio.make import behind_pci
from vmm.virtio.rng import Rng


def plugged(text: str) -> PlugRig:
    [config] = kinds.with_names([read_device(text)])
    return PlugRig(lambda context: KINDS[config.kind].make(context, config))


def test_devices_take_the_loops_in_turn_and_the_first_one_last() -> None:
    loops = IoLoops(3)

    assert [loops.take().name for _ in range(4)] == ["io1", "io2", "io0", "io1"]
    assert loops.take(2).name == "io2"
    loops.close()


def test_one_loop_serves_all() -> None:
    loops = IoLoops(1)

    assert {loops.take().name for _ in range(3)} == {"io0"}
    loops.close()


def test_thread_that_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(VmmError, match="no I/O thread 1: --io-threads 1 makes 1, counted from 0"):
        plugged("virtio-rng,io-thread=1")


@pytest.mark.parametrize("count", ["0", "65"])
def test_number_of_threads_has_bounds(count: str) -> None:
    with pytest.raises(ConfigError, match=f"--io-threads is {count}; it must be 1 to 64"):
        VmConfig.of(kernel="k", io_threads=count)


def test_legacy_interface_and_access_platform_exclude_each_other() -> None:
    def make(context: Any) -> object:
        settings = {"legacy": "on", "access-platform": "on"}
        return behind_pci(context, Rng("rng0", context), settings)

    with pytest.raises(ConfigError, match="cannot have both legacy=on and access-platform=on"):
        PlugRig(make)
