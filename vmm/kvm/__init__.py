"""KVM: one class per kind of descriptor (system, VM, vCPU), one method per ioctl.

`system.py` opens /dev/kvm, `vm.py` and `vcpu.py` wrap what it creates, `caps.py` is the table of
capabilities and what each is needed for, `cpuid.py` and `regs.py` build what a vCPU starts with
(`topology.py`: APIC ids; `features.py` and `cpumodel.py`: --cpu), `state.py` and `irqchip_state.py`
save, load and reset, `clock.py` pauses time, `stats.py` reads KVM's binary statistics.
"""
