"""What vmm costs, beside a bare KVM_RUN loop and QEMU: `make bench`. No tests; nothing can fail.

Numbers come from the instruction-counted lab, where CPU time is instructions executed (guest,
kernel and monitor together) and repeats to about 0.1 %, and, for single exits and start-up, from
this host's own KVM in CPU time. `lab` boots the lab once for each suite; in it `inside` copies
everything measured to tmpfs (`stage`) and runs one of the suites `startup`, `exits`, `boot`,
`serial` and `hvc`, each in interleaved rounds of which the first is dropped. `results` is the JSON
file, `report` the table, its ratios and how two files differ.
"""
