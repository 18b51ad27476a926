"""All tests: where they run is decided by tests/where.py."""

pytest_plugins = ["tests.where", "vmm.vfio.fixture"]
