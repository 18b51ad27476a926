"""Reads a command line straight from the table of options; no parser is imported.

The rules are getopt's: `--opt value`, `--opt=value`, `-o value`, `-ovalue`, short flags may be
joined, the last of a repeated option wins, `--` ends the options. An option that wants a value
takes the next word whatever it looks like.
"""

from __future__ import annotations

from vmm.errors import ConfigError
from vmm.options import BOOT_OPTIONS, Option
from vmm.values import read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def parse_boot(argv: Sequence[str]) -> dict[str, object]:
    """Options given in `argv` by name; those not given are absent. Words after `--` come as "rest".

    Raises ConfigError with every problem found.
    """
    values, problems = scan(argv, BOOT_OPTIONS)
    if problems:
        raise ConfigError(*problems)
    return values


def scan(
    argv: Sequence[str], table: tuple[Option, ...], whose: str = "the kernel's words"
) -> tuple[dict[str, object], list[str]]:
    """What `argv` says, and what is wrong with it; an option with a bad value is left out.

    `whose` tells what follows `--`, in a sentence.
    """
    scanner = _Scanner(argv, table, whose)
    scanner.run()
    return scanner.values, scanner.problems


class _Scanner:
    """One pass over argv. State: the words still to read, what was found, what was wrong."""

    def __init__(self, argv: Sequence[str], table: tuple[Option, ...], whose: str) -> None:
        self.words = list(reversed(argv))
        self.whose = whose
        self.flags: dict[str, Option] = {}
        for option in table:
            for flag in (*option.flags, option.off):
                if flag:
                    self.flags[flag] = option
        self.texts: dict[str, list[tuple[Option, str, str]]] = {}
        self.values: dict[str, object] = {}
        self.problems: list[str] = []

    def run(self) -> None:
        self._read_words()
        self._convert()

    def _read_words(self) -> None:
        while self.words:
            word = self.words.pop()
            if word == "--":
                self.values["rest"] = tuple(reversed(self.words))
                return
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._short(word)
            else:
                self.problems.append(
                    f"unexpected word {word!r}: options start with -, {self.whose} follow --"
                )

    def _long(self, word: str) -> None:
        flag, equals, text = word.partition("=")
        option = self.flags.get(flag)
        if option is None:
            self._unknown(flag)
        elif option.kind == "flag":
            if equals:
                self.problems.append(f"{flag} takes no value, so {word!r} cannot be right")
            else:
                self.values[option.name] = flag != option.off
        elif equals:
            self._value(option, flag, text)
        else:
            self._next(option, flag)

    def _short(self, word: str) -> None:
        for at in range(1, len(word)):
            flag = "-" + word[at]
            option = self.flags.get(flag)
            if option is None:
                self._unknown(flag)
            elif option.kind == "flag":
                self.values[option.name] = True
            else:
                if word[at + 1 :]:
                    self._value(option, flag, word[at + 1 :])
                else:
                    self._next(option, flag)
                return

    def _next(self, option: Option, flag: str) -> None:
        if self.words:
            self._value(option, flag, self.words.pop())
        else:
            self.problems.append(f"{flag} wants a value: {flag} {option.metavar}")

    def _value(self, option: Option, flag: str, text: str) -> None:
        """Keeps a value as text; of one that does not add up only the last is looked at."""
        earlier = self.texts.get(option.name, []) if option.repeat else []
        self.texts[option.name] = [*earlier, (option, flag, text)]

    def _convert(self) -> None:
        for name, uses in self.texts.items():
            values = []
            for option, flag, text in uses:
                try:
                    values.append(read(option, text))
                except ValueError as error:
                    self.problems.append(f"{flag} {error}")
            if len(values) == len(uses):
                self.values[name] = tuple(values) if uses[0][0].repeat else values[0]

    def _unknown(self, flag: str) -> None:
        self.problems.append(f"there is no option {flag}{nearest(flag, self.flags)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that suggests what was meant, "" if nothing comes close."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.7)
    return f"; did you mean {found[0]}?" if found else ""
