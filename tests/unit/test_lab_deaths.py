"""A lab that dies while it runs tests (tests/where.py): what is run once more, and what is lost."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.where import DEATHS_MAX, Lab

NAMES = [f"tests/test_x.py::test_{n}" for n in range(6)]


class DyingLab(Lab):
    """Each boot passes as many of the tests left as the next of `lives` says, and dies."""

    def __init__(self, config: pytest.Config, folder: Path, lives: list[int]) -> None:
        super().__init__(config, NAMES)
        self.log = folder / "log"
        self.log.write_text("a last word\n")
        self.lives, self.boots = lives, 0
        self.said: list[str] = []

    def _say(self, text: str) -> None:
        self.said.append(text)

    def _start(self) -> None:
        passed = self.left[: self.lives[self.boots]]
        self.boots += 1
        self.stream: Any = io.StringIO("".join(self._line(name) for name in passed))
        self.process: Any = SimpleNamespace(poll=lambda: 1)

    def _line(self, name: str) -> str:
        report = pytest.TestReport(name, ("", 0, ""), {}, "passed", None, "teardown")
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        return json.dumps(data) + "\n"

    def outcomes(self) -> str:
        """p or f for each test."""
        items: list[Any] = [SimpleNamespace(nodeid=name, location=("", 0, "")) for name in NAMES]
        return "".join(self.reports(item)[-1].outcome[0] for item in items)


@pytest.mark.parametrize(
    ("lives", "outcomes"),
    [
        ([6], "pppppp"),
        ([2, 4], "pppppp"),
        ([2, 1, 3], "pppppp"),
        ([2, 0, 3], "ppfppp"),  # the same test killed it twice
        ([1, 1, 1], "pppfff"),  # too often
    ],
)
def test_rest_is_run_in_another_lab(
    pytestconfig: pytest.Config, tmp_path: Path, lives: list[int], outcomes: str
) -> None:
    lab = DyingLab(pytestconfig, tmp_path, lives)
    assert lab.outcomes() == outcomes
    assert lab.boots == len(lives) <= DEATHS_MAX
    assert lab.said.count("a last word") == len(lab.deaths)
