"""Reads KTAP version 1, in which guests report: plan, numbered results, `#` lines, bail-out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

RESULT = re.compile(r"(not )?ok (\d+) (?:- )?(.*?)(?: # (SKIP|TODO)\b.*)?$")
PLAN = re.compile(r"1\.\.(\d+)$")
RESULTS_MAX = 10_000  # a guest is not trusted to end


@dataclass(frozen=True)
class Result:
    """One subtest. `notes` are the `#` lines printed before its verdict."""

    name: str
    ok: bool
    skipped: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class Ktap:
    """What a guest reported, and what was wrong with the report itself."""

    plan: int | None = None
    results: list[Result] = field(default_factory=list)
    bail_out: str = ""
    problems: list[str] = field(default_factory=list)

    def failed(self) -> list[Result]:
        return [result for result in self.results if not result.ok]


def parse(text: str) -> Ktap:
    """The report in `text`. Other lines may stand between: a console carries more than KTAP."""
    report = Ktap()
    notes: list[str] = []
    started = False
    for line in text.splitlines():
        line = line.strip()
        if line == "KTAP version 1":
            if started:
                report.problems.append("the guest started twice")
            started = True
        elif line.startswith("Bail out!"):
            report.bail_out = line[len("Bail out!") :].strip() or "without a word"
        elif line.startswith("# "):
            notes.append(line[2:])
        elif match := PLAN.match(line):
            report.plan = int(match[1])
        elif (match := RESULT.match(line)) and len(report.results) < RESULTS_MAX:
            _take(report, match, notes)
            notes = []
    if not started:
        report.problems.append("no KTAP version line")
    if report.plan is None:
        report.problems.append("no plan")
    elif report.plan != len(report.results):
        report.problems.append(f"{report.plan} subtests planned, {len(report.results)} reported")
    return report


def _take(report: Ktap, match: re.Match[str], notes: list[str]) -> None:
    number, expected = int(match[2]), len(report.results) + 1
    if number != expected:
        report.problems.append(f"subtest {expected} is numbered {number}")
    skipped = match[4] == "SKIP"
    report.results.append(Result(match[3].strip(), not match[1], skipped, tuple(notes)))
