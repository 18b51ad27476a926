"""The exit report and the state directory."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vmm.control import report
from vmm.control.consoles import Loss
from vmm.control.ending import QUIET, sentence
from vmm.control.report import Ending, ReportError, last_lines, write_report
from vmm.control.statedir import StateDir
from vmm.errors import EXIT_REPORT, HostError
from vmm.host.files import write_atomically
from vmm.outcome import CAUSES

ENDING = Ending(
    cause="power-off",
    code=0,
    phase="end",
    sentence="the guest powered itself off",
    detail={"raw": b"\x00"},
    console=b"one\r\ntwo \xff\nthree",
    started=0.0,
    wall=1.25,
    cpu=0.5,
    marks=[("running", 0.0123456789)],
    counters={"vcpus": [{"exits": 3}]},
    losses=[Loss(console="com1", bytes=5, reason="disk full")],
    unused={"virtio-rng0": "CONFIG_HW_RANDOM_VIRTIO"},
)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_report_holds_what_is_documented() -> None:
    body = report.as_json(ENDING, "vm")

    assert body.pop("vmm")
    assert body == {
        "schema": report.SCHEMA,
        "name": "vm",
        "cause": "power-off",
        "code": 0,
        "phase": "end",
        "sentence": "the guest powered itself off",
        "console": ["one", "two \\xff", "three"],
        "lost": [{"console": "com1", "bytes": 5, "reason": "disk full"}],
        "unused": {"virtio-rng0": "CONFIG_HW_RANDOM_VIRTIO"},
        "timings": {
            "started": "1970-01-01T00:00:00+00:00",
            "wall": 1.25,
            "cpu": 0.5,
            "marks": [{"name": "running", "at": 0.012346}],
        },
        "counters": {"vcpus": [{"exits": 3}]},
        "detail": {"raw": b"\x00"},
    }


def test_every_key_is_explained() -> None:
    text = Path("docs/exit-report.md").read_text()
    body = report.as_json(ENDING, "vm")

    assert all(f"`{key}`" in text for key in (*body, *body["timings"]))


def test_report_is_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    write_report(str(path), report.as_json(ENDING, "vm"))

    assert json.loads(path.read_text())["detail"] == {"raw": "b'\\x00'"}
    assert left_in(tmp_path) == ["report.json"]


@pytest.mark.parametrize(
    ("tail", "lines"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a", ["a"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\n\nb", ["a", "", "b"]),
        ("né\n".encode()[1:], ["é"]),
        (b"\xa9\n", ["\\xa9"]),
    ],
)
def test_last_lines(tail: bytes, lines: list[str]) -> None:
    assert last_lines(tail) == lines


def test_last_lines_are_few_and_short() -> None:
    lines = last_lines(b"".join(b"%d" % n + b"x" * 1000 + b"\n" for n in range(100)))

    assert len(lines) == report.CONSOLE_LINES
    assert lines[-1].startswith("99x")
    assert {len(line) for line in lines} == {report.CONSOLE_LINE_MAX}


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old" * 100)

    write_atomically(str(path), b"new")

    assert path.read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")

    write_atomically(str(tmp_path / "link"), b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced() -> None:
    with pytest.raises(ReportError, match="/dev/full: No space left on device"):
        write_report("/dev/full", {})

    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_pipe_gets_the_report() -> None:
    reader, writer = os.pipe()
    write_report(f"/dev/fd/{writer}", {"a": 1})
    os.close(writer)

    with open(reader) as file:
        assert json.load(file) == {"a": 1}


def test_a_file_that_is_stdout_is_added_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    code = (
        "from vmm.control.report import write_report\n"
        "print('first', flush=True); write_report('/dev/stdout', {}); print('last')\n"
    )

    with path.open("a") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)

    assert path.read_text() == "first\n{}\nlast\n"


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "sys.dont_write_bytecode = True\n"  # the limit would cut those files short for good
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from vmm.control.report import write_report\n"
        f"write_report({str(path)!r}, {{'a': 'x' * 10000}})\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "ReportError: cannot write the exit report" in done.stderr
    assert "File too large" in done.stderr
    assert path.read_text() == "old"
    assert left_in(tmp_path) == ["report.json"]


def test_a_missing_directory_is_one_sentence_with_its_own_code(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file or directory") as caught:
        write_report(str(tmp_path / "no" / "report.json"), {})

    assert caught.value.exit_code == EXIT_REPORT


@pytest.mark.parametrize("path", ["no/such/report.json", "."])
def test_an_impossible_place_is_refused_before_the_guest_runs(tmp_path: Path, path: str) -> None:
    with pytest.raises(HostError, match="cannot write the exit report"):
        report.check_place(str(tmp_path / path))


@pytest.mark.parametrize("path", ["new.json", "there.json", "link.json"])
def test_a_possible_place_is_accepted_and_left_alone(tmp_path: Path, path: str) -> None:
    (tmp_path / "there.json").write_text("old")
    (tmp_path / "link.json").symlink_to("elsewhere.json")

    report.check_place(str(tmp_path / path))
    report.check_place("/dev/full")

    assert left_in(tmp_path) == ["link.json", "there.json"]


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", [*CAUSES, "debug-exit", "signal"])
def test_every_cause_has_its_own_sentence(cause: str) -> None:
    assert not sentence(cause, {}).startswith("ended: ")
    assert "None" not in sentence(cause, {"value": 3})


def test_sentences_use_what_is_known() -> None:
    assert sentence("timeout", {"seconds": 1.5}) == (
        "--timeout: the guest was still running after 1.5 seconds"
    )
    assert sentence("signal", {"signal": "SIGTERM"}) == "stopped by SIGTERM"
    assert sentence("stopped", {"reason": "Ctrl-A x"}) == "stopped on request (Ctrl-A x)"
    assert sentence("debug-exit", {"value": 3}) == "the guest wrote 3 to isa-debug-exit"
    assert set(QUIET) < {*CAUSES, "debug-exit"}


# --- state directory ------------------------------------------------------------------------------


def test_state_directory_is_private_and_holds_the_configuration(tmp_path: Path) -> None:
    state = StateDir(str(tmp_path / "a" / "b"))
    state.write_config('kernel = "k"\n')
    state.close()

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert Path(state.config).read_text() == 'kernel = "k"\n'


def test_one_machine_at_a_time(tmp_path: Path) -> None:
    first = StateDir(str(tmp_path))
    with pytest.raises(HostError, match="in use by another machine"):
        StateDir(str(tmp_path))

    first.close()
    StateDir(str(tmp_path)).close()


def test_an_old_report_does_not_survive_the_start_of_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")

    StateDir(str(tmp_path)).close()

    assert left_in(tmp_path) == []


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(HostError, match="cannot use the state directory"):
        StateDir(str(tmp_path / "file"))
