"""One file with the bytecode of every module that `vmm boot` imports.

To find, check and read eighty files one by one costs a third of importing them. A bundle is read
at once; of each module it keeps where the source is, its size and when it was changed, as Python's
own files of bytecode do, and a source that is no longer the same is imported the ordinary way. What
was imported so is in the bundle from the next start on. Whoever cannot write beside the sources
goes without.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from marshal import dumps, loads
from posix import getpid, rename, stat, unlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    Stamp = tuple[int, int]
    Entry = tuple[str, bool, Stamp, bytes]  # source, whether a package, its stamp, bytecode


class Bundle:
    """A finder and loader for sys.meta_path. Package and file may have any name."""

    def __init__(self, package: str, path: str) -> None:
        self._package, self._path = package, path
        self._entries = _read(path)
        self._earlier = frozenset(sys.modules)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """None for what is not here, or has changed since."""
        entry = self._entries.get(name)
        if entry is None or _stamp(entry[0]) != entry[2]:
            return None
        spec = ModuleSpec(name, self, origin=entry[0], is_package=entry[1])  # type: ignore[arg-type]
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(entry[0].rpartition("/")[0])
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        exec(loads(self._entries[module.__name__][3]), module.__dict__)

    def update(self) -> None:
        """Adds what was imported the ordinary way, if anything, and writes the file anew."""
        added = {
            name: entry
            for name, module in sys.modules.items()
            if name.partition(".")[0] == self._package
            and name not in self._earlier
            and (entry := _entry(module)) is not None
        }
        if added:
            _write(self._path, self._entries | added)


def _entry(module: ModuleType) -> Entry | None:
    """None for a module that comes from a bundle already, or not from a source."""
    spec = module.__spec__
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    source = spec.loader.path
    code = spec.loader.get_code(module.__name__)
    return source, spec.submodule_search_locations is not None, _stamp(source), dumps(code)


def _stamp(path: str) -> Stamp:
    try:
        found = stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _read(path: str) -> dict[str, Entry]:
    """Empty if there is none, or none of this Python's."""
    try:
        with open(path, "rb") as file:
            magic, entries = loads(file.read())
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    return entries if magic == MAGIC_NUMBER else {}


def _write(path: str, entries: dict[str, Entry]) -> None:
    """In one step, whoever else writes it; an unfinished file is not left behind."""
    unfinished = f"{path}.{getpid()}"
    try:
        with open(unfinished, "xb") as file:
            file.write(dumps((MAGIC_NUMBER, entries)))
        rename(unfinished, path)
    except OSError:
        try:  # noqa: SIM105 - contextlib is heavy
            unlink(unfinished)
        except OSError:
            pass
