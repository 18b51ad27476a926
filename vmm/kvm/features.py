"""CPUID features by the names that /proc/cpuinfo gives them, and where each bit stands.

Where Linux shows no name for a bit (or shows a synthesized one), the lower-case name of its
X86_FEATURE_ or KVM_FEATURE_ macro stands here, the latter with the prefix `kvm_`. Bits and
registers are those of the Intel SDM volume 2 (CPUID), the AMD APM volume 3 appendix E, and
Documentation/virt/kvm/x86/cpuid.rst.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Feature = tuple[int, int, int, int]  # function, index, register (see below), bit

EAX, EBX, ECX, EDX = 3, 4, 5, 6  # positions in a CpuidEntry

# One line per register: names from bit 0 upwards, "@n" goes on at bit n.
REGISTERS = (
    (0x1, 0, EDX, "fpu vme de pse tsc msr pae mce cx8 apic @11 sep mtrr pge mca cmov pat pse36 pn "
     "clflush @21 dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"),
    (0x1, 0, ECX, "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 "
     "xtpr pdcm @17 pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave "
     "osxsave avx f16c rdrand hypervisor"),
    (0x7, 0, EBX, "fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid "
     "rtm cqm zero_fcs_fds mpx rdt_a avx512f avx512dq rdseed adx smap avx512ifma @23 clflushopt "
     "clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl"),
    (0x7, 0, ECX, "prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes "
     "vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq @16 la57 @22 rdpid @24 "
     "bus_lock_detect cldemote @27 movdiri movdir64b enqcmd sgx_lc pks"),
    (0x7, 0, EDX, "@2 avx512_4vnniw avx512_4fmaps fsrm uintr @8 avx512_vp2intersect srbds_ctrl "
     "md_clear rtm_always_abort @13 tsx_force_abort serialize hybrid_cpu tsxldtrk @18 pconfig "
     "arch_lbr ibt @22 amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl intel_stibp flush_l1d "
     "arch_capabilities core_capabilities spec_ctrl_ssbd"),
    (0x7, 1, EAX, "sha512 sm3 sm4 rao_int avx_vnni avx512_bf16 lass cmpccxadd arch_perfmon_ext @10 "
     "fzrm fsrs fsrc @17 fred lkgs wrmsrns nmi_src amx_fp16 hreset avx_ifma @26 lam msr_list @31 "
     "movrs"),
    (0x7, 1, EBX, "intel_ppin"),
    (0x7, 1, ECX, "@5 msr_imm"),
    (0x7, 1, EDX, "@4 avx_vnni_int8 avx_ne_convert @8 amx_complex @10 avx_vnni_int16 @14 prefetchi "
     "@17 uiret_uif cet_sss avx10"),
    (0x7, 2, EDX, "intel_psfd ipred_ctrl rrsba_ctrl ddpd_u bhi_ctrl mcdt_no"),
    (0xD, 1, EAX, "xsaveopt xsavec xgetbv1 xsaves xfd"),
    (0x80000001, 0, EDX, "@11 syscall @19 mp nx @22 mmxext @25 fxsr_opt pdpe1gb rdtscp @29 lm "
     "3dnowext 3dnow"),
    (0x80000001, 0, ECX, "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse "
     "3dnowprefetch osvw ibs xop skinit wdt @15 lwp fma4 tce @19 nodeid_msr @21 tbm topoext "
     "perfctr_core perfctr_nb @26 bpext ptsc perfctr_llc mwaitx"),
    (0x80000007, 0, EBX, "overflow_recov succor hwa smca"),
    (0x80000007, 0, EDX, "@7 hw_pstate constant_tsc cpb @11 proc_feedback acc_power"),
    (0x80000008, 0, EBX, "clzero irperf xsaveerptr invlpgb rdpru @9 wbnoinvd @12 amd_ibpb "
     "int_wbinvd amd_ibrs amd_stibp amd_ibrs_always_on amd_stibp_always_on amd_ibrs_preferred "
     "amd_ibrs_same_mode no_efer_lmsle @23 amd_ppin amd_ssbd virt_ssbd amd_ssb_no cppc amd_psfd "
     "btc_no amd_ibpb_ret brs"),
    (0x80000021, 0, EAX, "no_nested_data_bp wrmsr_xx_base_ns lfence_rdtsc smm_pgcfg_lock @5 "
     "verw_clear null_sel_clr_base @8 autoibrs no_smm_ctl_msr @11 gp_on_user_cpuid @13 "
     "prefetch_ctl_msr @20 amd_prefetchi @27 sbpb ibpb_brtype srso_no srso_user_kernel_no "
     "srso_bp_spec_reduce"),
    (0x80000021, 0, ECX, "@1 tsa_sq_no tsa_l1_no"),
    (0x40000001, 0, EAX, "kvm_clocksource kvm_nop_io_delay kvm_mmu_op kvm_clocksource2 "
     "kvm_async_pf kvm_steal_time kvm_pv_eoi kvm_pv_unhalt @9 kvm_pv_tlb_flush kvm_async_pf_vmexit "
     "kvm_pv_send_ipi kvm_poll_control kvm_pv_sched_yield kvm_async_pf_int kvm_msi_ext_dest_id "
     "kvm_hc_map_gpa_range kvm_migration_control @24 kvm_clocksource_stable"),
    (0x40000001, 0, EDX, "kvm_hints_realtime"),
)  # fmt: skip

# Names that stand for several bits: all that there are. The first four are flags that Linux
# synthesizes from Intel's or AMD's bits.
GROUPS = {
    "ibrs": ("spec_ctrl", "amd_ibrs"),
    "ibpb": ("spec_ctrl", "amd_ibpb"),
    "stibp": ("intel_stibp", "amd_stibp"),
    "ssbd": ("spec_ctrl_ssbd", "amd_ssbd", "virt_ssbd"),
    "nonstop_tsc": ("constant_tsc",),
    "kvmclock": ("kvm_clocksource", "kvm_clocksource2", "kvm_clocksource_stable"),
}

# `--cpu none`: what every x86-64 processor has had and a 64-bit kernel refuses to start without or
# expects unasked, and the features that belong to the machine (local APIC modes, hypervisor).
BASELINE = (
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 ht x2apic tsc_deadline_timer hypervisor syscall nx lm cmp_legacy constant_tsc"
)

# A feature and the one it cannot work without; the needed one is decided in an earlier line.
NEEDS = {
    name: needed
    for needed, names in (
        ("fxsr", "fxsr_opt sse"),
        ("sse", "sse2 sse4a misalignsse"),
        ("sse2", "pni pclmulqdq aes sha_ni gfni"),
        ("pni", "ssse3"),
        ("ssse3", "sse4_1"),
        ("sse4_1", "sse4_2"),
        ("xsave", "avx pku mpx amx_tile xsaveopt xsavec xgetbv1 xsaves xfd xsaveerptr"),
        ("xsaves", "shstk ibt"),
        ("avx", "avx2 fma f16c vaes vpclmulqdq xop fma4 avx_vnni avx_ifma avx_vnni_int8 "
         "avx_vnni_int16 avx_ne_convert sha512 sm3 sm4"),
        ("avx2", "avx512f"),
        ("avx512f", "avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl "
         "avx512_4vnniw avx512_4fmaps avx512_vnni avx512_vpopcntdq avx512_vp2intersect avx10"),
        ("avx512bw", "avx512vbmi avx512_vbmi2 avx512_bitalg avx512_bf16 avx512_fp16"),
        ("amx_tile", "amx_bf16 amx_int8 amx_fp16 amx_complex"),
        ("apic", "x2apic tsc_deadline_timer"),
        ("lm", "la57 lam"),
    )
    for name in names.split()
}  # fmt: skip

# Extended state components (bits of XCR0, SDM volume 1, 13.1) and the feature each serves.
XSTATE = {
    2: "avx", 3: "mpx", 4: "mpx", 5: "avx512f", 6: "avx512f", 7: "avx512f", 9: "pku",
    17: "amx_tile", 18: "amx_tile",
}  # fmt: skip

# Leaves that only mean something with a feature.
LEAVES = {
    0x5: "monitor", 0x12: "sgx", 0x14: "intel_pt", 0x1D: "amx_tile", 0x1E: "amx_tile",
    0x8000000A: "svm", 0x8000001D: "topoext", 0x8000001E: "topoext",
}  # fmt: skip


def table() -> dict[str, Feature]:
    """Every known feature. Built on each call: only a non-default --cpu wants it."""
    features: dict[str, Feature] = {}
    for function, index, register, names in REGISTERS:
        bit = 0
        for name in names.split():
            if name[0] == "@":
                bit = int(name[1:])
            else:
                features[name] = (function, index, register, bit)
                bit += 1
    return features


def resolve(typed: str, features: dict[str, Feature]) -> tuple[str, ...]:
    """The features that a typed name stands for, () if there is no such name."""
    name = typed.replace("-", "_").replace(".", "_")
    if name in GROUPS:
        return GROUPS[name]
    return (name,) if name in features else ()


def nearest(typed: str, features: dict[str, Feature]) -> str:
    """The known name most like `typed`, "" if nothing is."""
    from difflib import get_close_matches

    matches = get_close_matches(typed.replace("-", "_"), [*features, *GROUPS], n=1)
    return matches[0] if matches else ""
