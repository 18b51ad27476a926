"""How the control socket cuts what peers send into messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmm.control.framing import DEPTH_MAX, MESSAGE_MAX, FramingError, Splitter


def split(*pieces: bytes) -> list[object]:
    splitter = Splitter()
    found = [item for piece in pieces for item in splitter.feed(piece)]
    return [str(item) if isinstance(item, FramingError) else item for item in found]


@pytest.mark.parametrize("step", [1, 2, 3, 1000])
def test_objects_need_no_newlines_and_may_come_in_pieces(step: int) -> None:
    stream = b' {"a": "}\\"{"}{"b": [{}]}\r\n\n{\n"c": {}\n}'
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == [{"a": '}"{'}, {"b": [{}]}, {"c": {}}]


@pytest.mark.parametrize(
    "garbage", [b"hello\n", b"[1, 2]\n", b'"text"\n', b"\xff\xfe\n", b"12 ", b"}}}\n"]
)
@pytest.mark.parametrize("step", [1, 1000])
def test_garbage_is_answered_once_and_skipped(garbage: bytes, step: int) -> None:
    stream = garbage + b'{"a": 1}'
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == ["a message must be a JSON object", {"a": 1}]


@pytest.mark.parametrize(
    "bad", [b'{"a":}', b'{"a": NaN}', b"{]", b'{"a": "\xff"}', b"{1: 2}", b'{"a" "b"}']
)
def test_an_object_that_is_not_json_is_one_error(bad: bytes) -> None:
    first, second = split(bad + b'{"a": 1}')

    assert str(first).startswith("not valid JSON")
    assert second == {"a": 1}


def test_a_number_too_long_to_convert_is_an_error() -> None:
    assert str(split(b'{"a": ' + b"9" * 5000 + b"}")[0]).startswith("not valid JSON")


def test_a_newline_inside_a_string_starts_afresh() -> None:
    assert split(b'{"execute": "st\n{"a": 1}') == [
        "a string may not hold a bare newline",
        {"a": 1},
    ]


def test_the_longest_message_passes_and_a_longer_one_is_fatal() -> None:
    longest = b'{"a":"' + b"x" * (MESSAGE_MAX - 8) + b'"}'

    assert len(split(longest)) == 1
    assert split(longest) == [{"a": "x" * (MESSAGE_MAX - 8)}]
    assert split(longest.replace(b"x", b"xx", 1)) == [
        f"a message is longer than {MESSAGE_MAX} bytes"
    ]


def test_an_endless_message_is_not_kept() -> None:
    splitter = Splitter()

    found = [item for _ in range(100) for item in splitter.feed(b'{"a' + b" " * 4096)]

    assert any(isinstance(item, FramingError) and item.fatal for item in found)
    assert len(splitter._held) <= MESSAGE_MAX + 4100


def test_the_deepest_message_passes_and_a_deeper_one_is_fatal() -> None:
    def nested(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    assert isinstance(split(nested(DEPTH_MAX))[0], dict)
    assert split(nested(DEPTH_MAX + 1))[0] == f"a message nests deeper than {DEPTH_MAX}"


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_make_the_splitter_fail(pieces: list[bytes]) -> None:
    joined = split(b"".join(pieces))

    assert all(isinstance(item, dict | str) for item in joined)
    assert len(split(*pieces)) >= 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=4),
    st.integers(1, 20),
)
def test_whatever_json_writes_is_split_again(objects: list[object], step: int) -> None:
    stream = b"".join(json.dumps(item, indent=None).encode() for item in objects)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]

    assert split(*pieces) == objects
