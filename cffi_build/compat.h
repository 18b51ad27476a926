// SPDX-License-Identifier: Apache-2.0
// What the floor's uapi headers (Linux 6.1) lack, each with the release that added it. Guarded one by
// one, so that newer headers win; tests/abi compares every value here with the newest headers.
#ifndef VMM_COMPAT_H
#define VMM_COMPAT_H

#include <linux/kvm.h>

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS // 6.11
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO // 6.8
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_EXIT_MEMORY_FAULT // 6.8
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG // 6.3
#define KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG (1 << 6)
#endif
#ifndef KVM_XEN_HVM_CONFIG_UPDATE_TSC_INFO // 6.8
#define KVM_XEN_HVM_CONFIG_UPDATE_TSC_INFO (1 << 7)
#endif
#ifndef KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA // 6.9
#define KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA (1 << 8)
#endif

#endif
