"""Cuts a byte stream into JSON objects, as QMP frames them: back to back, newlines optional.

Peers are not trusted: a message has a largest size and depth, garbage is answered once and
skipped up to the next line or brace, and what a peer may make us hold is bounded by MESSAGE_MAX.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

MESSAGE_MAX = 64 << 10  # bytes of one message; the longest sensible command has a few hundred
DEPTH_MAX = 32

STRUCTURE = re.compile(rb'["{}\[\]]')
STRING_END = re.compile(rb'["\\\n]')
RESTART = re.compile(rb"[\n{]")  # where a message may begin after garbage
BLANK = b" \t\r\n"


class FramingError(Exception):
    """What a peer sent is no message. `fatal`: the stream can no longer be followed."""

    def __init__(self, text: str, fatal: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal


class Splitter:
    """Fed bytes as they come, yields each object once it is complete."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0  # everything before it has been looked at
        self._depth = 0
        self._in_string = False
        self._skipping = False  # garbage was answered; drop the rest of it

    def feed(self, data: bytes) -> Iterator[dict[str, object] | FramingError]:
        """Objects completed by `data`, and an error for each stretch that is no object."""
        self._held += data
        while True:
            try:
                raw = self._cut()
                if raw is None:
                    return
                yield _decode(raw)
            except FramingError as error:
                yield error
                if error.fatal:
                    self._held.clear()
                    return

    def _cut(self) -> bytes | None:
        """The next complete object's bytes, None if more must come first."""
        if self._depth == 0 and not self._start():
            return None
        while self._depth or self._at == 0:
            pattern = STRING_END if self._in_string else STRUCTURE
            found = pattern.search(self._held, self._at)
            if found is None:
                self._at = len(self._held)
                if self._at > MESSAGE_MAX:
                    raise FramingError(f"a message is longer than {MESSAGE_MAX} bytes", fatal=True)
                return None
            if not self._step(found[0], found.start()):
                return None
        return self._take(self._at)

    def _start(self) -> bool:
        """Drops blanks and refuses what does not begin an object; False if nothing is left."""
        if self._skipping:
            found = RESTART.search(self._held)
            del self._held[: found.start() if found else len(self._held)]
            self._skipping = found is None
        self._held = self._held.lstrip(BLANK)
        self._at = 0
        if self._held and self._held[0] != ord("{"):
            self._skipping = True
            raise FramingError("a message must be a JSON object")
        return bool(self._held)

    def _step(self, mark: bytes, at: int) -> bool:
        """Follows one structural byte; False if the byte after an escape has not come yet."""
        if at >= MESSAGE_MAX:
            raise FramingError(f"a message is longer than {MESSAGE_MAX} bytes", fatal=True)
        self._at = at + 1
        if self._in_string:
            if mark == b"\n":
                self._take(self._at)
                raise FramingError("a string may not hold a bare newline")
            if mark == b"\\":
                if at + 1 >= len(self._held):
                    self._at = at
                    return False
                self._at = at + 2
            else:
                self._in_string = False
        elif mark == b'"':
            self._in_string = True
        elif mark in b"{[":
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise FramingError(f"a message nests deeper than {DEPTH_MAX}", fatal=True)
        else:
            self._depth -= 1
        return True

    def _take(self, length: int) -> bytes:
        raw = bytes(self._held[:length])
        del self._held[:length]
        self._at, self._depth, self._in_string = 0, 0, False
        return raw


def _decode(raw: bytes) -> dict[str, object]:
    try:
        value = json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FramingError(f"not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FramingError("a message must be a JSON object")
    return value


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON number")
