"""The logger: where lines go, what they cost before the first, and the limiter."""

from __future__ import annotations

import json
import subprocess
import sys

from vmm.log import BURST, INTERVAL, Logger


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def json_logger(level: str = "info", clock: Clock | None = None) -> tuple[Logger, list[str]]:
    lines: list[str] = []
    return Logger(level, "json", lines.append, clock or Clock()), lines


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_event_becomes_one_json_line_with_its_fields() -> None:
    log, lines = json_logger()

    log.event("vcpu.kicked", vcpu=3)

    line = json.loads(lines[0])
    assert (line["event"], line["vcpu"], line["level"]) == ("vcpu.kicked", 3, "info")
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_vanish() -> None:
    log, lines = json_logger("warning")

    log.debug("a.b")
    log.event("a.b")
    log.limited("a.b", level="debug")
    log.warning("a.c")
    log.error("a.d")

    assert [json.loads(line)["event"] for line in lines] == ["a.c", "a.d"]


def test_bound_fields_are_in_each_line_of_the_child_only() -> None:
    log, lines = json_logger()
    child = log.bind(vm="one").bind(vcpu=1)

    child.event("a.b", extra=2)
    log.event("a.c")

    first, second = (json.loads(line) for line in lines)
    assert (first["vm"], first["vcpu"], first["extra"]) == ("one", 1, 2)
    assert "vm" not in second


def test_fields_named_like_structlogs_own_do_not_collide() -> None:
    log, lines = json_logger()

    log.event("a.b", event="x", level="y", timestamp="z", name="n")

    line = json.loads(lines[0])
    assert (line["event_"], line["level_"], line["timestamp_"], line["name"]) == (*"xyz", "n")


def test_values_json_cannot_hold_become_text() -> None:
    log, lines = json_logger()

    log.event("a.b", raw=b"\xff", kind=int)

    assert json.loads(lines[0])["raw"] == "b'\\xff'"


def test_console_lines_hold_no_control_characters_from_a_field() -> None:
    lines: list[str] = []

    Logger("info", "console", lines.append).event("guest.said", text="a\x1b[31mred\n")

    assert "\\x1b[31m" in lines[0]
    assert lines[0].isprintable()


def test_limiter_passes_a_burst_and_counts_the_rest() -> None:
    clock = Clock()
    log, lines = json_logger(clock=clock)

    def site() -> None:
        log.limited("virtio.bad_chain")

    for _ in range(BURST + 5):
        site()
    clock.now += INTERVAL
    site()

    assert len(lines) == BURST + 1
    assert json.loads(lines[-1])["swallowed"] == 5
    assert all("swallowed" not in json.loads(line) for line in lines[:-1])


def test_limiter_keeps_call_sites_apart() -> None:
    log, lines = json_logger()

    for _ in range(BURST + 1):
        log.limited("a.b")
    log.limited("a.b")

    assert len(lines) == BURST + 1


def test_close_reports_what_was_swallowed_once() -> None:
    log, lines = json_logger()
    for _ in range(BURST + 3):
        log.limited("a.b", level="error")

    log.close()
    log.close()

    last = json.loads(lines[-1])
    assert len(lines) == BURST + 1
    assert (last["swallowed"], last["level"]) == (3, "error")


def test_limiter_of_a_child_is_its_parents() -> None:
    log, lines = json_logger()

    for child in (log.bind(dev=number) for number in range(BURST + 4)):
        child.limited("a.b")

    assert len(lines) == BURST


def test_nothing_is_imported_before_the_first_line() -> None:
    done = run(
        "import sys; from vmm.log import Logger; log = Logger(); log.event('a.b'); log.close();"
        "print('structlog' in sys.modules, 'logging' in sys.modules)"
    )

    assert done.stdout == "False False\n"


def test_lines_go_to_stderr_and_never_to_stdout() -> None:
    done = run("from vmm.log import Logger; Logger('info').event('a.b', n=1)")

    assert done.stdout == ""
    assert json.loads(done.stderr)["event"] == "a.b"


def test_a_closed_stderr_does_not_stop_the_machine() -> None:
    done = run("import os; os.close(2); from vmm.log import Logger; Logger().error('a.b')")

    assert done.returncode == 0
