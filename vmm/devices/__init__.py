"""Legacy, platform and test devices: thin Python sides of the C units in cffi_build/core.

`platform` is the list of what a machine has; `vmm.cdevice` is what all of them share.
"""
