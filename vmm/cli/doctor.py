"""`vmm doctor`: what this host offers, what each thing is needed for, and what mends the rest."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from vmm.cli.generate import table_command
from vmm.errors import EXIT_HOST, EXIT_OK
from vmm.host.survey import ABSENT, LIMITED, MISSING, OK, Finding, survey
from vmm.options import options_of
from vmm.record import as_dict

MARKS = {OK: "+", LIMITED: "~", ABSENT: "-", MISSING: "!"}
COLOURS = {OK: "32", LIMITED: "33", ABSENT: "2", MISSING: "31;1"}
HELP = """Show what this host's KVM, Xen, VFIO, IOMMU, vhost, tun and limits offer.

+ is there, ~ works with limits, - is absent but optional, ! is missing and nothing runs without.
Exit code 0: guests can run here. 4: they cannot.
"""


def examine() -> list[Finding]:
    """Everything there is to find out about this host."""
    from vmm.cli.kvmfindings import kvm_findings, unusable

    findings: list[Finding] = []
    try:
        findings.extend(kvm_findings())
    except ImportError as error:
        findings.append(unusable(error))
    findings.extend(survey())
    return findings


def verdict(findings: Iterable[Finding]) -> tuple[int, str]:
    """(exit code, sentence)."""
    missing = [finding for finding in findings if finding.status == MISSING]
    if missing:
        return EXIT_HOST, f"Guests cannot run here: {missing[0].name} ({missing[0].found})."
    limited = [finding for finding in findings if finding.name == "stock Linux kernels"]
    if limited and limited[0].status != OK:
        return EXIT_OK, f"Tiny guests run here, stock kernels do not: {limited[0].found}."
    return EXIT_OK, "Guests can run here."


def as_table(findings: Iterable[Finding], colour: bool = False) -> str:
    """A block for each topic; what mends a thing stands below it."""
    rows = list(findings)
    width = max(len(row.name) for row in rows)
    found = min(max(len(row.found) for row in rows), 28)
    lines: list[str] = []
    topic = ""
    for row in rows:
        if row.topic != topic:
            topic = row.topic
            lines += ["", topic] if lines else [topic]
        mark = MARKS[row.status]
        if colour:
            mark = f"\x1b[{COLOURS[row.status]}m{mark}\x1b[0m"
        lines.append(f"  {mark} {row.name:<{width}}  {row.found:<{found}}  {row.needed_for}")
        if row.mend:
            lines.append(f"    {'':<{width}}  mend: {row.mend}")
    return "\n".join(lines) + "\n"


def as_json(findings: Iterable[Finding], code: int, sentence: str) -> str:
    rows = [as_dict(finding) for finding in findings]
    return json.dumps({"code": code, "sentence": sentence, "findings": rows}, indent=2) + "\n"


def doctor(options: dict[str, Any]) -> int:
    findings = examine()
    code, sentence = verdict(findings)
    if options.get("json"):
        sys.stdout.write(as_json(findings, code, sentence))
    else:
        sys.stdout.write(as_table(findings, sys.stdout.isatty()) + "\n" + sentence + "\n")
    sys.stdout.flush()
    return code


command = table_command("doctor", options_of("doctor"), doctor, HELP)
