"""`vmm stats` at the control socket of a machine that is pretended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.qmpkit import Setup
from vmm.__main__ import main
from vmm.errors import EXIT_HOST, EXIT_OK, EXIT_USAGE


def test_counters_of_a_running_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup(tmp_path)
    try:
        assert main(["stats", "-s", str(tmp_path)]) == EXIT_OK
        assert capsys.readouterr().out == "vcpu\n  0.exits  7\n"
        assert main(["stats", "--state-dir", str(tmp_path), "--json"]) == EXIT_OK
        assert json.loads(capsys.readouterr().out) == setup.machine.stats()
    finally:
        setup.close()


def test_machine_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats"]) == EXIT_USAGE
    assert main(["stats", "-s", str(tmp_path)]) == EXIT_HOST

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("vmm: say which machine: --state-dir DIR")
    assert second.startswith(f"vmm: cannot connect to {tmp_path}/control.sock")
