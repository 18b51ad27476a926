"""A machine as a Xen HVM domain: CPUID leaves, hypercalls, event channels, shared pages, clocks.

`domain.py` holds what the domain is, `hypercalls.py` finds who answers a call, the `*op.py` files
answer. `evtchn.py` decides about ports; a back-end (`kvmxen.py`) makes events happen.
"""
