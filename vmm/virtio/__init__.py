"""Virtio devices and their PCI transport."""
