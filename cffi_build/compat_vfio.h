// SPDX-License-Identifier: Apache-2.0
// Part of compat.h: what linux/vfio.h and linux/vhost.h of Linux 6.1 lack.
#ifndef VMM_COMPAT_VFIO_H
#define VMM_COMPAT_VFIO_H

#include <linux/vfio.h>
#include <linux/vhost.h>

// The device's own character device, bound to an iommufd.
#ifndef VFIO_DEVICE_BIND_IOMMUFD // 6.6
struct vfio_device_bind_iommufd {
	__u32 argsz;
	__u32 flags;
	__s32 iommufd;
	__u32 out_devid;
};
#define VFIO_DEVICE_BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
#endif
#ifndef VFIO_DEVICE_ATTACH_IOMMUFD_PT // 6.6
struct vfio_device_attach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
	__u32 pt_id;
};
#define VFIO_DEVICE_ATTACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 19)
#endif
#ifndef VFIO_DEVICE_DETACH_IOMMUFD_PT // 6.6
struct vfio_device_detach_iommufd_pt {
	__u32 argsz;
	__u32 flags;
};
#define VFIO_DEVICE_DETACH_IOMMUFD_PT _IO(VFIO_TYPE, VFIO_BASE + 20)
#endif

// Hot reset with devices named by their iommufd id instead of their group.
#ifndef VFIO_PCI_HOT_RESET_FLAG_DEV_ID // 6.6
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID (1 << 0)
#define VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED (1 << 1)
#endif
#ifndef VFIO_PCI_DEVID_OWNED // 6.6
#define VFIO_PCI_DEVID_OWNED 0
#define VFIO_PCI_DEVID_NOT_OWNED -1

#define vfio_pci_dependent_device vmm_vfio_pci_dependent_device
struct vfio_pci_dependent_device {
	union {
		__u32 group_id;
		__u32 devid; // 6.6
	};
	__u16 segment;
	__u8 bus;
	__u8 devfn;
};
#define vfio_pci_hot_reset_info vmm_vfio_pci_hot_reset_info
struct vfio_pci_hot_reset_info {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	struct vfio_pci_dependent_device devices[];
};
#endif

#ifndef VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP // 6.5
#define VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP 5
#define VFIO_PCI_ATOMIC_COMP32 (1 << 0)
#define VFIO_PCI_ATOMIC_COMP64 (1 << 1)
#define VFIO_PCI_ATOMIC_COMP128 (1 << 2)
struct vfio_device_info_cap_pci_atomic_comp {
	struct vfio_info_cap_header header;
	__u32 flags;
	__u32 reserved;
};
#endif

// Migration with a phase in which the device still runs.
#ifndef VFIO_MIGRATION_PRE_COPY // 6.2
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
enum {
	VFIO_DEVICE_STATE_PRE_COPY = 6,
	VFIO_DEVICE_STATE_PRE_COPY_P2P = 7,
};
#endif
#ifndef VFIO_MIG_GET_PRECOPY_INFO // 6.2
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#endif
#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE // 6.2
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#endif
#ifndef VFIO_DEVICE_FEATURE_BUS_MASTER // 6.7
struct vfio_device_feature_bus_master {
	__u32 op;
};
#define VFIO_DEVICE_FEATURE_CLEAR_MASTER 0
#define VFIO_DEVICE_FEATURE_SET_MASTER 1
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#endif

#ifndef VHOST_NEW_WORKER // 6.5
struct vhost_worker_state {
	unsigned int worker_id;
};
#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#endif
#ifndef VHOST_ATTACH_VRING_WORKER // 6.5
struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#endif

#endif
