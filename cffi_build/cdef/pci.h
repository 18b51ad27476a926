// PCI root, functions and their configuration space: core/pci/pci.h.
#define PCI_CONFIG_SIZE ...
#define PCI_BARS ...
#define PCI_ROM ...
#define PCI_UNMAPPED ...
enum pci_region { PCI_ECAM, PCI_PORTS, ... };
enum pci_bar_kind {
	PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_EXPANSION, ...
};
struct pci_ident {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; uint8_t revision, pin; ...;
};
struct pci_cap_ops { ...; };
struct pci_pass_ops {
	void (*read)(void *opaque, uint32_t offset, uint32_t size, uint64_t *value);
	void (*write)(void *opaque, uint32_t offset, uint32_t size, uint64_t value);
};
void pci_pass(struct pci_func *f, const struct pci_pass_ops *ops, void *opaque);
struct pci_func { uint32_t devfn; ...; };
struct pci_func_state { uint32_t version, intx_level; uint8_t config[...]; ...; };
struct pci_func *pci_func_create(const struct pci_ident *ident);
void pci_func_destroy(struct pci_func *f);
void pci_func_reset(struct pci_func *f);
void pci_func_save(struct pci_func *f, struct pci_func_state *ret);
int pci_func_load(struct pci_func *f, const struct pci_func_state *state);
int pci_add_bar(struct pci_func *f, uint32_t n, enum pci_bar_kind kind, uint64_t size,
		bool prefetchable);
void pci_set_bar(struct pci_func *f, uint32_t n, uint64_t address);
int pci_add_capability(struct pci_func *f, uint8_t id, uint32_t len, const struct pci_cap_ops *ops,
		       void *opaque);
int pci_add_ext_capability(struct pci_func *f, uint16_t id, uint8_t version, uint32_t len,
			   const struct pci_cap_ops *ops, void *opaque);
void pci_set_wmask(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask);
void pci_set_w1c(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask);
void pci_set(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t value);
uint64_t pci_get(const struct pci_func *f, uint32_t offset, uint32_t size);
void pci_intx_set(struct pci_func *f, bool level);
void pci_intx_connect(struct pci_func *f, struct irq_hub *hub, uint32_t gsi, uint32_t pic_gsi);

struct pci_counts { uint64_t reads, writes, missing, changes; ...; };
struct pci_root { struct dev dev; ...; };
struct pci_root_state { uint32_t version, address; ...; };
struct pci_root *pci_root_create(struct dev *reset, uint32_t reset_region, struct dev *changed,
				 struct coalesce *coalesce);
void pci_root_destroy(struct pci_root *r);
void pci_root_reset(struct pci_root *r);
void pci_root_save(struct pci_root *r, struct pci_root_state *ret);
int pci_root_load(struct pci_root *r, const struct pci_root_state *state);
void pci_root_counts(struct pci_root *r, struct pci_counts *ret);
int pci_plug(struct pci_root *r, struct pci_func *f, uint32_t devfn);
void pci_unplug(struct pci_func *f);
void pci_bars(struct pci_func *f, uint64_t *ret);

// --- hot-plug registers: core/pci/pcihp.h
#define PCIHP_SIZE ...
struct pcihp { struct dev dev; ...; };
struct pcihp_state { uint32_t version, up, down; ...; };
struct pcihp *pcihp_create(void);
void pcihp_destroy(struct pcihp *h);
void pcihp_reset(struct pcihp *h);
void pcihp_save(struct pcihp *h, struct pcihp_state *ret);
int pcihp_load(struct pcihp *h, const struct pcihp_state *state);
void pcihp_came(struct pcihp *h, uint32_t slot);
void pcihp_shall_go(struct pcihp *h, uint32_t slot);
void pcihp_left(struct pcihp *h, uint32_t slot);

// --- pci-testdev: core/pci/pcitest.h
enum pcitest_region { PCITEST_MEMORY, PCITEST_PORTS, ... };
#define PCITEST_WILDCARD ...
#define PCITEST_DATAMATCH ...
#define PCITEST_MEMORY_SIZE ...
#define PCITEST_PORTS_SIZE ...
#define PCITEST_MATCH ...
struct pcitest { struct dev dev; ...; };
struct pcitest_state { uint32_t version; int32_t current; uint32_t count; ...; };
struct pcitest *pcitest_create(void);
void pcitest_destroy(struct pcitest *t);
void pcitest_reset(struct pcitest *t);
void pcitest_save(struct pcitest *t, struct pcitest_state *ret);
int pcitest_load(struct pcitest *t, const struct pcitest_state *state);
uint32_t pcitest_offset(uint32_t region, uint32_t test);
