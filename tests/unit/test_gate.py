"""The gate: who passes, who parks, who is held."""

from __future__ import annotations

import threading

from vmm.gate import Gate


def test_releasing_one_vcpu_leaves_the_others_held() -> None:
    gate = Gate(3)
    gate.open()
    for vcpu_id in range(3):
        gate.hold(vcpu_id)

    gate.release(1)

    assert [gate.must_park(vcpu_id) for vcpu_id in range(3)] == [True, False, True]
    gate.release()
    assert not any(gate.must_park(vcpu_id) for vcpu_id in range(3))


def test_closing_returns_when_the_last_vcpu_has_parked() -> None:
    gate = Gate(8)
    threads = [
        threading.Thread(target=gate.park, args=(vcpu_id, lambda: None)) for vcpu_id in range(8)
    ]

    def arrive() -> None:
        for thread in threads:
            thread.start()

    gate.close(arrive)

    assert gate.parked == 8
    gate.stop()
    for thread in threads:
        thread.join()


def test_a_stop_ends_the_wait_of_who_closes() -> None:
    gate = Gate(1)

    gate.close(gate.stop)

    assert gate.stopped


def test_a_nudge_wakes_the_vcpu_it_is_for_and_no_other() -> None:
    gate = Gate(2)
    looks, looked = [0, 0], threading.Condition()

    def look(vcpu_id: int) -> None:
        with looked:
            looks[vcpu_id] += 1
            looked.notify_all()

    threads = [
        threading.Thread(target=gate.park, args=(vcpu_id, lambda n=vcpu_id: look(n)))
        for vcpu_id in range(2)
    ]
    for thread in threads:
        thread.start()
    with looked:
        looked.wait_for(lambda: looks == [1, 1])
        for count in range(2, 12):
            gate.nudge(0)
            looked.wait_for(lambda count=count: looks[0] == count)
        gate.nudge(1)
        looked.wait_for(lambda: looks[1] > 1)

    assert looks == [11, 2]
    gate.stop()
    for thread in threads:
        thread.join()
