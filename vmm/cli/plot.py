"""`vmm plot REPORT.json`: the boot timeline and the exits of one run, as a picture."""

from __future__ import annotations

import json
import math
import sys
from itertools import pairwise
from typing import Any

import click

from vmm import layout
from vmm.cli.generate import table_command
from vmm.cli.svg import Drawing, fit, ticks
from vmm.control.report import SCHEMA
from vmm.errors import EXIT_OK, ConfigError, HostError
from vmm.host.files import write_atomically
from vmm.options import options_of

REPORT_MAX = 64 << 20  # bytes; a report has some hundred KiB
WIDTH, LEFT, RIGHT, ROW = 960, 276, 130, 24
MARKS_MAX, BARS_MAX = 40, 16
BAD = ("crash", "panic", "timeout", "error")

HELP = """Draw the exit report REPORT.json: boot timeline, exits by reason and by address.

The picture is SVG and suits light and dark pages. Reports are made by vmm boot --exit-report FILE.
"""


def load(path: str) -> dict[str, Any]:
    """The report at `path`. ConfigError if it is none."""
    try:
        with open(path, "rb") as file:
            raw = file.read(REPORT_MAX + 1)
    except OSError as error:
        raise HostError(f"cannot read the report {path}: {error.strerror}") from error
    if len(raw) > REPORT_MAX:
        raise ConfigError(f"{path} is larger than {REPORT_MAX >> 20} MiB, so it is no exit report")
    try:
        report = json.loads(raw)
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is no exit report: it is not JSON") from None
    if not isinstance(report, dict) or "cause" not in report:
        raise ConfigError(f"{path} is no exit report: it has no cause")
    if report.get("schema") != SCHEMA:
        raise ConfigError(
            f"{path} has schema {report.get('schema')!r}; this program draws schema {SCHEMA}"
        )
    return report


def draw(report: dict[str, Any]) -> str:
    """The picture of a report. Parts that are missing or of the wrong shape are left out."""
    page = Drawing(WIDTH)
    name = str(report.get("name", "vmm"))
    bad = report["cause"] in BAD
    page.text(28, 44, fit(name, 600), "title")
    page.text(28, 66, fit(str(report.get("sentence", report["cause"])), WIDTH - 56), "soft")
    page.text(WIDTH - 28, 44, f"{report['cause']} · code {report.get('code')}",
              "head end bad" if bad else "head end")  # fmt: skip
    timings = _dict(report.get("timings"))
    page.text(WIDTH - 28, 66, _summary(timings), "soft end num")
    top = 104.0
    top = timeline(page, top, marks_of(timings))
    counters = _dict(report.get("counters"))
    top = bars(page, top, "Exits by reason", reasons_of(counters), "a")
    top = bars(page, top, "Exits by address", accesses_of(_list(counters.get("vcpus"))), "c")
    queued = accesses_of([_dict(counters.get("coalesced"))])
    bars(page, top, "Writes queued without an exit", queued, "b")
    return page.render(f"{name}: {report['cause']}")


def _summary(timings: dict[str, Any]) -> str:
    wall, cpu = _number(timings.get("wall")), _number(timings.get("cpu"))
    return f"{duration(wall)} wall · {duration(cpu)} CPU"


def timeline(page: Drawing, top: float, marks: list[tuple[str, float]]) -> float:
    """A bar from each mark to the next, one below the other; returns where the next part begins."""
    if len(marks) < 2:
        return top
    page.text(28, top, "Boot timeline", "head")
    limit = marks[-1][1]
    scale = (WIDTH - LEFT - RIGHT) / (limit or 1.0)
    bottom = top + 34 + ROW * (len(marks) - 1)
    for tick in ticks(limit):
        page.line(LEFT + tick * scale, top + 26, LEFT + tick * scale, bottom)
        page.text(LEFT + tick * scale, top + 20, duration(tick), "soft mid num")
    y = top + 34
    for (begin, start), (end, stop) in pairwise(marks):
        label = fit(f"{begin} → {end}", LEFT - 44)
        page.text(LEFT - 14, y + 14, label, "end")
        page.bar(LEFT + start * scale, y + 3, max((stop - start) * scale, 2), ROW - 8, "a")
        page.text(WIDTH - 28, y + 14, duration(stop - start), "end num")
        y += ROW
    return y + 44


def bars(page: Drawing, top: float, heading: str, rows: list[tuple[str, int]], kind: str) -> float:
    """A horizontal bar for each row with its count and share."""
    if not rows:
        return top
    total = sum(count for _name, count in rows)
    shown = rows[:BARS_MAX]
    rest = total - sum(count for _name, count in shown)
    if rest:
        shown = [*shown, (f"{len(rows) - BARS_MAX} others", rest)]
    most = max(count for _name, count in shown)
    page.text(28, top, heading, "head")
    page.text(WIDTH - 28, top, f"{total:,} in all", "soft end num")
    y = top + 16
    room = WIDTH - LEFT - RIGHT - 20
    for name, count in shown:
        page.text(LEFT - 14, y + 14, fit(name, LEFT - 44), "end")
        page.bar(LEFT, y + 3, room, ROW - 8, "track")
        page.bar(LEFT, y + 3, max(room * count / most, 2), ROW - 8, kind)
        share = f"{count / total:.0%}" if count * 100 >= total else "<1%"
        page.text(WIDTH - 28, y + 14, f"{count:,} · {share}", "end num")
        y += ROW
    return y + 44


def duration(seconds: float) -> str:
    """Three digits and the unit that suits them."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size * 0.9995:
            value = seconds / size
            digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
            text = f"{value:.{digits}f}"
            return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"
    return "0" if seconds <= 0 else "<1 µs"


# --- what the report says, taken with care --------------------------------------------------------


def marks_of(timings: dict[str, Any]) -> list[tuple[str, float]]:
    """(name, seconds) in order of time, from the begin of the run."""
    marks = [("begin", 0.0)]
    for item in _list(timings.get("marks"))[:MARKS_MAX]:
        mark = _dict(item)
        at = _number(mark.get("at"))
        marks.append((str(mark.get("name", "?")), max(at, 0.0)))
    return sorted(marks, key=lambda mark: mark[1])


def reasons_of(counters: dict[str, Any]) -> list[tuple[str, int]]:
    """Exits of all vCPUs by reason, most frequent first."""
    sums: dict[str, int] = {}
    for vcpu in _list(counters.get("vcpus")):
        for reason, count in _dict(_dict(vcpu).get("reasons")).items():
            sums[str(reason)] = sums.get(str(reason), 0) + int(_number(count))
    return _ranked(sums)


def accesses_of(sources: list[Any]) -> list[tuple[str, int]]:
    """The accesses counted in `sources` by kind and address, most frequent first."""
    sums: dict[str, int] = {}
    for source in sources:
        for item in _list(_dict(source).get("accesses")):
            row = _dict(item)
            space = str(row.get("space", "?"))
            address = int(_number(row.get("address")))
            label = space if space == "other" else f"{space} {address:#x}{_device(space, address)}"
            sums[label] = sums.get(label, 0) + int(_number(row.get("count")))
    return _ranked(sums)


def _ranked(sums: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(
        ((name, count) for name, count in sums.items() if count > 0),
        key=lambda row: (-row[1], row[0]),
    )


PORTS = (
    (layout.PORT_COM[0], 8, "COM1"),
    (layout.PORT_COM[1], 8, "COM2"),
    (layout.PORT_COM[2], 8, "COM3"),
    (layout.PORT_COM[3], 8, "COM4"),
    (layout.PORT_SUPERIO[0], 2, "super I/O"),
    (layout.PORT_SUPERIO[1], 2, "super I/O"),
    (layout.PORT_PIC_MASTER, 2, "PIC"),
    (layout.PORT_PIC_SLAVE, 2, "PIC"),
    (layout.PORT_PIT, 4, "PIT"),
    (layout.PORT_SPEAKER, 1, "speaker"),
    (layout.PORT_I8042, 1, "i8042"),
    (layout.PORT_I8042 + 4, 1, "i8042"),
    (layout.PORT_RTC, 2, "RTC"),
    (layout.PORT_POST, 1, "POST"),
    (layout.PORT_DEBUGCON, 1, "debugcon"),
    (layout.PORT_DEBUG_EXIT, 4, "debug-exit"),
    (layout.PORT_ACPI_SLEEP_CONTROL, 8, "ACPI"),
    (layout.PORT_PM1_EVENT, 6, "PM1"),
    (layout.PORT_PM_TIMER, 4, "PM timer"),
    (layout.PORT_PCI_ADDRESS, 8, "PCI"),
)


def _device(space: str, address: int) -> str:
    """Whose register that is, as far as layout.py says."""
    if space.startswith("pio"):
        for base, length, name in PORTS:
            if base <= address < base + length:
                return f" {name}"
    if space.startswith("mmio"):
        for base, name in (
            (layout.IOAPIC, "IO-APIC"),
            (layout.HPET, "HPET"),
            (layout.LAPIC, "APIC"),
        ):
            if base <= address < base + layout.PAGE:
                return f" {name}"
    return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not math.isfinite(value) or abs(value) > 1e18:  # type: ignore[arg-type]
        return 0
    return value  # type: ignore[return-value]


def plot(options: dict[str, Any]) -> int:
    picture = draw(load(options["report"]))
    target = options.get("output")
    if target is None:
        sys.stdout.write(picture)
        sys.stdout.flush()
        return EXIT_OK
    try:
        write_atomically(target, picture.encode())
    except OSError as error:
        raise HostError(f"cannot write the picture {target}: {error.strerror}") from error
    return EXIT_OK


command = table_command(
    "plot", options_of("plot"), plot, HELP,
    arguments=[click.Argument(["report"], metavar="REPORT.json", type=click.Path())],
)  # fmt: skip
