"""Where lines of --trace go, and what becomes of them when they can go nowhere."""

from __future__ import annotations

import json
import sys
from errno import ENOSPC
from pathlib import Path

import pytest

from vmm.trace import Trace


def test_lines_have_a_kind_and_a_time(tmp_path: Path) -> None:
    trace = Trace(str(tmp_path / "trace"), print)
    trace.write("xen", 1.23456789, call="a", args=[1, 2])
    trace.close()
    text = (tmp_path / "trace").read_text()
    assert json.loads(text) == {"kind": "xen", "t": 1.234568, "call": "a", "args": [1, 2]}


def test_full_file_ends_the_trace_alone_and_is_told_of() -> None:
    told: list[Exception] = []
    trace = Trace("/dev/full", told.append)
    for number in range(10_000):  # more than is kept back
        trace.write("xen", float(number))
    trace.close()
    assert [getattr(error, "errno", None) for error in told] == [ENOSPC]


def test_closed_standard_error_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Exception] = []
    monkeypatch.setattr("sys.stderr", open("/dev/null", "w"))  # noqa: SIM115 - closed below
    trace = Trace("", told.append)
    sys.stderr.close()
    trace.write("xen", 1.0)
    trace.close()
    assert len(told) == 1
    monkeypatch.setattr("sys.stderr", None)
    with pytest.raises(OSError, match="closed"):
        Trace("", told.append)


def test_closed_trace_takes_no_more(tmp_path: Path) -> None:
    trace = Trace(str(tmp_path / "trace"), print)
    trace.close()
    trace.write("xen", 1.0)
    assert (tmp_path / "trace").read_text() == ""
