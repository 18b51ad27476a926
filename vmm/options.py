"""The one table of options: pure data for argv, TOML, click, completion and the manual page.

A row says how an option is spelt and what it means; nothing here parses or checks. `vmm/argv.py`
reads argv from the table, `vmm/tomlfile.py` TOML, `vmm/cli/generate.py` makes click commands.
"""

from __future__ import annotations

from vmm.record import Record

BOOT, SHAPE, CPU, CONSOLE, DEVICES, END, OUTPUT, CONFIG, LAB, VFIO = (
    "What to boot",
    "Machine",
    "Memory and processors",
    "Console",
    "Devices",
    "How it ends",
    "Output and diagnosis",
    "Configuration",
    "Lab",
    "Passthrough",
)
GROUPS = (BOOT, SHAPE, CPU, CONSOLE, DEVICES, END, OUTPUT, CONFIG, LAB, VFIO)


class Option(Record):
    """One row. `kind` names a converter of vmm/values.py; `default` is spelt as a user types it."""

    name: str  # field of VmConfig, or key of the parsed dictionary
    flags: tuple[str, ...]  # short spellings first, the long one last
    kind: str
    help: str
    metavar: str = ""
    default: str = ""  # "" means: not set
    choices: tuple[str, ...] = ()
    group: str = ""
    repeat: bool = False
    toml: str = ""  # key in a configuration file; "" where a file cannot set it
    command: str = "boot"
    verbs: str = ""  # of a command with several, those that know the option; "": all of them

    @property
    def long(self) -> str:
        return self.flags[-1]

    @property
    def off(self) -> str:
        """The spelling that switches a flag off again, "" where there is none."""
        return f"--no-{self.long[2:]}" if self.kind == "flag" and self.toml else ""

    @property
    def spelling(self) -> str:
        """How help and manual show it: -m, --mem SIZE or --[no-]stats."""
        long = f"--[no-]{self.long[2:]}" if self.off else self.long
        return " ".join(filter(None, (", ".join((*self.flags[:-1], long)), self.metavar)))


def _row(
    group: str, flags: str, kind: str, metavar: str, default: str, help: str, **more: object
) -> Option:
    """A row of `vmm boot` whose field and TOML key follow from the long spelling."""
    spelt = tuple(flags.split())
    key = spelt[-1][2:]
    fields: dict[str, object] = {"name": key.replace("-", "_"), "toml": key, **more}
    if kind == "choice":
        fields["choices"] = tuple(metavar.split("|"))
    return Option(
        flags=spelt,
        kind=kind,
        metavar=metavar,
        default=default,
        help=help,
        group=group,
        **fields,  # type: ignore[arg-type]
    )


# fmt: off
BOOT_OPTIONS: tuple[Option, ...] = (
    _row(BOOT, "-k --kernel", "path", "FILE", "",
         "Image to boot: bzImage, vmlinux, PVH or multiboot ELF, or a flat binary. Needed."),
    _row(BOOT, "-i --initrd", "path", "FILE", "", "Initial RAM disk."),
    _row(BOOT, "--module", "module", "FILE[ ARGS]", "",
         "Multiboot module; what follows the first blank is its string.",
         name="modules", repeat=True),
    _row(BOOT, "-a --append", "text", "TEXT", "",
         "Kernel command line. Words after -- are added to it."),
    _row(BOOT, "--boot-protocol", "choice", "auto|linux|elf64|pvh|multiboot|flat", "auto",
         "How to enter the image; auto looks at it."),
    _row(BOOT, "--kaslr", "flag", "", "",
         "Let a bzImage unpack itself in the guest, so that it picks a random address."),
    _row(SHAPE, "--name", "text", "NAME", "vmm", "Name in logs, reports and the control socket."),
    _row(SHAPE, "--machine", "choice", "default|legacy", "default",
         "default is hardware-reduced ACPI; legacy adds RTC, PM timer, COM2-4, i8042 and HPET."),
    _row(SHAPE, "--irqchip", "choice", "kernel|split", "kernel",
         "Where PIC, IO-APIC and PIT live: in KVM, or here (the local APICs stay in KVM)."),
    _row(SHAPE, "--ioapic-pins", "count", "24|48", "24",
         "Pins of the IO-APIC; 48 needs --irqchip split.", choices=("24", "48")),
    _row(SHAPE, "--hyperv", "flag", "", "",
         "Show Hyper-V's CPUID leaves too, for guests that look for them; KVM's or Xen's stand "
         "0x100 higher then."),
    _row(SHAPE, "--xen", "flag", "", "",
         "Show the guest a Xen HVM domain: hypercalls, event channels, PV clock and timer."),
    _row(SHAPE, "--xen-backend", "choice", "auto|kvm|userspace", "auto",
         "Who does the work of --xen: KVM (KVM_CAP_XEN_HVM), or this process with any KVM; auto "
         "takes KVM where it can."),
    _row(SHAPE, "--xen-calls", "choice", "patch|breakpoint", "patch",
         "How --xen-backend userspace makes hypercalls exit: by patching the kernel's two "
         "instructions, or by hardware breakpoints, which leave its text as it is."),
    _row(SHAPE, "--xen-pirqs", "choice", "off|pins|all", "off",
         "Whether a guest of --xen-backend kvm may take devices' interrupts as event channels: "
         "those of pins, or messages (MSI, MSI-X) too."),
    _row(SHAPE, "--xen-version", "text", "MAJOR.MINOR", "4.17",
         "Version of Xen that --xen shows; from 4.17 on each vCPU may have an upcall vector."),
    _row(SHAPE, "--testdev", "flag", "", "",
         "Add isa-debug-exit, pc-testdev and fw_cfg for test kernels."),
    _row(SHAPE, "--debug-exit", "flag", "", "",
         "Add isa-debug-exit alone: writing v to port 0xf4 ends with code (v << 1) | 1."),
    _row(SHAPE, "--rtc-base", "rtc", "utc|localtime|TIME", "utc",
         "What the real-time clock shows at start: host time, or an ISO 8601 time."),
    _row(CPU, "-m --mem", "size", "SIZE", "512M",
         "Guest memory: K, M, G or T; a bare number is MiB, 0x... is bytes."),
    _row(CPU, "--mem-backing", "choice", "auto|thp|4k|hugetlb", "auto",
         "Pages behind guest memory; auto takes transparent huge pages where the host has them."),
    _row(CPU, "--mem-prealloc", "flag", "", "", "Touch all guest memory before the guest starts."),
    _row(CPU, "-c --cpus", "count", "N", "1", "Number of vCPUs, 1 to 255."),
    _row(CPU, "--cpu", "cpu", "SPEC", "host",
         "host|none[,+FEATURE][,-FEATURE][,vendor=NAME][,topology=SOCKETS:CORES:THREADS]."),
    _row(CPU, "--tsc-khz", "count", "KHZ", "",
         "TSC frequency the guest sees; the host's if not set."),
    _row(CONSOLE, "--console", "console",
         "stdio|pty|null|file:PATH|socket:PATH|connect:PATH|pipe:PATH|fd:N|ring[:SIZE]|virtio[:...]|xen[:...]",
         "stdio", "Where COM1 goes; given again, COM2 to COM4 (--machine legacy). socket listens, "
         "connect calls, pipe is two FIFOs (PATH.in, PATH.out), ring stays in memory; virtio:pty "
         "and xen:pty are hvc0 instead of a serial port, virtio and xen alone end on stdio.",
         name="consoles", repeat=True),
    _row(CONSOLE, "--console-overflow", "choice", "auto|block|drop", "auto",
         "Slow reader: hold the guest back (a serial port after 16 MiB), or drop the oldest and "
         "count (a virtio console after 1 MiB); auto does that."),
    _row(CONSOLE, "--port", "port", "name=NAME,socket=PATH|pty|file=PATH|...[,KEY=VALUE...]", "",
         "Add a named port to the virtio console: /dev/virtio-ports/NAME in the guest. Ends are "
         "those of --console; nr= numbers it, console makes it an hvcN, device= picks the device.",
         name="ports", repeat=True),
    _row(DEVICES, "--pci", "choice", "auto|on|off", "auto",
         "A PCI bus; auto: if anything is on it or may come (--state-dir), with --machine legacy "
         "and with --xen."),
    _row(DEVICES, "--device", "device", "NAME[,KEY=VALUE...]", "",
         "Add a PCI device; id= names it, addr=SLOT[.FUNCTION] places it.",
         name="devices", repeat=True),
    _row(DEVICES, "--disk", "disk", "PATH[,KEY=VALUE...]", "",
         "Add a disk: a raw image or a block device. ro, direct, queues=N, serial=TEXT, "
         "engine=io_uring|threads and what else --device virtio-blk takes.",
         name="disks", repeat=True),
    _row(DEVICES, "--net", "net",
         "tap[=NAME]|fd=N[,KEY=VALUE...]", "",
         "Add a virtio network device on a tap, made if there is none of that name: vhost=on|off, "
         "queues=N, mac=, mtu=, bridge=NAME, addr=IP/PREFIX (the host's end), bus=xen, id=.",
         name="nets", repeat=True),
    _row(DEVICES, "--rng", "flag", "", "",
         "Add a virtio entropy device; --device virtio-rng has its settings."),
    _row(DEVICES, "--io-threads", "count", "N", "1",
         "Threads that serve devices; each device belongs to one of them, 1 to 64."),
    _row(END, "--reboot", "choice", "reset|exit", "reset",
         "A guest reboot restarts the machine in place, or ends with code 252."),
    _row(END, "--timeout", "seconds", "SECONDS", "",
         "End with code 124 after this long; s, m or h may follow the number."),
    _row(END, "--exit-report", "path", "FILE", "",
         "Write how it ended as JSON; it is authoritative."),
    _row(OUTPUT, "--state-dir", "path", "DIR", "",
         "Keep config.toml, control.sock and report.json there."),
    _row(OUTPUT, "--trace", "text", "KIND[,KIND...][:FILE]", "",
         "Write one JSON line for each thing of a kind that happens, on stderr or into FILE: xen."),
    _row(OUTPUT, "--stats", "flag", "", "", "Print counters at the end, on stderr."),
    _row(OUTPUT, "--json", "flag", "", "", "Print counters and summaries as JSON."),
    _row(OUTPUT, "--log-format", "choice", "auto|console|json", "auto",
         "Log lines on stderr; auto is console on a terminal, else JSON."),
    _row(OUTPUT, "--log-level", "choice", "debug|info|warning|error", "warning",
         "Least level logged."),
    _row(OUTPUT, "--debug", "flag", "", "", "Show tracebacks of errors."),
    _row(CONFIG, "--config", "path", "FILE.toml", "",
         "Read options from a file; those on the command line win.", toml=""),
    _row(CONFIG, "--dump-config", "flag", "", "",
         "Print the configuration as TOML and stop.", toml=""),
    _row(CONFIG, "--dry-run", "flag", "", "",
         "Check the configuration and its images, say what would be booted, and stop.", toml=""),
    _row(CONFIG, "--stop-before", "choice", "run", "",
         "Build the machine, load the images, print what was built, and stop.", toml=""),
    _row(CONFIG, "-h --help", "flag", "", "", "Show this help.", toml=""),
)
# fmt: on

# fmt: off
OTHER_OPTIONS: tuple[Option, ...] = (
    _row(OUTPUT, "--json", "flag", "", "", "Print JSON instead of a table.",
         command="doctor", toml=""),
    _row(OUTPUT, "-o --output", "path", "FILE.svg", "",
         "Where to write the picture; stdout if not given.", command="plot", toml=""),
    _row(LAB, "-m --mem", "size", "SIZE", "4G", "Memory of the lab.", command="lab"),
    _row(LAB, "-c --cpus", "count", "N", "1", "CPUs of the lab.", command="lab"),
    _row(LAB, "--device", "text", "QEMU_DEVICE", "", "One more PCI device for the lab.",
         name="devices", repeat=True, command="lab"),
    _row(LAB, "--qemu-arg", "text", "WORD", "", "One more word for QEMU.",
         name="qemu_args", repeat=True, command="lab"),
    _row(LAB, "--kernel-arg", "text", "ARGUMENT", "", "One more argument for the lab's kernel.",
         name="kernel_args", repeat=True, command="lab"),
    _row(LAB, "--env", "text", "NAME[=VALUE]", "", "Environment of the command.",
         repeat=True, command="lab"),
    _row(LAB, "--cwd", "path", "DIR", "", "Where the command starts; the present directory "
         "if not given.", command="lab"),
    _row(LAB, "--out", "path", "DIR", "", "Directory whose files the command may write, as /out.",
         command="lab"),
    _row(LAB, "--timeout", "seconds", "SECONDS", "", "End the command with code 124 after this "
         "long.", command="lab"),
    _row(LAB, "--boot-patience", "seconds", "SECONDS", "60", "How long one step of the lab's boot "
         "may take.", command="lab"),
    _row(LAB, "--count", "flag", "", "", "Count instructions: one CPU, and every clock advances "
         "1 ns per instruction.", command="lab", toml=""),
    _row(LAB, "--console", "text", "FILE|-", "", "Where the lab's kernel console goes.",
         command="lab"),
    _row(LAB, "--quiet", "flag", "", "", "No progress lines.", command="lab", toml=""),
    _row(LAB, "-h --help", "flag", "", "", "Show this help.", command="lab", toml=""),
    _row(VFIO, "--json", "flag", "", "", "Print JSON instead of a table.", command="vfio",
         verbs="list check bind restore info reset", toml=""),
    _row(VFIO, "-g --group", "flag", "", "", "Take every function of the IOMMU group along.",
         command="vfio", verbs="check bind run", toml=""),
    _row(VFIO, "-n --dry-run", "flag", "", "", "Print what would be done, and change nothing.",
         command="vfio", verbs="bind restore reset run", toml=""),
    _row(VFIO, "--hot", "flag", "", "", "Reset the bus, with every function on it.",
         command="vfio", verbs="reset", toml=""),
    _row(VFIO, "--force", "flag", "", "", "Take functions that the host uses.",
         command="vfio", verbs="bind run", toml=""),
    _row(VFIO, "--really", "flag", "", "", "With --force: take the host's root disk or its last "
         "network link too.", command="vfio", verbs="bind run", toml=""),
    *(_row(OUTPUT, "-s --state-dir", "path", "DIR", "", "The --state-dir of the machine. Needed.",
           command=command, toml="") for command in ("stats", "xenstore")),
    _row(OUTPUT, "--json", "flag", "", "", "Print JSON, not a table.", command="stats", toml=""),
    _row(OUTPUT, "--json", "flag", "", "", "Print JSON instead of text.", command="xenstore",
         verbs="ls read", toml=""),
    _row(OUTPUT, "-r --recursive", "flag", "", "", "With all below.", command="xenstore",
         verbs="ls", toml=""),
    _row(VFIO, "-m --mem", "size", "SIZE", "512M", "Memory that the device shall reach: is so much "
         "allowed to be locked?", command="vfio", verbs="check", toml=""),
)
# fmt: on

# What a configuration holds: the options a file can set, by field.
FIELDS: dict[str, Option] = {option.name: option for option in BOOT_OPTIONS if option.toml}


def options_of(command: str, verb: str = "") -> tuple[Option, ...]:
    """The rows of a command; with `verb`, those that this verb of it knows."""
    rows = (row for row in BOOT_OPTIONS + OTHER_OPTIONS if row.command == command)
    return tuple(row for row in rows if not (verb and row.verbs) or verb in row.verbs.split())
