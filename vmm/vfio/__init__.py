"""PCI functions of the host, handed to a program or a guest through VFIO.

sysfs: what functions there are; usage: what the host does with them; check: why one would not work,
and what mends it.
"""
