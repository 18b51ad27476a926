"""A stock Debian kernel in which somebody does to one device all that a driver must not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.linux.consoleguest import MIB, echo_through, guest

pytestmark = pytest.mark.needs("kvm", "stock-kernel")

ROUNDS = 500


def test_other_devices_go_on_beside_one_that_is_abused(tmp_path: Path) -> None:
    data = random.Random(9).randbytes(MIB // 4)
    victim = "virtio-rng,id=victim,addr=9"
    with guest(tmp_path, devices=[victim]) as running:
        running.order("portio echo a 1000000000 &")
        running.do("echo 0000:00:09.0 >/sys/bus/pci/drivers/virtio-pci/unbind")
        running.order(f"spoil 0000:00:09.0 {ROUNDS} || echo spoil-failed=$? &")
        with running.connect("a") as peer:
            while f"spoilt={ROUNDS}" not in running.text():
                assert "\nspoil-failed" not in running.text()
                assert echo_through(peer, data) == data
        assert "alive" in running.do("echo al''ive")
        devices = running.machine.stats()["devices"]
        victim_counters = devices["victim"]
        assert victim_counters["starts"] > ROUNDS / 10
        assert victim_counters["faults"] > ROUNDS / 10
        assert victim_counters["ignored"] > 0
        assert devices["virtio-console0"]["faults"] == 0
        assert running.machine.info()["state"] == "running"
