"""Reading apt's own source lists, one-line and deb822, to learn which mirror this system uses.

Formats: sources.list(5). Only what decides a mirror is kept; nothing is ever written there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from vmm.errors import HostError
from vmm.record import Record

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIMIT = 1 << 20  # bytes of a source list that are read; real ones are a few hundred


class Source(Record):
    """One place packages come from: `uri` serves `suite` with `components`."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None  # a keyring's path; a key written out in the file is not kept


def parse_one_line(text: str) -> Iterator[Source]:
    """`deb [options] uri suite components...` lines; anything else is passed over."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        rest, options = words[1:], {}
        if rest and rest[0].startswith("["):
            end = next((i for i, word in enumerate(rest) if word.endswith("]")), None)
            if end is None:
                continue
            inner = " ".join(rest[: end + 1]).strip("[]").split()
            options = {key: value for key, _, value in (word.partition("=") for word in inner)}
            rest = rest[end + 1 :]
        if len(rest) >= 2:
            key = options.get("signed-by")
            yield Source(
                uri=rest[0], suite=rest[1], components=tuple(rest[2:]), signed_by=_keyring(key)
            )


def parse_deb822(text: str) -> Iterator[Source]:
    """Stanzas of `Field: value` lines; one source for each pair of URI and suite."""
    for stanza in _stanzas(text):
        enabled = stanza.get("enabled", "yes").lower() not in ("no", "false", "0", "off")
        if not enabled or "deb" not in stanza.get("types", "").split():
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Source(
                    uri=uri,
                    suite=suite,
                    components=tuple(stanza.get("components", "").split()),
                    signed_by=_keyring(stanza.get("signed-by")),
                )


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    field = ""
    for line in (*text.splitlines(), ""):
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0] in " \t":
            if field:
                stanza[field] += " " + line.strip()
        else:
            field, _, value = line.partition(":")
            field = field.strip().lower()
            stanza[field] = value.strip()


def _keyring(value: str | None) -> str | None:
    """The first keyring file Signed-By names; a fingerprint or an inline key names none."""
    path = (value or "").replace(",", " ").split()
    return path[0] if path and path[0].startswith("/") else None


def system_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled binary source of the system, in the order apt reads them."""
    found: list[Source] = []
    parts = sorted((etc / "sources.list.d").glob("*"))
    for path in (etc / "sources.list", *parts):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(LIMIT)
        except OSError:
            continue
        if path.suffix == ".list":
            found += parse_one_line(text)
        elif path.suffix == ".sources":
            found += parse_deb822(text)
    return found


def choose_mirror(sources: Iterable[Source], release: str) -> Source:
    """The system's source for `release` itself, else any that carries Debian's main archive."""
    usable = [s for s in sources if not s.components or "main" in s.components]
    for source in usable:
        if source.suite.strip("/") == release:
            return source
    for source in usable:
        if source.uri.rstrip("/").endswith("/debian"):
            return source
    raise HostError(
        f"no mirror that serves Debian {release} is named in /etc/apt/sources.list or "
        "/etc/apt/sources.list.d; add one, then try again"
    )


def private_sources(mirror: Source, release: str) -> str:
    """The private sources.list: `release` and its backports, from `mirror`."""
    key = mirror.signed_by if mirror.signed_by and Path(mirror.signed_by).exists() else KEYRING
    return "".join(
        f"deb [signed-by={key}] {mirror.uri} {suite} main\n"
        for suite in (release, f"{release}-backports")
    )
