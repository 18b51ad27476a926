"""What a configuration asks of the boot code, and which kernels it refuses to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import bootkit
from vmm.boot.image import identify
from vmm.bootplan import check_clock
from vmm.config import VmConfig
from vmm.errors import ConfigError

IMAGES = {
    "bzimage": bootkit.bzimage(bootkit.gzip_payload(bootkit.linux_elf())),
    "vmlinux": bootkit.linux_elf(),
    "tiny": bootkit.elf(
        [bootkit.Load(paddr=0x100_0000, data=b"\xf4")], notes=bootkit.pvh_note(0x100_0000)
    ),
    "flat": bytes(510) + b"\x55\xaa",
}


def check(folder: Path, kind: str, **options: object) -> None:
    path = bootkit.write(folder / kind, IMAGES[kind])
    image = identify(path)
    try:
        check_clock(VmConfig.of(kernel=path, **options), image)
    finally:
        image.close()


@pytest.mark.parametrize("kind", ["bzimage", "vmlinux"])
@pytest.mark.parametrize(
    ("cpu", "append", "culprit"),
    [
        ("host,-kvmclock", "", "--cpu -kvmclock"),
        ("none,-avx,-kvm-clocksource2,-kvm_clocksource", "quiet", "--cpu -kvmclock"),
        ("host", "quiet no-kvmclock", "no-kvmclock in --append"),
    ],
)
def test_linux_without_any_clock_is_refused_with_advice(
    tmp_path: Path, kind: str, cpu: str, append: str, culprit: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, kind, cpu=cpu, append=append)

    assert str(caught.value).startswith(f"{culprit} leaves Linux nothing to measure its TSC by")
    assert "add --machine legacy" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vmlinux", {}),
        ("vmlinux", {"cpu": "host,-avx"}),
        ("vmlinux", {"cpu": "host,-kvm_clocksource"}),
        ("vmlinux", {"cpu": "host,-kvmclock", "machine": "legacy"}),
        ("vmlinux", {"cpu": "host,-kvmclock", "append": "quiet tsc_early_khz=2000000"}),
        ("vmlinux", {"append": "no-kvmclock-at-all"}),
        ("tiny", {"cpu": "host,-kvmclock"}),
        ("flat", {"cpu": "host,-kvmclock"}),
    ],
)
def test_whoever_has_a_clock_or_needs_none_is_not_refused(
    tmp_path: Path, kind: str, options: dict[str, object]
) -> None:
    check(tmp_path, kind, **options)
