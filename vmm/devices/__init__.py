"""Legacy, platform and test devices: thin Python sides of the C units in cffi_build/core.

`base` is what all of them share, `platform` the list of what a machine has.
"""
