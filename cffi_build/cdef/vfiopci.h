// A function of the host in the guest: core/vfio/vfiopci.h.
enum vfiopci_mode { VFIOPCI_SILENT, VFIOPCI_INTX, VFIOPCI_MSI, VFIOPCI_MSIX, ... };
struct vfiopci { struct dev dev; ...; };
struct vfiopci_counts {
	uint64_t reads, writes, config_reads, config_writes, connects, failures;
	...;
};
struct vfiopci *vfiopci_create(int fd);
void vfiopci_destroy(struct vfiopci *v);
void vfiopci_counts(struct vfiopci *v, struct vfiopci_counts *ret);
int vfiopci_window(struct vfiopci *v, uint64_t at);
int vfiopci_adopt(struct vfiopci *v, struct pci_func *f, uint64_t at, const uint8_t *bytes,
		  const uint8_t *pass, uint32_t len);
void vfiopci_vectors(struct vfiopci *v, struct msix *msi, struct msix *msix, bool resizable);
void vfiopci_intx(struct vfiopci *v, int trigger, int resample);
void vfiopci_hold(struct vfiopci *v);
void vfiopci_release(struct vfiopci *v);
uint32_t vfiopci_mode(struct vfiopci *v);
