"""The guests' report language, their table, and the verdict on a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests import GUESTS, Guest, Probe, load
from tests.ktap import parse

TABLE = "struct test tests[] = {"
GOOD = "KTAP version 1\n1..2\n# a note\nok 1 first\nok 2 second\n"


def guest(**changes: object) -> Guest:
    fields: dict[str, object] = {"name": "g", "image": "g.elf", "tests": ["first", "second"]}
    return Guest(**{**fields, **changes})  # type: ignore[arg-type]


def test_good_report_is_read_whole() -> None:
    report = parse(GOOD)
    assert [(r.name, r.ok, r.skipped) for r in report.results] == [
        ("first", True, False),
        ("second", True, False),
    ]
    assert report.results[0].notes == ("a note",)
    assert report.problems == []


def test_carriage_returns_and_foreign_lines_do_not_disturb() -> None:
    report = parse("hello\r\n" + GOOD.replace("\n", "\r\n") + "bye\r\n")
    assert len(report.results) == 2
    assert report.problems == []


def test_failure_keeps_the_notes_before_it() -> None:
    report = parse("KTAP version 1\n1..1\n# got 1, wanted 2\nnot ok 1 sum\n")
    assert [r.notes for r in report.failed()] == [("got 1, wanted 2",)]


def test_skip_directive_is_not_part_of_the_name() -> None:
    (result,) = parse("KTAP version 1\n1..1\nok 1 slow # SKIP by command line\n").results
    assert (result.name, result.ok, result.skipped) == ("slow", True, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no KTAP version line"),
        ("KTAP version 1\n", "no plan"),
        ("KTAP version 1\n1..2\nok 1 a\n", "2 subtests planned, 1 reported"),
        ("KTAP version 1\n1..1\nok 2 a\n", "subtest 1 is numbered 2"),
        (GOOD + GOOD, "the guest started twice"),
    ],
)
def test_broken_reports_are_named(text: str, problem: str) -> None:
    assert problem in parse(text).problems


def test_bail_out_is_kept() -> None:
    assert parse("KTAP version 1\n1..1\nBail out! exception 6\n").bail_out == "exception 6"


def test_endless_report_is_cut() -> None:
    lines = "".join(f"ok {n} x\n" for n in range(1, 20_000))
    assert len(parse("KTAP version 1\n1..1\n" + lines).results) == 10_000


def test_good_run_has_no_complaints() -> None:
    assert guest().complaints(GOOD, 1) == []


@pytest.mark.parametrize(
    ("output", "code", "complaint"),
    [
        (GOOD, 3, "exit code 3 instead of 1"),
        (GOOD.replace("ok 2", "not ok 2"), 1, "second failed"),
        (GOOD.replace("second", "other"), 1, "reported subtests ['first', 'other']"),
        (GOOD.replace("second", "second # SKIP by command line"), 1, "second was skipped"),
        (GOOD + "Bail out! dead\n", 1, "bailed out: dead"),
        ("", 1, "no KTAP version line"),
    ],
)
def test_bad_run_is_complained_about(output: str, code: int, complaint: str) -> None:
    assert any(complaint in text for text in guest().complaints(output, code))


def test_skipping_what_was_to_be_skipped_is_fine_and_running_it_is_not() -> None:
    skipping = guest(skip=["second"])
    skipped = GOOD.replace("second", "second # SKIP by command line")
    assert skipping.complaints(skipped, 1) == []
    assert skipping.complaints(GOOD, 1) == ["second was not skipped"]
    assert skipping.command_line() == "skip=second"


def test_guest_without_subtests_is_judged_by_its_code_alone() -> None:
    crash = guest(tests=[], code=254)
    assert crash.complaints("anything", 254) == []
    assert crash.complaints("anything", 1) == ["exit code 1 instead of 254"]


def test_settings_carry_the_row_and_write_modules(tmp_path: Path) -> None:
    settings = guest(modules=["text"], options={"ioapic-pins": "48"}).settings("split", tmp_path)
    assert settings["irqchip"] == "split"
    assert settings["ioapic_pins"] == "48"
    assert settings["debug_exit"] is True
    assert Path(settings["modules"][0]).read_text() == "text"


def test_table_names_guests_that_are_in_the_tree() -> None:
    guests, probes = load()
    rows: list[Guest | Probe] = [*guests.values(), *probes.values()]
    for row in rows:
        stem = row.image.rpartition(".")[0].removesuffix("-fields")
        assert (GUESTS / stem).is_dir(), row.image


def test_every_directory_of_a_guest_is_in_the_table() -> None:
    guests, probes = load()
    images = [g.image for g in guests.values()] + [p.image for p in probes.values()]
    used = {image.rpartition(".")[0] for image in images}
    sources = {path.parent.name for path in GUESTS.glob("*/*.[cS]")} - {"lib"}
    assert sources - used == {"kick", "echo"}  # run until a test stops them


def test_needs_refer_to_steps_of_probes() -> None:
    guests, probes = load()
    for row in guests.values():
        for need in row.needs:
            name, _, step = need.partition(":")
            assert not step or step in probes[name].tests


def test_subtests_in_the_table_are_those_in_the_source() -> None:
    guests, probes = load()
    rows: list[Guest | Probe] = [*guests.values(), *probes.values()]
    for row in rows:
        main = GUESTS / row.image.rpartition(".")[0].removesuffix("-fields") / "main.c"
        if main.exists() and TABLE in main.read_text():
            source = main.read_text().partition(TABLE)[2]
            assert all(f'"{name}"' in source for name in row.tests), row.name
            assert source.count("{ ") == len(row.tests), row.name


def test_unknown_key_in_the_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "guests.toml"
    path.write_text('[[guest]]\nname = "a"\nimage = "a.elf"\ntests = []\ncolour = 1\n[[probe]]\n')
    with pytest.raises(TypeError, match="colour"):
        load(path)
