"""Documents made from the tables: docs/vmm.1, docs/cli.md, docs/exit-codes.md.

`python -m vmm.cli.docs` writes them; a test fails when they are out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import fill

from vmm.cli.completion import SHELLS
from vmm.cli.exitcodes import DEBUG_EXIT, EXIT_CODES
from vmm.cli.main import COMMANDS
from vmm.control.escape import KEYS
from vmm.control.framing import DEPTH_MAX, MESSAGE_MAX
from vmm.control.qmp import CLIENTS_MAX, UNREAD_MAX
from vmm.control.verbs import VERBS
from vmm.kindtable import KINDS, Kind
from vmm.options import GROUPS, Option, options_of

USAGE = {
    "boot": "vmm boot [OPTIONS] -k FILE [-- KERNEL WORDS...]",
    "doctor": "vmm doctor [--json]",
    "plot": "vmm plot [-o FILE.svg] REPORT.json",
    "stats": "vmm stats -s DIR [--json]",
    "vfio": "vmm vfio list|check|bind|restore|info|reset|run [OPTIONS] [ADDRESS...]",
    "xenstore": "vmm xenstore ls|read|write|rm|watch -s DIR [OPTIONS] [PATH [VALUE]]",
    "lab": "vmm lab run|shell [OPTIONS] [-- COMMAND...]",
    "completion": f"vmm completion {'|'.join(SHELLS)}",
}

READING = """
Options are read as getopt reads them: `--opt VALUE`, `--opt=VALUE`, `-o VALUE`, `-oVALUE`; the last
of a repeated option wins unless it says otherwise; `--no-X` takes a flag back. In a file for
`--config` the same names stand without dashes (`mem = "1G"`, `console = ["pty"]`, `stats = true`);
the command line wins over the file, and paths are relative to the working directory in both.
`--dump-config` prints such a file.
"""
DEVICES = """
`--device NAME,KEY=VALUE,...` puts a device on the PCI bus; KEY alone means `on`, and a comma inside
a value is written twice. Every device takes `id` (its name, else the kind's with a number) and
`addr` (SLOT or SLOT.FUNCTION in hexadecimal, else the next free slot). In a file: `[[device]]` with
`kind = "NAME"` and the same keys. Kinds of other Python packages are found by their entry points in
the group `vmm.devices`.
"""
EVEN_AND_ODD = """
Codes of vmm itself are even, because those of isa-debug-exit are odd; 255 is the exception. A guest
can produce any odd code, so programs should rather read the exit report (docs/exit-report.md).
"""
LOSSES = """
Console output that could not be delivered (a full disk, a reader that left or never came) changes
no code: standard error tells how many bytes are lost and why, and the exit report has it as `lost`.
A reader of standard output that leaves does not end the guest either: piped into `head`, `vmm boot`
goes on until the guest ends or `--timeout` has run out.
"""
SOCKET = """
`vmm boot --state-dir DIR` listens on the UNIX socket `DIR/control.sock`, which only its owner may
use. It speaks the framing of QEMU's QMP: a greeting, `qmp_capabilities`, then JSON objects with
`execute`, `arguments` and `id`, answered in order by `return` or by `error` with a `class`
(`CommandNotFound`, `GenericError`) and a `desc`. QMP's own clients work:
"""
STOP = """
One name has another meaning than in QEMU: `stop` ends the machine; QEMU's `stop` is `pause`.
"""
EVENTS = """
Events go to every client that has negotiated: `PAUSE`, `RESUME`, `RESET`, `DEVICE_DELETED` with the
device's name, `PORT_CHANGE` with a port as `query-ports` tells of it, `BLOCK_IO_ERROR` with the
disk and the host's reason, `DEVICE_NEEDS_RESET`, `DEVICE_REFUSED` and `DEVICE_FAILED` with a virtio
device and what its driver did, `DEVICE_ERROR` and `DEVICE_REQUESTED` with a passed-through device
that failed or that the host wants back and, with the cause and the exit code, `SHUTDOWN`. The
command `events` returns the last 256 with a number each.
"""
LIMITS = f"""
A message has at most {MESSAGE_MAX >> 10} KiB and nests at most {DEPTH_MAX} deep, {CLIENTS_MAX}
clients may be connected, and one that leaves more than {UNREAD_MAX >> 20} MiB unread is dropped.
"""

FILES = (
    ("config.toml", "the configuration, as --dump-config prints it"),
    ("control.sock", "the control socket, while the machine runs"),
    ("report.json", "the exit report, once it has ended"),
)


def paragraph(text: str) -> str:
    return fill(" ".join(text.split()), 99, break_long_words=False, break_on_hyphens=False)


def grouped(command: str) -> list[tuple[str, list[Option]]]:
    """The options of a command by group, in the table's order."""
    rows = options_of(command)
    blocks = [(group, [row for row in rows if row.group == group]) for group in GROUPS]
    return [block for block in blocks if block[1]]


def help_of(row: Option) -> str:
    who = f" ({', '.join(row.verbs.split())})" if row.verbs else ""
    text = f"{row.help[:-1]}{who}{row.help[-1]}"
    return f"{text} Default: {row.default}." if row.default else text


# --- Markdown -------------------------------------------------------------------------------------


def cli_md() -> str:
    lines = [
        "# The command line",
        "",
        "Made from the table in `vmm/options.py` by `python -m vmm.cli.docs`.",
        "",
        paragraph(READING),
    ]
    for name, entry in COMMANDS.items():
        lines += ["", f"## vmm {name}", "", entry.help, "", "```", USAGE[name], "```"]
        for group, rows in grouped(name):
            lines += ["", f"### {group}", "", "| option | meaning |", "|---|---|"]
            lines += [f"| `{_cell(row.spelling)}` | {_cell(help_of(row))} |" for row in rows]
    lines += ["", "## Devices", "", paragraph(DEVICES), "", "| device | settings | what it is |"]
    lines += ["|---|---|---|"]
    lines += [f"| `{k.name}` | {_settings(k)} | {k.help} |" for k in KINDS.values()]
    lines += ["", "## Keys on the console", "", "| keys | what they do |", "|---|---|"]
    lines += [f"| Ctrl-A {key} | {text} |" for key, text in KEYS.items()]
    lines += ["| Ctrl-A Ctrl-A | send Ctrl-A itself |"]
    lines += ["", "## The state directory", "", "| file | what it is |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in FILES]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _settings(kind: Kind) -> str:
    rows = kind.params or ()
    return "; ".join(f"`{_cell(param_spelling(row))}` {row.help}" for row in rows)


def param_spelling(row: Option) -> str:
    """`queues=N`, with the default where there is one."""
    values = "|".join(row.choices) or row.metavar or row.kind
    return f"{row.name}={values}" + (f" [{row.default}]" if row.default else "")


def exit_codes_md() -> str:
    lines = [
        "# Exit codes",
        "",
        "Made from the table in `vmm/cli/exitcodes.py` by `python -m vmm.cli.docs`.",
        "",
        paragraph(EVEN_AND_ODD),
        "",
        "| code | name | meaning |",
        "|---|---|---|",
    ]
    rows = [(str(code), name, meaning) for code, name, meaning in EXIT_CODES]
    odd = len([code for code, *_rest in EXIT_CODES if code < 254])
    rows.insert(odd, DEBUG_EXIT)
    lines += [f"| {code} | {name} | {_cell(meaning)} |" for code, name, meaning in rows]
    lines += ["", paragraph(LOSSES)]
    return "\n".join(lines) + "\n"


def control_md() -> str:
    lines = [
        "# The control socket",
        "",
        "The table of commands is made from `vmm/control/verbs.py` by `python -m vmm.cli.docs`.",
        "",
        paragraph(SOCKET),
        "",
        "```python",
        "client = qemu.qmp.QMPClient()",
        'await client.connect("DIR/control.sock")',
        'print(await client.execute("query-status"))',
        "```",
        "",
        paragraph(STOP),
        "",
        "| command | arguments | what it does |",
        "|---|---|---|",
    ]
    for verb in VERBS.values():
        arguments = "; ".join(f"`{a.name}`: {a.help}" for a in verb.arguments)
        lines.append(f"| `{verb.name}` | {arguments} | {verb.help} |")
    lines += ["", paragraph(EVENTS), "", paragraph(LIMITS)]
    return "\n".join(lines) + "\n"


# --- the manual page ------------------------------------------------------------------------------


def manual() -> str:
    lines = [
        '.\\" Made from the table in vmm/options.py by python -m vmm.cli.docs.',
        '.TH VMM 1 "" "vmm" "User Commands"',
        ".SH NAME",
        "vmm \\- virtual machines for x86-64 Linux",
        ".SH SYNOPSIS",
    ]
    for name in COMMANDS:
        lines += [f".B {_roff(USAGE[name])}", ".br"]
    lines += [".SH COMMANDS"]
    for name, entry in COMMANDS.items():
        lines += [".TP", f".B {name}", _roff(entry.help)]
    for name in COMMANDS:
        for group, rows in grouped(name):
            heading = group if name == "boot" else f"vmm {name}"
            lines += [f".SH {'OPTIONS OF VMM BOOT: ' if name == 'boot' else ''}{heading.upper()}"]
            for row in rows:
                lines += [".TP", f".B {_roff(row.spelling)}", _roff(help_of(row))]
    lines += [".SH KEYS ON THE CONSOLE"]
    for key, text in (*KEYS.items(), ("Ctrl-A", "send Ctrl-A itself")):
        lines += [".TP", f".B Ctrl\\-A {_roff(key)}", _roff(text)]
    lines += [".SH FILES IN THE STATE DIRECTORY"]
    for name, text in FILES:
        lines += [".TP", f".I {_roff(name)}", _roff(text)]
    lines += [".SH EXIT STATUS"]
    for code, _name, meaning in (*EXIT_CODES, DEBUG_EXIT):
        lines += [".TP", f".B {code}", _roff(meaning)]
    lines += [".PP", _roff(" ".join(LOSSES.replace("`", "").split()))]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain[:1] in (".", "'") else plain


DOCUMENTS = {
    "docs/cli.md": cli_md,
    "docs/exit-codes.md": exit_codes_md,
    "docs/control.md": control_md,
    "docs/vmm.1": manual,
}


def main() -> int:
    """Writes every document below the working directory."""
    for path, make in DOCUMENTS.items():
        Path(path).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
