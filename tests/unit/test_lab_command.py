"""What a lab run is asked, QEMU's command line and the job script that come of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vmm.errors import EXIT_OK, EXIT_USAGE, ConfigError
from vmm.host.apt import Root
from vmm.lab import LabConfig, image, qemu
from vmm.lab import __main__ as command
from vmm.lab.config import check, environment
from vmm.lab.kernel import Kernel
from vmm.options import options_of
from vmm.values import read

TOP = Path(__file__).resolve().parents[2]

KERNEL = Kernel(
    version="6",
    image=Path("/k/vmlinuz"),
    vmlinux=Path("/k/vmlinux"),
    modules=Path("/k/lib/modules/6"),
    headers=Path("/k/include"),
)


def words(**changes: object) -> list[str]:
    config = LabConfig(command=("true",), **changes)  # type: ignore[arg-type]
    channels = {"console": 10, "control": 11, "stdout": 12, "stderr": 13}
    files = qemu.Files(root=Root(path=Path("/r")), kernel=KERNEL, initrd="/i", channels=channels)
    return qemu.command(config, files)


def after(line: list[str], option: str) -> list[str]:
    return [line[i + 1] for i, word in enumerate(line) if word == option]


def test_the_default_machine_has_svm_an_iommu_and_one_cpu() -> None:
    line = words()
    assert after(line, "-cpu")[0].startswith("EPYC,+svm,")
    assert "intel-iommu,intremap=on" in after(line, "-device")
    assert after(line, "-smp") == ["1"]
    assert after(line, "-m") == ["4096M"]
    assert after(line, "-accel") == ["tcg,thread=multi"]
    assert "-icount" not in line


def test_counting_takes_one_cpu_on_one_thread() -> None:
    line = words(count=True, cpus=4)
    assert after(line, "-smp") == ["1"]
    assert after(line, "-accel") == ["tcg,thread=single"]
    assert after(line, "-icount") == ["shift=0,sleep=off"]


def test_the_hosts_tree_is_read_only_and_the_out_folder_is_not() -> None:
    shares = after(words(out="/tmp/a,b"), "-virtfs")
    assert "readonly=on" in shares[0]
    assert "path=/," in shares[0]
    assert "path=/tmp/a,,b,mount_tag=out" in shares[1]
    assert "readonly" not in shares[1]


def test_without_an_out_folder_only_the_tree_is_exported() -> None:
    assert len(after(words(), "-virtfs")) == 1


def test_each_channel_is_a_port_of_its_name() -> None:
    line = words()
    assert "socket,id=stdout,fd=12" in after(line, "-chardev")
    devices = after(line, "-device")
    for name in ("control", "stdout", "stderr"):
        assert any(f"chardev={name},name=vmm.{name}" in device for device in devices)


def test_devices_and_kernel_arguments_are_passed_on_last() -> None:
    line = words(devices=("edu", "e1000e,addr=9"), kernel_args=("loglevel=7",), qemu_args=("-S",))
    assert after(line, "-device")[-2:] == ["edu", "e1000e,addr=9"]
    assert after(line, "-append")[0].endswith(" loglevel=7")
    assert line[-1] == "-S"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"command": ()}, "needs a command"),
        ({"mem": (256 << 20) - 1}, "--mem"),
        ({"mem": (1 << 40) + 1}, "--mem"),
        ({"cpus": 0}, "--cpus"),
        ({"cpus": 65}, "--cpus"),
        ({"timeout": 0.0}, "--timeout"),
        ({"boot_patience": -1.0}, "--boot-patience"),
        ({"out": "/nonexistent/folder"}, "--out"),
        ({"cwd": "/nonexistent/folder"}, "--cwd"),
        ({"devices": (" ",)}, "--device"),
        ({"env": ("=x",)}, "--env"),
        ({"env": ("",)}, "--env"),
        ({"command": ("a\0b",)}, "NUL"),
    ],
)
def test_what_cannot_work_is_said(changes: dict[str, object], sentence: str) -> None:
    config = LabConfig(**{"command": ("true",), **changes})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=sentence):
        check(config, interactive=False)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        check(LabConfig(mem=0, cpus=0), interactive=False)
    assert len(caught.value.problems) == 3


def test_only_chosen_variables_reach_the_command() -> None:
    here = {"PATH": "/p", "HOME": "/h", "SECRET": "s", "LEVEL": "3"}
    values = environment(LabConfig(env=("LEVEL", "NEW=a=b", "ABSENT")), here)
    assert values == {"PATH": "/p", "HOME": "/h", "VMM_LAB": "1", "LEVEL": "3", "NEW": "a=b"}


def test_a_counting_lab_says_so_inside() -> None:
    assert environment(LabConfig(count=True), {})["VMM_LAB"] == "count"


def run_script(script: str, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    """The job script with env(1) in the place of L1's busybox."""
    path = tmp_path / "job"
    path.write_bytes(
        script.replace("/.vmm-lab/busybox env", "env").encode(errors="surrogateescape")
    )
    return subprocess.run(["sh", str(path)], capture_output=True, check=False)


def test_the_job_gets_its_words_exactly(tmp_path: Path) -> None:
    odd = ("printf", "%s|", "a b", "c'd", '"$HOME"', "`x`", "\\", "", "ü", os.fsdecode(b"\xff"))
    script = image.script(LabConfig(command=odd), str(tmp_path), {"PATH": os.defpath}, False)
    done = run_script(script, tmp_path)
    assert done.stdout == "|".join((*odd[2:], "")).encode(errors="surrogateescape")


def test_the_job_runs_in_its_folder_with_its_environment_alone(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    config = LabConfig(command=("sh", "-c", 'pwd; echo "$A"; echo ${HOME-none}'), env=("A=x  y",))
    done = run_script(image.script(config, str(folder), {"PATH": os.defpath}, False), tmp_path)
    assert done.stdout.decode() == f"{folder}\nx  y\nnone\n"


def test_a_shell_takes_the_users_shell() -> None:
    assert image.script(LabConfig(), "/", {"SHELL": "/bin/zsh"}, True).rstrip().endswith("/bin/zsh")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ("run --cpus 0 -- true", "--cpus must be 1 to 64, not 0"),
        ("run -m 4X -- true", "-m wants a size such as 512M, 6G or 0x20000000, not '4X'"),
        ("run", "run needs a command after --"),
        ("run true", "unexpected word 'true': options start with -, the command's words follow --"),
        ("run --memm=1G -- true", "there is no option --memm; did you mean --mem?"),
        ("rn -- true", "there is no command rn; did you mean run?"),
        ("fetch --quiet", "fetch takes no further words, so '--quiet' cannot be right"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_2(
    capsys: pytest.CaptureFixture[str], argv: str, said: str
) -> None:
    assert command.main(argv.split()) == EXIT_USAGE
    assert capsys.readouterr().err == f"vmm lab: {said}\n"


def test_options_come_from_the_table_and_the_command_behind_dashes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[LabConfig] = []
    monkeypatch.setitem(command.LABS, "run", lambda config: given.append(config) or 7)

    assert command.main("run -m 1G --device edu --device e1000e --count -- a -b".split()) == 7
    assert given == [
        LabConfig(command=("a", "-b"), mem=1 << 30, devices=("edu", "e1000e"), count=True)
    ]


@pytest.mark.parametrize("argv", [[], ["-h"], ["run", "--help"]])
def test_help_shows_the_table(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert command.main(argv) == EXIT_OK
    said = capsys.readouterr().out

    assert all(f"  {row.spelling} " in said and row.help in said for row in options_of("lab"))


def test_defaults_in_the_table_are_those_of_the_configuration() -> None:
    config = LabConfig()

    for row in options_of("lab"):
        if row.default:
            assert read(row, row.default) == getattr(config, row.name)


def test_the_command_needs_nothing_but_python(tmp_path: Path) -> None:
    """It runs before there is an environment or a C core."""
    tree = tmp_path / "tree"
    shutil.copytree(TOP / "vmm", tree / "vmm", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = f"import sys; sys.path.insert(0, {str(tree)!r}); from vmm.lab import __main__ as lab; "
    command = ["/usr/bin/python3", "-I", "-S", "-c", code + "lab.main(['-h'])"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "--boot-patience SECONDS" in done.stdout
