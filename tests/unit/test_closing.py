"""Giving things back when some of them fail."""

from __future__ import annotations

import pytest

from vmm.closing import close_all, raise_together


class Part:
    def __init__(self, name: str, log: list[str], error: BaseException | None = None) -> None:
        self.name, self.log, self.error = name, log, error

    def close(self) -> None:
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


def test_every_part_is_closed_and_the_only_failure_comes_out_as_it_is() -> None:
    log: list[str] = []
    failure = OSError("busy")
    parts = [Part("a", log), Part("b", log, failure), Part("c", log)]

    with pytest.raises(OSError, match="busy") as caught:
        close_all(part.close for part in parts)

    assert log == ["a", "b", "c"]
    assert caught.value is failure


def test_several_failures_come_together_with_the_cause_on_top() -> None:
    log: list[str] = []
    cause, first, second = ValueError("cause"), OSError("first"), KeyboardInterrupt()
    parts = [Part("a", log, first), Part("b", log, second)]

    with pytest.raises(BaseExceptionGroup) as caught:
        close_all((part.close for part in parts), cause)

    assert caught.value.exceptions == (cause, first, second)
    assert log == ["a", "b"]


def test_a_cause_alone_goes_on_as_it_was() -> None:
    cause = ValueError("cause")

    with pytest.raises(ValueError, match="cause") as caught:
        close_all([], cause)

    assert caught.value is cause


def test_nothing_wrong_raises_nothing() -> None:
    close_all([])
    raise_together("nothing", [])
