// MSI-X vectors and the capabilities that show them: core/pci/msix.h.

#define MSIX_MAX_VECTORS ...
enum msix_region { MSIX_TABLE, MSIX_PBA, ... };
struct msix_sink {
	void (*changed)(void *opaque, uint32_t vector, uint64_t address, uint32_t data, bool masked);
	void *opaque;
	...;
};
struct msix { struct dev dev; uint64_t failures; uint32_t vectors; ...; };
struct msix_place { uint32_t table_bar, table_offset, pba_bar, pba_offset; ...; };
struct msix_state {
	uint32_t version, vectors;
	uint8_t enabled, function_mask;
	uint32_t table[...];
	uint8_t pending[...];
	...;
};
struct msix *msix_create(struct irq_router *r, int vm_fd, uint32_t vectors);
void msix_destroy(struct msix *m);
void msix_reset(struct msix *m);
void msix_save(struct msix *m, struct msix_state *ret);
int msix_load(struct msix *m, const struct msix_state *state);
int msix_set_gsi(struct msix *m, uint32_t vector, uint32_t gsi);
void msix_set_sink(struct msix *m, struct msix_sink sink);
void msix_control(struct msix *m, bool enabled, bool function_mask);
void msix_fire(struct msix *m, uint32_t vector);
int msix_fd(struct msix *m, uint32_t vector);
uint32_t msix_pending(struct msix *m, uint32_t first);
int msix_capability(struct msix *m, struct pci_func *f, const struct msix_place *place);
int msi_capability(struct msix *m, struct pci_func *f);
int msix_adopt(struct msix *m, struct pci_func *f, uint32_t at);
int msi_adopt(struct msix *m, struct pci_func *f, uint32_t at);
