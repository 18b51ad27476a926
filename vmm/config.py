"""VmConfig: everything a machine is built from, and its three doors.

The doors are `VmConfig.of` (Python keywords), `from_toml` and `from_argv`. Each reports all
problems at once as ConfigError (the rules are in vmm/check.py). A configuration holds no live
object and can be written as TOML. Whether files exist is found out by whoever opens them.
"""

from __future__ import annotations

from vmm import layout
from vmm.check import find_problems
from vmm.consoleconfig import ConsoleConfig
from vmm.errors import ConfigError
from vmm.options import BOOT_OPTIONS, FIELDS
from vmm.record import Record
from vmm.values import CpuConfig, ModuleConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from vmm.deviceconfig import DeviceConfig
    from vmm.portconfig import PortConfig


class VmConfig(Record):
    """One machine. Sizes in bytes, times in seconds; `None` and `""` mean: not set."""

    kernel: str = ""
    initrd: str = ""
    modules: tuple[ModuleConfig, ...] = ()
    append: str = ""
    boot_protocol: str = "auto"
    kaslr: bool = False
    name: str = "vmm"
    machine: str = "default"
    irqchip: str = "kernel"
    ioapic_pins: int = 24
    hyperv: bool = False
    xen: bool = False
    xen_backend: str = "auto"
    xen_calls: str = "patch"
    xen_pirqs: str = "off"
    xen_version: str = "4.17"
    testdev: bool = False
    debug_exit: bool = False
    rtc_base: str = "utc"
    mem: int = 512 * layout.MIB
    mem_backing: str = "auto"
    mem_prealloc: bool = False
    cpus: int = 1
    cpu: CpuConfig = CpuConfig()
    tsc_khz: int | None = None
    consoles: tuple[ConsoleConfig, ...] = (ConsoleConfig(),)  # COM1 to COM4, and hvc0, hvc1 ...
    console_overflow: str = "auto"
    ports: tuple[PortConfig, ...] = ()  # of virtio consoles
    devices: tuple[DeviceConfig, ...] = ()  # on the PCI bus, in this order
    disks: tuple[DeviceConfig, ...] = ()  # behind them
    nets: tuple[DeviceConfig, ...] = ()  # virtio-net, behind those
    rng: bool = False
    pci: str = "auto"
    io_threads: int = 1
    reboot: str = "reset"
    timeout: float | None = None
    exit_report: str = ""
    state_dir: str = ""
    trace: str = ""
    stats: bool = False
    json: bool = False
    log_format: str = "auto"
    log_level: str = "warning"
    debug: bool = False

    @property
    def hides_count2(self) -> bool:
        """The 8254's counter 2 cannot be read: Xen tells how fast the TSC is."""
        return self.xen and self.machine == "default"

    @property
    def own_pit(self) -> bool:
        """The 8254 is ours, else KVM's."""
        return self.irqchip == "split" or self.hides_count2

    @classmethod
    def of(cls, **values: object) -> VmConfig:
        """Python's door: fields by name, each as its own type or as the text a user would type."""
        from vmm.tomlfile import read_keywords

        problems: list[str] = []
        return _assemble(read_keywords(values, problems), problems)

    @classmethod
    def from_toml(cls, text: str) -> VmConfig:
        """TOML's door: the long options' names without the dashes in front."""
        from vmm.tomlfile import read_toml

        problems: list[str] = []
        return _assemble(read_toml(text, problems), problems)

    @classmethod
    def from_argv(cls, argv: Sequence[str]) -> VmConfig:
        """The command line's door; a file named by `--config` is read first."""
        from vmm.argv import scan

        values, problems = scan(argv, BOOT_OPTIONS)
        return cls.from_values(values, problems)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], problems: Sequence[str] = ()) -> VmConfig:
        """What a parser found (vmm.argv.scan, or click), with problems it already knows of."""
        found = list(problems)
        fields: dict[str, Any] = {}
        if "config" in values:
            from vmm.tomlfile import read_file

            fields = read_file(values["config"], found)
        fields.update({name: value for name, value in values.items() if name in FIELDS})
        words = values.get("rest", ())
        if words:
            fields["append"] = " ".join(filter(None, (fields.get("append"), *words)))
        return _assemble(fields, found)

    def to_toml(self) -> str:
        """A file that `from_toml` reads back as an equal configuration; unset fields are comments.

        Raises ConfigError if a text is not UTF-8, which TOML cannot hold.
        """
        from vmm.tomlfile import write_toml

        return write_toml(self)


def _assemble(values: dict[str, Any], problems: list[str]) -> VmConfig:
    """The record, once parsers' problems and the validator's are both known to be none."""
    if problems:
        values.setdefault("kernel", "-")  # a mistyped --kernel is problem enough
    config = VmConfig(**values)
    problems.extend(find_problems(config))
    if problems:
        raise ConfigError(*problems)
    return config


def checked(config: VmConfig) -> VmConfig:
    """`config` itself; ConfigError with all its problems if it cannot work."""
    problems = find_problems(config)
    if problems:
        raise ConfigError(*problems)
    return config
