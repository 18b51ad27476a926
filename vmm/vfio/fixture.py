"""A pytest plugin: the fixture `vfio_device`, a PciDevice for the length of a test.

In conftest.py: `pytest_plugins = ["vmm.vfio.fixture"]`; then `pytest --vfio-device 03:00.0`. A test
that wants another one is parametrized: `("vfio_device", ["04:00.0"], indirect=True)`.
"""

from __future__ import annotations

import pytest

from vmm.vfio import passthrough

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmm.vfio.device import PciDevice


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--vfio-device", metavar="ADDRESS", help="PCI function for the fixture vfio_device"
    )


@pytest.fixture
def vfio_device(request: pytest.FixtureRequest) -> Iterator[PciDevice]:
    """Bound and opened before the test, closed and given back after it."""
    address = getattr(request, "param", None) or request.config.getoption("--vfio-device")
    if not address:
        pytest.fail("which PCI function? say --vfio-device ADDRESS, or parametrize vfio_device")
    with passthrough(address) as device:
        yield device
