"""The benchmarks: figures in files and tables, suites that fail, freeze or end early."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks import bars, guest, lab, report
from tests.benchmarks.process import Failed, Watched
from tests.benchmarks.results import Measures, load

ENTROPY = {"exits/entropy/vmm": 106.0, "exits/entropy/raw ring": 100.0}
PATIENCE = 30.0


def of(samples: dict[str, float]) -> Measures:
    made = Measures()
    for name, value in samples.items():
        made.add(name, value)
    return made


def test_figures_survive_a_file(tmp_path: Path) -> None:
    found = of({"exits/out80/raw": 2.0})
    found.add("exits/out80/raw", 4.0)
    found.about["exits"] = {"rounds": 2}
    found.save(tmp_path / "new folder" / "bench.json")
    again = load(tmp_path / "new folder" / "bench.json")
    assert (again.samples, again.about) == (found.samples, found.about)
    assert again.get("exits/out80/raw") == 3.0
    assert again.spread("exits/out80/raw") == pytest.approx(2 / 3)
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["bench.json"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "other.json"
    place.write_text("[]")
    with pytest.raises(ValueError, match="no file of benchmark results"):
        load(place)


def test_table_has_ratios_and_changes() -> None:
    found = of({"exits/out80/raw": 200.0, "exits/out80/vmm": 210.0})
    lines = report.table(found, of({"exits/out80/vmm": 200.0})).splitlines()
    assert lines[1].split() == ["exits/out80/raw", "200", "0.00%", "1.000"]
    assert lines[2].split() == ["exits/out80/vmm", "210", "0.00%", "1.050", "+5.00%"]


def test_bars_show_what_was_measured_and_what_is_over() -> None:
    assert bars.table(of({"exits/entropy/vmm": 1.0})) == ""
    [head, line] = bars.table(of(ENTROPY)).splitlines()
    assert head.split() == ["bar", "measured", "at", "most"]
    assert line.startswith("doorbell")
    assert line.endswith("over by 1.0%")


@pytest.fixture
def two_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_rounds: int) -> Measures:
        raise Failed("no such luck")

    def interrupted(_rounds: int) -> Measures:
        raise KeyboardInterrupt

    suites = {"host-startup": broken, "host-exits": interrupted}
    monkeypatch.setattr(bench, "HOST_SUITES", suites)
    monkeypatch.setattr(guest, "prepare", lambda: None)
    monkeypatch.setattr(lab, "measure", lambda _suite, _rounds: of(ENTROPY))


def run(place: Path, *suites: str) -> int:
    return bench.main(["--output", str(place), *(f"--suite={suite}" for suite in suites)])


@pytest.mark.usefixtures("two_suites")
def test_a_suite_that_fails_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "bench.json"
    assert run(place, "host-startup", "exits") == 1
    said = capsys.readouterr()
    assert "exits/entropy/vmm" in said.out
    assert "over by" in said.out
    assert "host-startup failed: no such luck" in said.err
    assert "without host-startup" in said.err
    assert load(place).samples.keys() == ENTROPY.keys()
    assert run(place, "exits") == 0


@pytest.mark.usefixtures("two_suites")
def test_an_interrupted_run_keeps_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "bench.json"
    assert run(place, "exits", "host-exits", "boot") == bench.INTERRUPTED
    said = capsys.readouterr()
    assert "exits/entropy/vmm" in said.out
    assert str(place) in said.err
    assert load(place).samples.keys() == ENTROPY.keys()


def test_silence_is_a_freeze() -> None:
    assert lab.watched(["sh", "-c", "echo begun >&2; exec sleep 600"], silence=0.5).endswith(
        "was stopped"
    )
    assert lab.watched(["sh", "-c", "exit 3"]) == "ended with 3"
    assert lab.watched(["true"]) == ""


@pytest.mark.parametrize("freezes", [0, 1, 2])
def test_a_lab_that_froze_is_repeated_once(
    freezes: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: list[str] = []

    def watched(argv: list[str]) -> str:
        runs.append(argv[argv.index("--out") + 1])
        if len(runs) <= freezes:
            return "froze"
        of(ENTROPY).save(Path(runs[-1]) / "results.json")
        return ""

    monkeypatch.setattr(lab, "watched", watched)
    if freezes < lab.ATTEMPTS:
        assert lab.measure("exits", 2).samples.keys() == ENTROPY.keys()
    else:
        with pytest.raises(RuntimeError, match="exits could not be measured in 2 labs"):
            lab.measure("exits", 2)
    assert len(runs) == min(freezes + 1, lab.ATTEMPTS)
    assert ("once more" in capsys.readouterr().err) == (freezes > 0)


def test_marks_that_come_together_are_found_one_by_one() -> None:
    with Watched(["printf", "one two two three"]) as process:
        for mark in (b"one", b"two", b"two", b"three"):
            process.until(mark, PATIENCE)
        with pytest.raises(Failed, match="ended before b'two'"):
            process.until(b"two", PATIENCE)
