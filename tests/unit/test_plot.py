"""Pictures of exit reports: what they show, and that no report can break them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.__main__ import main
from vmm.cli.plot import accesses_of, draw, duration, load, marks_of, reasons_of
from vmm.cli.svg import escape, fit, ticks
from vmm.errors import EXIT_HOST, EXIT_OK, EXIT_USAGE, ConfigError

SVG = "{http://www.w3.org/2000/svg}"
REPORT: dict[str, object] = {
    "schema": 1,
    "name": "debian <6>",
    "cause": "power-off",
    "code": 0,
    "sentence": "the guest powered itself off",
    "timings": {
        "wall": 2.5,
        "cpu": 1.9,
        "marks": [{"name": "running", "at": 0.05}, {"name": "power-off", "at": 2.5}],
    },
    "counters": {
        "vcpus": [
            {
                "reasons": {"IO": 700, "HLT": 1},
                "accesses": [{"space": "pio-write", "address": 0x3F8, "count": 600}],
            },
            {
                "reasons": {"IO": 299},
                "accesses": [
                    {"space": "mmio-read", "address": 0xFEC00010, "count": 9},
                    {"space": "other", "address": 0, "count": 1},
                ],
            },
        ]
    },
}


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def widths(picture: str, kind: str) -> list[float]:
    found = ElementTree.fromstring(picture).iter(f"{SVG}rect")
    return [float(rect.get("width", "0")) for rect in found if rect.get("class") == kind]


def test_picture_tells_name_ending_and_times() -> None:
    shown = texts(draw(REPORT))

    assert shown[:4] == [
        "debian <6>",
        "the guest powered itself off",
        "power-off · code 0",
        "2.5 s wall · 1.9 s CPU",
    ]


def test_timeline_has_a_bar_for_each_step_as_long_as_it_took() -> None:
    picture = draw({**REPORT, "counters": {}})
    first, second = widths(picture, "a")

    assert "running → power-off" in texts(picture)
    assert second / first == pytest.approx(2.45 / 0.05, rel=0.01)


def test_exits_are_summed_over_vcpus_and_ranked() -> None:
    picture = draw({**REPORT, "timings": {}})
    shown = texts(picture)

    assert reasons_of(REPORT["counters"]) == [("IO", 999), ("HLT", 1)]  # type: ignore[arg-type]
    assert "999 · 100%" in shown
    assert "1 · <1%" in shown
    assert "1,000 in all" in shown
    assert widths(picture, "a")[0] == max(widths(picture, "track"))


def test_addresses_are_named_after_their_devices() -> None:
    assert [name for name, _count in accesses_of(REPORT["counters"]["vcpus"])] == [  # type: ignore[index]
        "pio-write 0x3f8 COM1",
        "mmio-read 0xfec00010 IO-APIC",
        "other",
    ]


def test_queued_writes_have_a_part_of_their_own() -> None:
    queued = {"accesses": [{"space": "pio-write", "address": 0xE9, "count": 108}]}
    picture = draw({**REPORT, "counters": {"coalesced": queued}})

    assert "Writes queued without an exit" in texts(picture)
    assert "pio-write 0xe9 debugcon" in texts(picture)
    assert "Exits by address" not in texts(picture)


def test_many_rows_are_folded_into_one() -> None:
    reasons = {f"R{number:03}": 1000 - number for number in range(100)}
    shown = texts(draw({**REPORT, "counters": {"vcpus": [{"reasons": reasons}]}}))

    assert "R015" in shown
    assert "R016" not in shown
    assert "84 others" in shown


def test_marks_are_sorted_and_limited() -> None:
    marks = marks_of({"marks": [{"name": "b", "at": 2}, {"name": "a", "at": 1}, *[{}] * 100]})

    assert len(marks) == 41
    assert marks[-2:] == [("a", 1), ("b", 2)]


def test_an_ending_with_a_code_is_marked() -> None:
    bad = draw({**REPORT, "code": 254, "cause": "crash"})

    assert 'class="head end bad">crash · code 254<' in bad
    assert "end bad" not in draw(REPORT)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0"),
        (-1, "0"),
        (1e-9, "<1 µs"),
        (1e-6, "1 µs"),
        (0.0123, "12.3 ms"),
        (0.9999, "1 s"),
        (0.99, "990 ms"),
        (100, "100 s"),
        (1.234, "1.23 s"),
        (99.96, "100 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        (0, [0]),
        (8, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        (10, [0, 2, 4, 6, 8, 10]),
        (0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
    ],
)
def test_ticks_are_round(limit: float, found: list[float]) -> None:
    assert ticks(limit) == pytest.approx(found)


@given(st.floats(1e-9, 1e15))
def test_ticks_are_few_and_within(limit: float) -> None:
    found = ticks(limit)

    assert 2 <= len(found) <= 9
    assert found[-1] <= limit * 1.000001


def test_text_is_escaped_and_shortened() -> None:
    assert escape('<a b="c">&\x1b\ufffe') == "&lt;a b=&quot;c&quot;&gt;&amp;\ufffd\ufffd"
    assert fit("abcdefghij", 36) == "abcd…"
    assert fit("abc", 36) == "abc"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"cause": json_values},
        optional={
            "name": json_values,
            "code": json_values,
            "sentence": json_values,
            "timings": json_values
            | st.fixed_dictionaries({"wall": json_values, "marks": st.lists(json_values)}),
            "counters": json_values
            | st.fixed_dictionaries(
                {
                    "vcpus": st.lists(
                        st.fixed_dictionaries(
                            {
                                "reasons": st.dictionaries(st.text(max_size=5), json_values),
                                "accesses": st.lists(
                                    st.fixed_dictionaries(
                                        {
                                            "space": json_values,
                                            "address": json_values,
                                            "count": json_values,
                                        }
                                    )
                                ),
                            }
                        )
                    )
                }
            ),
        },
    )
)
def test_any_report_makes_a_picture_that_is_xml(report: dict[str, object]) -> None:
    picture = draw(report)

    rects = list(ElementTree.fromstring(picture).iter(f"{SVG}rect"))
    sizes = [float(rect.get(key, "0")) for rect in rects for key in ("x", "y", "width", "height")]
    assert all(0 <= size < 1e6 for size in sizes)


# --- the command ----------------------------------------------------------------------------------


def test_command_writes_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT))

    assert main(["plot", str(path), "-o", str(tmp_path / "out.svg")]) == EXIT_OK
    assert main(["plot", str(path)]) == EXIT_OK

    assert (tmp_path / "out.svg").read_text() == capsys.readouterr().out == draw(REPORT)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"cause": 1}', b'{"cause": 1, "schema": 2}', b"[" * 9999],
)
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        load(str(path))


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["plot"], EXIT_USAGE),
        (["plot", "/no/report"], EXIT_HOST),
        (["plot", "--colour", "x"], EXIT_USAGE),
        (["plot", "{report}", "-o", "/no/dir/out.svg"], EXIT_HOST),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: int
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(REPORT))

    assert main([word.format(report=path) for word in argv]) == code
    said = capsys.readouterr().err
    assert said.startswith("vmm: ")
    assert said.count("\n") == 1
