"""From a checked VmConfig to an exit code: build, run, tell, report.

Nothing here is imported before it is needed: the report after the guest has ended, the control
socket only with --state-dir.
"""

from __future__ import annotations

import gc
from time import monotonic_ns, time

from vmm import log
from vmm.control import ending
from vmm.errors import EXIT_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vmm.config import VmConfig
    from vmm.control.consoles import Consoles, Loss
    from vmm.control.session import StateSession
    from vmm.control.signals import Signals
    from vmm.machine import Machine
    from vmm.outcome import Outcome


def run_machine(config: VmConfig, stop_before: str = "") -> int:
    """Runs the machine to its end and returns the exit code; errors are reported, then raised."""
    run = Run(config)
    try:
        return run.until_end(stop_before)
    except (Exception, KeyboardInterrupt) as error:
        run.report_error(error)
        raise
    finally:
        log.close()


class Run:
    """One run: when it began, how far it got, and what is known of the machine when it ends."""

    def __init__(self, config: VmConfig) -> None:
        self.config = config
        self.started = time()
        self.clock = monotonic_ns()
        self.phase = "configure"
        self.facts: dict[str, Any] = {}
        self.consoles: Consoles | None = None
        self.losses: list[Loss] = []
        self.unused: dict[str, str] = {}
        self.reports: list[str] = []  # where they go: places found usable, and ours

    def until_end(self, stop_before: str) -> int:
        log.configure(self.config.log_level, self.config.log_format, self._lead)
        if self.config.exit_report:
            from vmm.control.report import check_place

            check_place(self.config.exit_report)
            self.reports.append(self.config.exit_report)
        session = self._session()
        try:
            return self._build_and_run(stop_before, session)
        finally:
            if session is not None:
                session.close()

    def _session(self) -> StateSession | None:
        if not self.config.state_dir:
            return None
        from vmm.control.session import StateSession

        session = StateSession(self.config)
        self.reports.append(f"{self.config.state_dir}/report.json")
        return session

    def _build_and_run(self, stop_before: str, session: StateSession | None) -> int:
        from vmm.control.signals import Signals
        from vmm.machine import Machine

        self.phase = "build"
        machine = Machine(self.config)
        try:
            with Signals() as signals, machine:
                if stop_before == "run":
                    self._show(machine.info())
                    return EXIT_OK
                if session is not None:
                    session.serve(machine)
                signals.end(machine)
                self._connect_user(machine, signals)
                outcome = self._run(machine, session)
        finally:
            self._tell_losses(machine)
        return self._tell(outcome)

    def _run(self, machine: Machine, session: StateSession | None) -> Outcome:
        self.phase = "run"
        if not gc.isenabled():  # till now nothing was garbage, and what is there stays
            gc.freeze()
            gc.enable()
        try:
            outcome = machine.run()
        finally:
            self._gather(machine)
            self.unused = ending.unused(machine)
            if session is not None:
                session.hush()
        self.phase = "end"
        return outcome

    def _connect_user(self, machine: Machine, signals: Signals) -> None:
        """Keys of the terminal work; pseudo-terminals, whose names nobody can know, are named."""
        ends = (*self.config.consoles, *(port.end for port in self.config.ports))
        if {end.kind for end in ends}.isdisjoint(("stdio", "pty")):
            return
        from vmm.control.consoles import Consoles

        self.consoles = Consoles(machine)
        for name, path in self.consoles.terminals():
            _say(f"{name} is {path}")
        if any(console.kind == "stdio" for console in self.config.consoles):
            from vmm.control.escape import listen

            listen(machine, self.consoles, _write_stderr)
        if any(console.virtio for console in self.config.consoles):
            from vmm.control.window import follow

            follow(machine, signals)

    def _lead(self) -> str:
        """What a log line must begin with."""
        return self.consoles.lead() if self.consoles is not None else ""

    def _tell_losses(self, machine: Machine) -> None:
        """Once the consoles are closed: only then is it known what nobody took."""
        if machine.state != "closed":
            return
        from vmm.control.consoles import losses

        self.losses = losses(machine)
        for loss in self.losses:
            _say(loss.sentence())

    def _gather(self, machine: Machine) -> None:
        """What the report and the user want to know, while the machine still exists.

        vCPUs run no more: KVM's own counters are asked of each. A fact that cannot be had is
        logged; it must not hide how the guest ended.
        """
        if not (self.config.stats or self.reports):
            return

        def marks() -> list[tuple[str, float]]:
            both = [*machine.timeline, *machine.boot_marks()]
            both.sort(key=lambda mark: mark[1])
            return [(name, (at - self.clock) / 1e9) for name, at in both]

        def counters() -> dict[str, Any]:
            return machine.stats()

        facts = {"marks": marks, "console": machine.console_tail, "counters": counters}
        for name, take in facts.items():
            try:
                self.facts[name] = take()
            except Exception as error:
                log.error("report.fact_missing", fact=name, error=str(error))

    def _tell(self, outcome: Outcome) -> int:
        self._show_stats()
        for name, option in self.unused.items():
            _say(ending.unused_sentence(name, option))
        text = ending.sentence(outcome.cause, outcome.detail)
        if outcome.cause not in ending.QUIET:
            _say(text)
        return self._report(outcome.cause, outcome.code, text, outcome.detail)

    def report_error(self, error: BaseException) -> None:
        """The report of a run that an exception ended, about which the caller tells the user."""
        from vmm.errors import GuestCrash
        from vmm.sentences import causes, exit_code, problems_of

        self._show_stats()
        first = causes(error)[0]
        detail: dict[str, Any] = {"error": type(first).__name__}
        if isinstance(first, GuestCrash):
            from vmm.crash import as_text

            detail.update(first.report)
            _write_stderr(as_text(first.report) + "\n")
            cause = "crash"
        elif isinstance(first, KeyboardInterrupt):
            cause = "signal"
        else:
            cause = "error"
        self._report(cause, exit_code(first), "; ".join(problems_of(first)), detail, tell=False)

    def _report(
        self, cause: str, code: int, text: str, detail: Mapping[str, Any], *, tell: bool = True
    ) -> int:
        """Writes every report asked for; the code to end with.

        Where one cannot be written the user learns why, and, if nobody else tells, how it ended.
        """
        if not self.reports:
            return code
        from time import CLOCK_PROCESS_CPUTIME_ID, clock_gettime

        from vmm.control import report

        body = report.Ending(
            cause=cause,
            code=code,
            phase=self.phase,
            sentence=text,
            detail=detail,
            started=self.started,
            wall=(monotonic_ns() - self.clock) / 1e9,
            cpu=clock_gettime(CLOCK_PROCESS_CPUTIME_ID),
            losses=self.losses,
            unused=self.unused,
            **self.facts,
        )
        for path in self.reports:
            try:
                report.write_report(path, report.as_json(body, self.config.name))
            except report.ReportError as error:
                _say(str(error))
                if tell:
                    _say(f"how it ended: {text} (code {body.code})")
                code = error.exit_code
        return code

    def _show_stats(self) -> None:
        """After the machine is closed: then its console has said everything."""
        if self.config.stats and "counters" in self.facts:
            self._show(self.facts["counters"])

    def _show(self, snapshot: Mapping[str, Any]) -> None:
        from vmm import stats

        text = stats.as_json(snapshot) if self.config.json else stats.as_table(snapshot)
        _write_stderr(text + "\n")


def _say(sentence: str) -> None:
    from vmm.sentences import say

    say(sentence)


def _write_stderr(text: str) -> None:
    import sys

    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass
