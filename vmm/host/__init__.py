"""What vmm does to the machine it runs on: packages in a private cache, PCI drivers, taps,
terminals, probes.

Every open of something on the host goes through this package before the vCPUs start, so that a
sandbox can close the door afterwards.
"""
