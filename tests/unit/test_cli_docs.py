"""Help, documents and completion come from the tables and say what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmm import errors
from vmm.__main__ import main
from vmm.cli.completion import SHELLS, script
from vmm.cli.docs import DOCUMENTS
from vmm.cli.exitcodes import EXIT_CODES
from vmm.cli.main import COMMANDS
from vmm.errors import EXIT_OK, EXIT_USAGE
from vmm.options import BOOT_OPTIONS, GROUPS


@pytest.mark.parametrize("path", DOCUMENTS)
def test_document_is_up_to_date(path: str) -> None:
    assert Path(path).read_text() == DOCUMENTS[path](), "run: python -m vmm.cli.docs"


def test_every_exit_code_is_explained_once() -> None:
    named = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}

    assert sorted(code for code, *_rest in EXIT_CODES) == sorted(named)


def test_own_exit_codes_are_even_but_for_the_panic() -> None:
    assert {code for code, *_rest in EXIT_CODES if code % 2} == {errors.EXIT_PANIC}


def test_errors_carry_codes_of_the_table() -> None:
    kinds = [errors.VmmError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())

    assert {kind.exit_code for kind in kinds} <= {code for code, *_rest in EXIT_CODES}


def test_help_of_boot_shows_every_group_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boot", "--help"]) == EXIT_OK
    said = capsys.readouterr().out

    used = {row.group for row in BOOT_OPTIONS}
    headings = [line[:-1] for line in said.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [group for group in GROUPS if group in used]
    assert all(row.spelling in said for row in BOOT_OPTIONS)


def test_the_lab_alone_shows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab"]) == EXIT_OK
    assert "shell  Boot the lab" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["-h"], ["--help"], [], ["-h", "boot"]])
def test_help_of_all_lists_the_commands(
    capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert main(argv) == EXIT_OK
    said = capsys.readouterr().out

    assert all(f"  {name} " in said for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main([name, "--help"]) == EXIT_OK
    assert capsys.readouterr().out.startswith(f"Usage: vmm {name}")


def test_help_wins_over_mistakes_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["boot", "--help", "-m", "lots"]) == EXIT_OK
    assert "What to boot" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["bot"], "there is no command bot; did you mean boot?"),
        (["zzzz"], "there is no command zzzz"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
        (["doctor", "--jsn"], "No such option"),
    ],
)
def test_mistakes_are_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], sentence: str
) -> None:
    assert main(argv) == EXIT_USAGE
    said = capsys.readouterr().err
    assert said.startswith("vmm: ")
    assert sentence in said
    assert said.count("\n") == 1


def test_debug_before_a_command_shows_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "plot", "/no/report"]) == errors.EXIT_HOST
    said = capsys.readouterr().err

    assert "Traceback" in said
    assert said.endswith("vmm: cannot read the report /no/report: No such file or directory\n")


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == EXIT_OK
    assert capsys.readouterr().out.split()[0] == "vmm"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_ask_vmm(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main(["completion", shell]) == EXIT_OK
    assert capsys.readouterr().out == script(shell) + "\n"
    assert f"_VMM_COMPLETE={shell}_complete" in script(shell)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("vmm bo", {"plain,boot"}),
        ("vmm boot --irq", {"plain,--irqchip"}),
        ("vmm boot --irqchip s", {"plain,split"}),
        ("vmm boot --console so", {"plain,socket:"}),
        ("vmm boot --kernel x", {"file,x"}),
        ("vmm boot --no-ka", {"plain,--no-kaslr"}),
    ],
)
def test_completion_answers(line: str, expected: set[str]) -> None:
    words = line.split()
    environment = {
        **os.environ,
        "_VMM_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }

    done = subprocess.run(
        [sys.executable, "-m", "vmm"], env=environment, capture_output=True, text=True, check=False
    )

    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "vmm", "boot", "-k", "x", "--dump-config"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    os.close(writer)

    assert done.stderr == b""
    assert done.returncode == errors.EXIT_SIGNAL
