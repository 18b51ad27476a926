"""Changes to sysfs, one write each: planned, shown as shell commands, done."""

from __future__ import annotations

import os

from vmm.errors import HostError
from vmm.host.survey import at
from vmm.record import Record
from vmm.vfio.sysfs import DEVICES, DRIVERS, link_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Write = Callable[[str, str], None]


class Step(Record):
    """One write to sysfs; an empty text is written as a newline, which sysfs takes for nothing.

    Without a path, `text` is a command of its own, which comes before the writes.
    """

    path: str
    text: str

    @property
    def command(self) -> str:
        """The same for a shell."""
        if not self.path:
            return self.text
        return f"echo {self.text} > {self.path}" if self.text else f"echo > {self.path}"


class Sysfs:
    """Of the host below `root`. `write` is how its files are written."""

    def __init__(self, root: str, write: Write) -> None:
        self._root, self._write = root, write

    def there(self, address: str) -> bool:
        return os.path.isdir(at(self._root, f"{DEVICES}/{address}"))

    def do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            try:
                self._write(at(self._root, step.path), step.text or "\n")
            except OSError as error:
                reason = error.strerror or str(error)
                gone = isinstance(error, FileNotFoundError) and step.path.startswith(DRIVERS)
                driver = step.path.removeprefix(f"{DRIVERS}/").partition("/")[0]
                advice = f"load the driver with `modprobe {driver}`" if gone else "see `dmesg`"
                raise HostError(f"`{step.command}` failed: {reason}; {advice}") from error

    def expect(self, address: str, driver: str) -> None:
        now = link_name(f"{DEVICES}/{address}/driver", self._root)
        if now != driver:
            raise HostError(
                f"{address} should have {_driver(driver)} now and has {_driver(now)}; "
                "`dmesg` tells why"
            )


def _driver(name: str) -> str:
    return f"the driver {name}" if name else "no driver"
