"""One file with the bytecode of every module that `vmm boot` imports.

To find, check and read eighty files one by one costs a third of importing them. A bundle is read
at once; of each module it keeps where the source is, its size and when it was changed, as Python's
own files of bytecode do, and a source that is no longer the same is imported the ordinary way. What
was imported so is in the bundle from the next start on. Whoever cannot write beside the sources
goes without.

What the first start imported is read as one, names that modules share only once, and run at once,
each module after those that it imports: Python's own way of importing costs as much as what the
modules do. What later starts add stays packed until somebody wants it.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import _fix_co_filename  # type: ignore[attr-defined]
from marshal import dumps, loads
from posix import getpid, rename, stat, unlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    Stamp = tuple[int, int]
    # Source below the folder that holds the package, whether a package, its stamp, code.
    Entry = tuple[str, bool, Stamp, CodeType | bytes]


class Bundle:
    """A finder and loader for sys.meta_path. Package and file may have any name."""

    def __init__(self, package: str, folder: str, path: str) -> None:
        """`folder` holds the package: a copy of both has nothing to do with where it came from."""
        self._package, self._folder, self._path = package, folder, path
        self._entries = _read(path)
        self._earlier = frozenset(sys.modules)

    def run(self) -> None:
        """Imports what the first start did. One that fails, or has changed, ends it: whoever wants
        that module or a later one imports it, and gets the error."""
        for name, (_below, _package, _stamp, code) in self._entries.items():
            above, _, own = name.rpartition(".")
            if name in sys.modules or above not in sys.modules or isinstance(code, bytes):
                continue  # a package that imports its own modules does so when its turn comes
            spec = self.find_spec(name)
            if spec is None:
                return
            module = sys.modules[name] = _module(spec)
            try:
                self.exec_module(module)
            except Exception:
                del sys.modules[name]
                return
            setattr(sys.modules[above], own, module)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """None for what is not here, or has changed since."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        source = f"{self._folder}/{entry[0]}"
        if _stamp(source) != entry[2]:
            return None
        spec = ModuleSpec(name, self, origin=source, is_package=entry[1])  # type: ignore[arg-type]
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(source.rpartition("/")[0])
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        code = self._entries[module.__name__][3]
        code = loads(code) if isinstance(code, bytes) else code
        assert module.__spec__ is not None
        module.__file__ = source = module.__spec__.origin
        _fix_co_filename(code, source)  # what a traceback names
        exec(code, module.__dict__)

    def update(self) -> None:
        """Adds what was imported the ordinary way, if anything, and writes the file anew."""
        added = {
            name: entry
            for name, module in sys.modules.items()
            if name.partition(".")[0] == self._package
            and name not in self._earlier
            and (entry := _entry(module, self._folder)) is not None
        }
        if not added:
            return
        entries = self._entries | added
        first = [name for name, entry in self._entries.items() if not isinstance(entry[3], bytes)]
        at_once = _in_order(first or list(entries), entries)
        late = {name: _packed(entry) for name, entry in entries.items() if name not in at_once}
        _write(self._path, at_once | late)


def _packed(entry: Entry) -> Entry:
    below, package, stamp, code = entry
    return below, package, stamp, code if isinstance(code, bytes) else dumps(code)


def _module(spec: ModuleSpec) -> ModuleType:
    """As importlib would make it."""
    module = type(sys)(spec.name)
    module.__spec__, module.__loader__, module.__package__ = spec, spec.loader, spec.parent
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    return module


def _in_order(names: list[str], entries: dict[str, Entry]) -> dict[str, Entry]:
    """Those called `names` and what they import, each after its package and its imports.

    A name that a module uses while it is imported may be that of a module. Packed ones stay out.
    """
    ordered: dict[str, Entry] = {}
    begun: set[str] = set()

    def add(name: str) -> None:
        if name in begun or name not in entries:
            return
        begun.add(name)
        code = entries[name][3]
        if isinstance(code, bytes):
            return
        add(name.rpartition(".")[0])
        used = code.co_names
        for package in used:  # "import a.b" names a.b, "from a import b" both a and b
            add(package)
            if package in entries and entries[package][1]:
                for module in used:
                    add(f"{package}.{module}")
        ordered[name] = entries[name]

    for name in names:
        add(name)
    return ordered


def _entry(module: ModuleType, folder: str) -> Entry | None:
    """None for a module from a bundle, from elsewhere than `folder`, or without its source now."""
    spec = module.__spec__
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    source = spec.loader.path
    if not source.startswith(f"{folder}/"):
        return None
    stamp = _stamp(source)  # before the source is read: it may be changed at any time
    try:
        code = spec.loader.get_code(module.__name__)
    except (OSError, SyntaxError, ValueError):  # it is gone, or half written
        return None
    if code is None:
        return None
    below = source[len(folder) + 1 :]
    return below, spec.submodule_search_locations is not None, stamp, code


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
