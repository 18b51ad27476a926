"""Debian packages downloaded and unpacked into the cache: nothing is installed, no root is needed.

apt runs with a configuration of its own: lists, archives and package status live in the cache,
the sources are the system's mirror for one release plus its backports, signatures are checked
against the system's keyring. /etc/apt and /var/lib/apt are read at most (proxies, certificates),
never written.

The private status file is empty, so apt resolves a package down to libc. What comes out is a small
root folder whose programs run with their own loader and libraries (`Root.command`), whatever the
system has installed now or removes later.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote

from vmm.errors import HostError
from vmm.host import cache, sources
from vmm.record import Record

RELEASE = "bookworm"
RECIPE = "3"  # raise it when unpacked entries must be made anew
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib")
LOADER = "lib64/ld-linux-x86-64.so.2"

# Read after the system's own configuration: keeps its proxies, drops its hooks and its folders.
CONFIGURATION = """\
#clear APT::Update;
#clear DPkg;
Dir::State "{state}/";
Dir::State::status "{status}";
Dir::Cache "{archives}/";
Dir::Etc::sourcelist "{sourcelist}";
Dir::Etc::sourceparts "{empty}";
Dir::Etc::preferences "{empty}/none";
Dir::Etc::preferencesparts "{empty}";
Dir::Log "{state}/";
APT::Sandbox::User "";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Default-Release "";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::Languages "none";
Acquire::Retries "3";
"""


class Deb(Record):
    """One package file as apt would fetch it; `size` in bytes."""

    name: str
    version: str
    size: int


class Root(Record):
    """An unpacked set of packages whose programs run from where they are."""

    path: Path

    def command(self, program: str, *arguments: str) -> list[str]:
        """The argument vector that runs `program`, a path in the root, with the root's libc."""
        libraries = ":".join(str(self.path / folder) for folder in LIBRARIES)
        loader = str(self.path / LOADER)
        name = os.path.basename(program)
        real = str(self.path / program)
        return [loader, "--argv0", name, "--library-path", libraries, real, *arguments]


class Apt:
    """The private apt of one cache folder. Call it only while the cache's lock is held."""

    def __init__(self, folder: Path, etc: Path = Path("/etc/apt")) -> None:
        self._folder = folder
        self._etc = etc
        self._fresh = False

    def closure(self, packages: Sequence[str]) -> list[Deb]:
        """`packages` with all they depend on, as the newest of release and backports resolve it."""
        self._refresh()
        output = self._run(
            ["apt-get", "install", "--print-uris", "-y", "-qq", "-t", f"{RELEASE}-backports"],
            packages,
            f"resolve {' '.join(packages)}",
        )
        return parse_uris(output)

    def unpack(self, debs: Sequence[Deb], into: Path) -> None:
        """Downloads (apt checks signatures and hashes) and unpacks into one folder."""
        total = sum(deb.size for deb in debs)
        cache.say(f"downloading {len(debs)} packages, {total / 1e6:.1f} MB")
        downloads = self._folder / "downloads"
        shutil.rmtree(downloads, ignore_errors=True)
        downloads.mkdir(parents=True)
        names = [f"{deb.name}={deb.version}" for deb in debs]
        self._run(
            ["apt-get", "download", "-q"], names, "download packages", cwd=downloads, loud=True
        )
        cache.say(f"unpacking {len(debs)} packages")
        for deb in sorted(downloads.glob("*.deb")):
            self._run(["dpkg-deb", "-x", str(deb)], [str(into)], f"unpack {deb.name}", plain=True)
        shutil.rmtree(downloads)
        settle(into)

    def _refresh(self) -> None:
        if self._fresh:
            return
        self._configure()
        cache.say("reading the package lists (private to the cache)")
        self._run(["apt-get", "update", "-q"], [], "read the package lists", loud=True)
        self._fresh = True

    def _configure(self) -> None:
        mirror = sources.choose_mirror(sources.system_sources(self._etc), RELEASE)
        for name in ("state/lists/partial", "archives/archives/partial", "empty"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").write_text("")
        (self._folder / "sources.list").write_text(sources.private_sources(mirror, RELEASE))
        self._configuration().write_text(
            CONFIGURATION.format(
                state=self._folder / "state",
                status=self._folder / "status",
                archives=self._folder / "archives",
                sourcelist=self._folder / "sources.list",
                empty=self._folder / "empty",
            )
        )

    def _configuration(self) -> Path:
        return self._folder / "apt.conf"

    def _run(
        self,
        command: list[str],
        arguments: Sequence[str],
        purpose: str,
        *,
        cwd: Path | None = None,
        loud: bool = False,
        plain: bool = False,
    ) -> str:
        """Runs apt-get with the private configuration, or a `plain` tool; returns stdout."""
        if not plain:
            command = [command[0], "-c", str(self._configuration()), *command[1:]]
        show = loud and sys.stderr.isatty()
        try:
            done = subprocess.run(
                [*command, *arguments],
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr if show else subprocess.PIPE,
                stderr=None if show else subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        except FileNotFoundError as error:
            raise HostError(
                f"cannot {purpose}: {command[0]} is not here; this needs Debian"
            ) from error
        if done.returncode != 0:
            last = (done.stderr or b"").decode(errors="replace").strip().splitlines()
            why = next((line for line in last if line.startswith("E: ")), last[-1] if last else "")
            raise HostError(
                f"cannot {purpose}: {command[0]} ended with {done.returncode}"
                f"{': ' + why.removeprefix('E: ') if why else ''}; check the network and the mirror"
            )
        return (done.stdout or b"").decode(errors="replace")


def parse_uris(text: str) -> list[Deb]:
    """The lines of `apt-get --print-uris`: 'uri' file-name size hash. Others are passed over."""
    debs = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or not words[0].startswith("'") or not words[1].endswith(".deb"):
            continue
        name, version, _ = unquote(words[1]).removesuffix(".deb").split("_")
        debs.append(Deb(name=name, version=version, size=int(words[2])))
    return debs


def settle(folder: Path) -> None:
    """Makes what was unpacked stand alone: it is data, not an installed system.

    Set-user-id, set-group-id and sticky are cleared; absolute links, which would lead into the
    system, are turned into the folder.
    """
    for parent, folders, names in os.walk(folder):
        for name in (".", *folders, *names):
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                target = os.readlink(path)
                if target.startswith("/"):
                    os.unlink(path)
                    os.symlink(os.path.relpath(f"{folder}{target}", parent), path)
            elif mode & 0o7000:
                os.chmod(path, mode & 0o777)


def unpacked(
    name: str,
    packages: Sequence[str],
    wanted: Callable[[Deb], bool] = lambda deb: True,
    finish: Callable[[Path], None] = lambda path: None,
) -> Path:
    """The cache entry holding `packages` (with dependencies, those that are `wanted`), made if
    missing.

    `finish` may complete the entry before it becomes visible.
    """
    folder = cache.cache_dir()

    def fill(path: Path) -> None:
        cache.say(f"getting {', '.join(packages)} into {folder} (once; nothing is installed)")
        apt = Apt(folder / "apt")
        debs = [deb for deb in apt.closure(packages) if wanted(deb)]
        apt.unpack(debs, path)
        finish(path)

    recipe = hashlib.sha256(repr((RECIPE, RELEASE, sorted(packages))).encode()).hexdigest()[:8]
    return cache.entry(f"{name}-{recipe}", fill, folder)
