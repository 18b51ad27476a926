"""A pytest plugin that decides where each test runs: on this host or in the lab. Never: not at all.

A test says what it needs with `@pytest.mark.needs("kvm", ...)`. What this host lacks is looked for
in the lab: all such tests run there in one boot, and their reports appear here as they come in. The
same tests are collected everywhere; the summary tells what ran where.

Needs: `kvm` (a working /dev/kvm), `stock-kernel` (KVM that runs an unchanged Linux), `xen` (KVM
that hosts Xen domains), `hyperv` (KVM that shows Hyper-V's leaves), `root`, `tap` and `vhost-net`
(the host makes network interfaces, serves them), `vfio` (PCI functions to take away from the host:
those of the lab, which tests/vfio/lab.py lists, and nobody else's), `vfio-iommufd` (modules for
those, built before the lab starts), `older-kernel` (fetched before the lab starts), or the name of
a probe guest (tests/guests.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.needs import Host
from tests.vfio.lab import LAB_ARGUMENTS
from tests.vfio.modules import modules
from vmm.lab.kernel import older_kernel

TOP = Path(__file__).resolve().parent.parent
RESULTS, NODES = "results.jsonl", "nodes.txt"
POLL_SECONDS = 0.2
DEATHS_MAX = 3  # of labs in one run
LAST_LINES = 16  # of a lab that died, shown where the next one starts
LAB_MEMORY = "8G"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--where",
        choices=("auto", "host", "lab"),
        default="auto",
        help="where tests with needs run",
    )
    parser.addoption("--lab-results", metavar="FILE", help="(inside the lab) write reports there")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*names): what the host must have; else it runs in the lab"
    )
    config.stash[PLACES] = {}
    if config.getoption("--lab-results"):
        config.pluginmanager.register(Sender(config), "lab-sender")


PLACES = pytest.StashKey[dict[str, str]]()
LAB = pytest.StashKey["Lab"]()


def needs_of(item: pytest.Item) -> list[str]:
    return [need for mark in item.iter_markers("needs") for need in mark.args]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Chooses a place for each test; the lab's go last, so that quick answers come first."""
    where, host, places = config.getoption("--where"), Host(), config.stash[PLACES]
    inside = bool(config.getoption("--lab-results"))
    for item in items:
        needs = needs_of(item)
        missing = [need for need in needs if host.lacks(need)] if where == "auto" else []
        if inside or not needs or where == "host" or (where == "auto" and not missing):
            places[item.nodeid] = "host"
        else:
            places[item.nodeid] = "lab"
    items.sort(key=lambda item: places[item.nodeid] == "lab")
    for_lab = [item.nodeid for item in items if places[item.nodeid] == "lab"]
    if for_lab and not config.getoption("collectonly"):
        wanted = {need for i in items if places[i.nodeid] == "lab" for need in needs_of(i)}
        vfio = "vfio" in wanted
        if "vfio-iommufd" in wanted:
            modules()
        if "older-kernel" in wanted:
            older_kernel()
        config.stash[LAB] = Lab(config, for_lab, LAB_ARGUMENTS if vfio else ())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if item.config.stash[PLACES].get(item.nodeid) != "lab":
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in item.config.stash[LAB].reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    lab = config.stash.get(LAB, None)
    if lab is not None:
        lab.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    places = config.stash[PLACES]
    if "lab" not in places.values():
        return
    table: dict[str, dict[str, int]] = {}
    for nodeid, place in places.items():
        row = table.setdefault(nodeid.partition("::")[0], {"host": 0, "lab": 0})
        row[place] += 1
    terminalreporter.section("where tests ran")
    terminalreporter.write_line(f"{'host':>6} {'lab':>6}  file")
    for name, row in sorted(table.items()):
        terminalreporter.write_line(f"{row['host'] or '':>6} {row['lab'] or '':>6}  {name}")


class Lab:
    """One lab boot that runs many tests. One that dies on the way is followed by another for the
    rest; but not if it died at the same test before, and not for ever.
    """

    def __init__(
        self, config: pytest.Config, nodeids: list[str], arguments: tuple[str, ...] = ()
    ) -> None:
        self.config, self.left, self.arguments = config, list(nodeids), arguments
        self.deaths: list[str] = []  # the test at which each lab died
        self.process: subprocess.Popen[bytes] | None = None
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.lines: list[str] = []

    def reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        """The reports of one test, waiting for the lab to make them."""
        mine: list[pytest.TestReport] = []
        while not mine or mine[-1].when != "teardown":
            line = self._next_line()
            if line is None:
                self.left.remove(item.nodeid)
                return [*mine, self._lost(item)]
            report = self.config.hook.pytest_report_from_serializable(
                config=self.config, data=json.loads(line)
            )
            if report.nodeid == item.nodeid:
                mine.append(report)
        self.left.remove(item.nodeid)
        return mine

    def _next_line(self) -> str | None:
        while True:
            if self.process is None:
                if len(self.deaths) == DEATHS_MAX or self.deaths.count(self.left[0]) > 1:
                    return None
                self._start()
            ended = self.process is not None and self.process.poll() is not None
            line = self.stream.readline()
            if line.endswith("\n"):
                return line
            if line:  # half a line: the rest comes
                self.stream.seek(self.stream.tell() - len(line.encode()))
            if ended:
                self.process = None
                self.deaths.append(self.left[0])
                self._say(f"the lab ended before its tests did, at {self.left[0]}. It said")
                for line in self._last_words(LAST_LINES).splitlines():
                    self._say(line)
            else:
                time.sleep(POLL_SECONDS)

    def _start(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="vmm-lab-")
        folder = Path(self.folder.name)
        (folder / NODES).write_text("\n".join(self.left))
        results = folder / RESULTS
        results.touch()
        self.stream = results.open(encoding="utf-8")
        self.log = folder / "log.txt"
        self._say(f"{len(self.left)} tests run in the lab")
        command = [
            sys.executable,
            "-m",
            "vmm.lab",
            "run",
            "--mem",
            LAB_MEMORY,
            "--out",
            str(folder),
            *self.arguments,
            "--",
        ]
        inner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--where", "host"]
        inner += ["--lab-results", f"/out/{RESULTS}", f"@/out/{NODES}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *inner],
                cwd=TOP,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _say(self, text: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(f"[lab] {text}")

    def _last_words(self, lines: int = 100) -> str:
        text = self.log.read_text(errors="replace").strip()
        return "\n".join(text[-4000:].splitlines()[-lines:])

    def _lost(self, item: pytest.Item) -> pytest.TestReport:
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome="failed",
            longrepr=f"The lab ended {len(self.deaths)} times before this test's result came, the "
            f"last time at {self.deaths[-1]}. Its last words:\n" + self._last_words(),
            when="call",
        )

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            try:
                self.process.wait(30)  # all results are here; it only has to power off
            except subprocess.TimeoutExpired:
                self.process.terminate()
                self.process.wait()


class Sender:
    """Inside the lab: writes every report as a line of JSON."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.file = open(config.getoption("--lab-results"), "a", encoding="utf-8")  # noqa: SIM115

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        self.file.write(json.dumps(data) + "\n")
        self.file.flush()
