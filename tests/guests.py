"""The tiny guests: guests/guests.toml as objects, their verdicts, and what this host's KVM can run.

A need is `PROBE` (all its steps) or `PROBE:STEP`; probes are run with guests/build/rawvmm, which is
no part of what they decide about.
"""

from __future__ import annotations

import functools
import subprocess
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ktap import Ktap, parse

GUESTS = Path(__file__).resolve().parent.parent / "guests"
BUILD = GUESTS / "build"
PROBE_SECONDS = 5  # a step that takes longer hangs
PASS = 1  # isa-debug-exit with 0


@dataclass(frozen=True)
class Guest:
    """One row of guests.toml; see the head of that file for the fields."""

    name: str
    image: str
    tests: list[str]
    protocol: str = "auto"
    cpus: int = 1
    mem: str = "64M"
    machine: str = "default"
    irqchips: list[str] = field(default_factory=lambda: ["kernel"])
    options: dict[str, Any] = field(default_factory=dict)
    append: str = ""
    modules: list[str] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    timeout: int = 60
    code: int = PASS
    skip: list[str] = field(default_factory=list)
    qemu: dict[str, Any] = field(default_factory=dict)
    run_by: str = ""

    @property
    def path(self) -> Path:
        return BUILD / self.image

    def command_line(self, skip: list[str] | None = None) -> str:
        """What the guest is told; `skip` replaces the row's own list."""
        chosen = self.skip if skip is None else skip
        words = self.append.replace("{now}", str(int(time.time())))
        return f"{words} skip={','.join(chosen)}".strip() if chosen else words

    def settings(self, irqchip: str, folder: Path) -> dict[str, Any]:
        """Keywords for VmConfig.of; module files are written to `folder`."""
        modules = []
        for number, content in enumerate(self.modules):
            path = folder / f"module{number}"
            path.write_text(content)
            modules.append(str(path))
        settings: dict[str, Any] = {
            "kernel": str(self.path),
            "boot_protocol": self.protocol,
            "append": self.command_line(),
            "cpus": self.cpus,
            "mem": self.mem,
            "machine": self.machine,
            "irqchip": irqchip,
            "debug_exit": True,
            "timeout": str(self.timeout),
            **{key.replace("-", "_"): value for key, value in self.options.items()},
        }
        if modules:
            settings["modules"] = modules
        return settings

    def complaints(self, output: str, code: int, skip: list[str] | None = None) -> list[str]:
        """Why a run that printed `output` and ended with `code` is no success; empty if it is."""
        wrong = [] if code == self.code else [f"exit code {code} instead of {self.code}"]
        if not self.tests:
            return wrong
        report = parse(output)
        if report.bail_out:
            wrong.append(f"bailed out: {report.bail_out}")
        names = [result.name for result in report.results]
        if names != self.tests:
            wrong.append(f"reported subtests {names} instead of {self.tests}")
        return wrong + report.problems + self._verdicts(report, self.skip if skip is None else skip)

    def _verdicts(self, report: Ktap, skip: list[str]) -> list[str]:
        wrong = []
        for result in report.results:
            if not result.ok:
                wrong.append("\n".join([f"{result.name} failed", *result.notes]))
            if result.skipped != (result.name in skip):
                wrong.append(f"{result.name} {'was' if result.skipped else 'was not'} skipped")
        return wrong


@dataclass(frozen=True)
class Probe:
    """A guest whose subtests are questions about the KVM it runs on."""

    name: str
    image: str
    tests: list[str]
    summary: str
    reads_command_line: bool = True


def load(path: Path = GUESTS / "guests.toml") -> tuple[dict[str, Guest], dict[str, Probe]]:
    """Guests and probes by name. TypeError names a key that no row can have."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    guests = {row["name"]: Guest(**row) for row in table["guest"]}
    probes = {row["name"]: Probe(**row) for row in table["probe"]}
    if len(guests) != len(table["guest"]) or len(probes) != len(table["probe"]):
        raise ValueError(f"{path} uses a name twice")
    return guests, probes


def build() -> None:
    """Builds whatever is out of date in guests/build."""
    subprocess.run(["make", "-s", "-C", str(GUESTS)], check=True, stdin=subprocess.DEVNULL)


@functools.cache
def probe_steps(name: str) -> dict[str, str]:
    """Each step of a probe on this host: "" if it works, else how it failed.

    A step may end the machine or hang; the probe is then run again without it, if it can be told.
    """
    build()
    probe = load()[1][name]
    fatal: dict[str, str] = {}
    while True:
        output, how = _run_probe(probe, list(fatal))
        steps = {r.name: "" if r.ok else "does not work" for r in parse(output).results}
        missing = [step for step in probe.tests if step not in steps]
        if not missing:
            return {**steps, **fatal}
        stuck = missing[0] in fatal or not probe.reads_command_line
        fatal[missing[0]] = how
        if stuck:
            return {**{step: "was not reached" for step in missing}, **steps, **fatal}


def _run_probe(probe: Probe, skip: list[str]) -> tuple[str, str]:
    """Output, and how it ended in case that was early."""
    command = [str(BUILD / "rawvmm"), "-i", "-a", f"skip=-,{','.join(skip)}"]
    try:
        done = subprocess.run(
            [*command, str(BUILD / probe.image)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace"), "hangs"
    return done.stdout, "ends the machine"


def probe_problem(need: str) -> str | None:
    """None if this host's KVM can do what `need` asks, else a sentence about what it cannot."""
    name, _, step = need.partition(":")
    probe = load()[1][name]
    if step and step not in probe.tests:
        raise ValueError(f"{name} has no step {step}")
    steps = probe_steps(name)
    bad = [f"{at} {steps[at]}" for at in ([step] if step else probe.tests) if steps[at]]
    return f"KVM here: {probe.summary}: {', '.join(bad)}" if bad else None
