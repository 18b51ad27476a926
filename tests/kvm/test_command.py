"""The command `vmm boot` as a process, around guests that really run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import QMPClient

from tests.commandkit import PASSED, PATIENCE, SPIN, boot, command, until
from tests.guests import BUILD
from vmm.errors import EXIT_HOST, EXIT_OK, EXIT_SIGNAL

pytestmark = pytest.mark.needs("kvm")


@pytest.fixture
def spinning(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A machine whose guest never ends, with a control socket in tmp_path/state."""
    state = tmp_path / "state"
    process = subprocess.Popen(
        command(*SPIN, "--console", f"file:{tmp_path}/console", "--state-dir", str(state)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: b"crash by spin" in Path(tmp_path / "console").read_bytes()
          if (tmp_path / "console").exists() else process.poll() is not None)  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def test_doctor_agrees_that_guests_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vmm", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )

    body = json.loads(done.stdout)
    rows = {row["name"]: row["status"] for row in body["findings"]}
    assert (done.returncode, body["code"], rows["/dev/kvm"]) == (EXIT_OK, EXIT_OK, "ok")
    assert rows["KVM_CAP_USER_MEMORY"] == "ok"


# --- endings --------------------------------------------------------------------------------------


def test_stop_before_run_shows_the_machine() -> None:
    done = boot(*SPIN, "--stop-before=run", "--json")

    assert done.returncode == EXIT_OK
    assert json.loads(done.stderr)["state"] == "ready"


def test_stats_follow_the_consoles_last_word() -> None:
    done = boot(
        "-k", str(BUILD / "hello.elf"), "--debug-exit", "--stats",
        preexec_fn=lambda: os.dup2(1, 2),
    )  # fmt: skip

    assert done.returncode == PASSED
    assert done.stdout.index("ok 2 debugcon") < done.stdout.index("vcpus\n")


def test_a_pseudo_terminal_is_named_and_works() -> None:
    process = subprocess.Popen(
        command(*SPIN, "--console=pty"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    named = process.stderr.readline()
    with open(named.split()[-1], "rb", buffering=0) as terminal:
        seen = terminal.readline()
    process.terminate()

    assert named.startswith("vmm: com1 is /dev/pts/")
    assert seen.split() == b"# about to crash by spin".split()
    assert process.wait(PATIENCE) == EXIT_SIGNAL
    process.stderr.close()


@pytest.mark.parametrize(("level", "logged"), [("info", True), ("warning", False)])
def test_the_life_of_a_machine_is_logged_at_level_info(level: str, logged: bool) -> None:
    done = boot("-k", str(BUILD / "hello.elf"), "--debug-exit", "--log-level", level)

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    marks = [line["mark"] for line in lines if line["event"] == "machine.reached"]
    assert marks[-2:] == (["running", "debug-exit"] if logged else [])
    assert done.returncode == PASSED


# --- signals and the terminal ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE])
def test_a_signal_ends_the_run_in_order(
    spinning: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    spinning.send_signal(number)
    _out, said = spinning.communicate(timeout=PATIENCE)

    assert spinning.returncode == EXIT_SIGNAL
    assert said == f"vmm: stopped by {number.name}\n"
    body = json.loads((tmp_path / "state" / "report.json").read_text())
    assert (body["cause"], body["detail"]) == ("signal", {"signal": number.name})
    assert sorted(os.listdir(tmp_path / "state")) == ["config.toml", "report.json"]


def test_under_nohup_a_machine_outlives_its_terminal(tmp_path: Path) -> None:
    console = tmp_path / "console"
    argv = command(*SPIN, "--console", f"file:{console}")
    shell = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    process = subprocess.Popen([*shell, *argv], stderr=subprocess.PIPE, text=True)
    until(lambda: console.exists() and b"crash by spin" in console.read_bytes())
    process.send_signal(signal.SIGHUP)
    process.terminate()
    _out, said = process.communicate(timeout=PATIENCE)

    assert (process.returncode, said) == (EXIT_SIGNAL, "vmm: stopped by SIGTERM\n")


# --- the control socket ---------------------------------------------------------------------------


def test_qemus_client_library_drives_a_machine(
    spinning: subprocess.Popen[str], tmp_path: Path
) -> None:
    async def talk() -> list[str]:
        client: Any = QMPClient("test")
        await client.connect(str(tmp_path / "state" / "control.sock"))
        states = []
        with client.listener() as listener:
            for verb in ("pause", "resume", "reset"):
                await client.execute(verb)
                status = await client.execute("query-status")
                states.append(f"{verb} {status['status']} {(await listener.get())['event']}")
            stats = await client.execute("stats")
            states.append(str(stats["resets"]))
            info = await client.execute("info")
            states.append(info["state"])
            await client.execute("stop", {"reason": "the test is over"})
            states.append((await listener.get())["event"])
        with contextlib.suppress(EOFError):  # the machine may have hung up first
            await client.disconnect()
        return states

    assert asyncio.run(talk()) == [
        "pause paused PAUSE",
        "resume running RESUME",
        "reset running RESET",
        "1",
        "running",
        "SHUTDOWN",
    ]
    _out, said = spinning.communicate(timeout=PATIENCE)
    assert (spinning.returncode, said) == (EXIT_OK, "")
    body = json.loads((tmp_path / "state" / "report.json").read_text())
    assert body["detail"] == {"reason": "the test is over"}


def test_two_machines_cannot_share_a_state_directory(
    spinning: subprocess.Popen[str], tmp_path: Path
) -> None:
    done = boot(*SPIN, "--state-dir", str(tmp_path / "state"))

    assert done.returncode == EXIT_HOST
    assert "in use by another machine" in done.stderr
    assert spinning.poll() is None
    assert not (tmp_path / "state" / "report.json").exists()


def test_written_configuration_boots_again(tmp_path: Path) -> None:
    argv = ["-k", str(BUILD / "hello.elf"), "--debug-exit", "--state-dir", str(tmp_path)]
    boot(*argv)

    done = boot("--config", str(tmp_path / "config.toml"))

    assert done.returncode == PASSED
    assert "hello from the guest" in done.stdout
