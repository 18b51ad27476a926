"""PCI: the root bus, its functions, and where their base address registers decode."""
