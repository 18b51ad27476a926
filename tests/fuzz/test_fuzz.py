"""libFuzzer on each target: the kept inputs, and ten seconds from there on."""

from __future__ import annotations

import pytest

from tests.fuzz import __main__ as fuzz

SECONDS = 7


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_target_keeps_its_promises(target: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert fuzz.fuzz(target, SECONDS), capfd.readouterr().err
