// SPDX-License-Identifier: Apache-2.0
// What the floor's uapi headers (Linux 6.1) lack, each with the release that added it. Guarded one
// by one, so that newer headers win; tests/abi compares every value here with the newest headers.
//
// A structure that grew members is defined anew under a name of ours, and a macro lets the uapi
// name mean ours from here on; its size, and with it the ioctl's number, never changes.
#ifndef VMM_COMPAT_H
#define VMM_COMPAT_H

#include <linux/ioctl.h>
#include <linux/kvm.h>
#include <linux/types.h>

#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS // 6.11
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO // 6.8
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_EXIT_MEMORY_FAULT // 6.8
#define KVM_EXIT_MEMORY_FAULT 39
#endif

#ifndef KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG // 6.2
#define KVM_XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG (1 << 6)
#endif
#ifndef KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG // 6.2
#define KVM_XEN_ATTR_TYPE_RUNSTATE_UPDATE_FLAG 5
#endif
#ifndef KVM_XEN_INVALID_GFN // 6.2
#define KVM_XEN_INVALID_GFN ((__u64) - 1)
#endif
#ifndef KVM_XEN_INVALID_GPA // 6.2
#define KVM_XEN_INVALID_GPA ((__u64) - 1)
#endif
#ifndef KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE // 6.8
#define KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE (1 << 7)
#endif
#ifndef KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA // 6.9
#define KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA (1 << 8)
#endif
#ifndef KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA // 6.9
#define KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA 9
#endif
#ifndef KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA // 6.9
#define KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA 6

#define kvm_xen_hvm_attr vmm_kvm_xen_hvm_attr
struct kvm_xen_hvm_attr {
	__u16 type;
	__u16 pad[3];
	union {
		__u8 long_mode;
		__u8 vector;
		__u8 runstate_update_flag; // 6.2
		union {
			__u64 gfn;
			__u64 hva; // 6.9
		} shared_info;
		struct {
			__u32 send_port;
			__u32 type;
			__u32 flags;
			union {
				struct {
					__u32 port;
					__u32 vcpu;
					__u32 priority;
				} port;
				struct {
					__u32 port;
					__s32 fd;
				} eventfd;
				__u32 padding[4];
			} deliver;
		} evtchn;
		__u32 xen_version;
		__u64 pad[8];
	} u;
};

#define kvm_xen_vcpu_attr vmm_kvm_xen_vcpu_attr
struct kvm_xen_vcpu_attr {
	__u16 type;
	__u16 pad[3];
	union {
		__u64 gpa;
		__u64 hva; // 6.9
		__u64 pad[8];
		struct {
			__u64 state;
			__u64 state_entry_time;
			__u64 time_running;
			__u64 time_runnable;
			__u64 time_blocked;
			__u64 time_offline;
		} runstate;
		__u32 vcpu_id;
		struct {
			__u32 port;
			__u32 priority;
			__u64 expires_ns;
		} timer;
		__u8 vector;
	} u;
};
#endif

#include "compat_iommufd.h"
#include "compat_vfio.h"

#endif
