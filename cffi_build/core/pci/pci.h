// SPDX-License-Identifier: Apache-2.0
// PCI: one root bus, the configuration space of its functions, and the two windows to it (PCI
// Express Base 5.0, chapter 7; PCI Local Bus 3.0, section 3.2.2.3).
//
// The guest reads and writes configuration space without Python. Only what changes where a function
// decodes (a base address register or a decode bit, while or until decoding is on) calls out, with
// no lock held: Python then asks pci_bars() what is wanted and claims that on the buses. Sizing a
// register while decoding is off calls nobody.
//
// Lock order: root, then a device (its own lock or its vectors'), then irq lines. Who holds a
// device's lock may call pci_intx_set() and pci_bus_master(), and nothing else here.
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <linux/pci_regs.h>

#include "coalesce.h"
#include "dev.h"
#include "irq.h"

#define PCI_FUNCTIONS 256 // of one bus: slot << 3 | function
#define PCI_CONFIG_SIZE 4096
#define PCI_CONFIG_CLASSIC 256 // what 0xcf8 reaches, and where extended capabilities start
#define PCI_BARS 7 // base address registers 0 to 5, and the expansion ROM's
#define PCI_ROM 6
#define PCI_MAX_CAPS 24
#define PCI_UNMAPPED UINT64_MAX

enum pci_region {
	PCI_ECAM, // MMIO, 1 MiB: bits 19:12 name the function, 11:0 the byte
	PCI_PORTS, // 8 ports at 0xcf8: address (and the reset port inside it), data
};

enum pci_bar_kind {
	PCI_BAR_NONE, // also the upper half of a 64-bit register
	PCI_BAR_IO,
	PCI_BAR_MEM32,
	PCI_BAR_MEM64,
	PCI_BAR_EXPANSION, // the ROM
};

struct pci_func;

// Hooks of whoever owns a capability. Context: the root's lock held, on the accessing vCPU's
// thread; [offset, offset + size) is the access, counted from the start of configuration space, and
// overlaps the capability. Either may be NULL. They do not block.
struct pci_cap_ops {
	void (*reading)(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size);
	// After the store. Also called for the whole capability after a reset or a load.
	void (*written)(void *opaque, struct pci_func *f, uint32_t offset, uint32_t size);
};

// Whose registers are another device's, which answers in its own time. Context: no lock, on the
// accessing vCPU's thread, after the registers here were read or written; what is behind `opaque`
// lives until the function is unplugged and no access under way.
struct pci_pass_ops {
	// value: what the registers here say, to be changed.
	void (*read)(void *opaque, uint32_t offset, uint32_t size, uint64_t *value);
	// value: as the guest wrote it.
	void (*write)(void *opaque, uint32_t offset, uint32_t size, uint64_t value);
};

struct pci_cap {
	uint16_t offset, len;
	const struct pci_cap_ops *ops;
	void *opaque;
};

struct pci_bar {
	uint32_t kind;
	uint64_t size; // a power of two
};

// What a function is; see PCI_VENDOR_ID and following.
struct pci_ident {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code; // 24 bits
	uint8_t revision;
	uint8_t pin; // 0: no interrupt pin, 1: INTA# ... 4: INTD#
};

// One function. It is built by one thread, plugged, and from then on belongs to the root's lock.
struct pci_func {
	struct pci_root *root; // NULL while not plugged
	uint32_t devfn;
	struct pci_bar bar[PCI_BARS];
	struct pci_cap cap[PCI_MAX_CAPS];
	uint32_t caps;
	uint32_t hooked; // no capability's hooks look at registers below
	uint32_t last_cap, last_ext_cap; // offsets of the last headers, 0: none
	_Atomic uint16_t command; // a copy that needs no lock
	// Told of every write, reset and load, after what owns the registers. Context: the root's
	// lock held.
	void (*watch)(void *opaque, struct pci_func *f);
	void *watch_opaque;
	const struct pci_pass_ops *pass; // or NULL
	void *pass_opaque;
	struct lock intx_lock; // guards the four below; a leaf but for the irq hub
	struct irq_line intx, intx_pic; // to the I/O APIC's pin and, where there is one, the PIC's
	bool intx_level, intx_off;
	// A write makes each byte (old & ~wmask | new & wmask) & ~(new & w1c).
	uint8_t config[PCI_CONFIG_SIZE], wmask[PCI_CONFIG_SIZE], w1c[PCI_CONFIG_SIZE];
	uint8_t initial[PCI_CONFIG_SIZE]; // as it was when it was plugged
};

#define PCI_FUNC_STATE_VERSION 1

struct pci_func_state {
	uint32_t version;
	uint32_t intx_level;
	uint8_t config[PCI_CONFIG_SIZE];
};

struct pci_func *pci_func_create(const struct pci_ident *ident);
// Unplugged, and nobody holds its interrupt line any more.
void pci_func_destroy(struct pci_func *f);
// Registers as they were when it was plugged; the caller then re-reads pci_bars().
void pci_func_reset(struct pci_func *f);
void pci_func_save(struct pci_func *f, struct pci_func_state *ret);
// -EINVAL also for another device's state. The caller then re-reads pci_bars().
int pci_func_load(struct pci_func *f, const struct pci_func_state *state);

// --- building a function; before it is plugged

// Declares a base address register. size: a power of two from 4 (I/O), 16 (memory) or 2048 (ROM).
// A 64-bit one takes the next register too. -EINVAL, -EBUSY.
int pci_add_bar(struct pci_func *f, uint32_t n, enum pci_bar_kind kind, uint64_t size,
		bool prefetchable);
// Where firmware would have put it; aligned to its size.
void pci_set_bar(struct pci_func *f, uint32_t n, uint64_t address);
// Appends `len` zero bytes, header included and filled in, to the list at PCI_CAPABILITY_LIST or to
// the extended one. Contents and writable bits: pci_set(), pci_set_wmask(). ops may be NULL.
// Returns the offset, or -ENOSPC.
int pci_add_capability(struct pci_func *f, uint8_t id, uint32_t len, const struct pci_cap_ops *ops,
		       void *opaque);
int pci_add_ext_capability(struct pci_func *f, uint16_t id, uint8_t version, uint32_t len,
			   const struct pci_cap_ops *ops, void *opaque);
// The same hooks for registers that are there already. -ENOSPC.
int pci_hook(struct pci_func *f, uint32_t offset, uint32_t len, const struct pci_cap_ops *ops,
	     void *opaque);
// Accesses go on to somebody else.
void pci_pass(struct pci_func *f, const struct pci_pass_ops *ops, void *opaque);
// Who wants to know when the function's registers, or what follows from them, may have changed.
void pci_watch(struct pci_func *f, void (*watch)(void *opaque, struct pci_func *f), void *opaque);
void pci_set_wmask(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask);
void pci_set_w1c(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t mask);

// --- registers from the device's side; before it is plugged, or inside a hook

// size: 1 to 8 bytes, little-endian, any alignment.
void pci_set(struct pci_func *f, uint32_t offset, uint32_t size, uint64_t value);
uint64_t pci_get(const struct pci_func *f, uint32_t offset, uint32_t size);

// --- any thread, any lock but those of interrupt lines

static inline bool pci_bus_master(struct pci_func *f)
{
	return atomic_load_explicit(&f->command, memory_order_acquire) & PCI_COMMAND_MASTER;
}

// The function's interrupt pin: shows in the status register, and on the line unless disabled.
void pci_intx_set(struct pci_func *f, bool level);
// Which GSIs the pin drives; IRQ_HUB_GSIS or above: none. Before it is plugged.
void pci_intx_connect(struct pci_func *f, struct irq_hub *hub, uint32_t gsi, uint32_t pic_gsi);

// --- the root

struct pci_counts {
	uint64_t reads, writes; // of functions that exist
	uint64_t missing; // accesses to functions or registers that do not
	uint64_t changes; // calls of `changed`
};

struct pci_root {
	struct dev dev; // not locked by the bus: its operations lock it themselves, and call out
	struct pci_func *func[PCI_FUNCTIONS];
	uint32_t address; // 0xcf8
	struct dev *reset; // what answers to bytes at 0xcf9
	uint32_t reset_region;
	// Told by a write of 4 bytes to region 0, offset devfn, when that function decodes
	// elsewhere.
	struct dev *changed;
	struct coalesce_zone zone; // 32-bit writes to 0xcf8, and what else goes to those 4 ports
	_Atomic uint64_t reads, writes, missing, changes;
};

#define PCI_ROOT_STATE_VERSION 1

struct pci_root_state {
	uint32_t version;
	uint32_t address;
};

// Each may be NULL; all outlive the root.
struct pci_root *pci_root_create(struct dev *reset, uint32_t reset_region, struct dev *changed,
				 struct coalesce *coalesce);
void pci_root_destroy(struct pci_root *r);
void pci_root_reset(struct pci_root *r);
void pci_root_save(struct pci_root *r, struct pci_root_state *ret);
int pci_root_load(struct pci_root *r, const struct pci_root_state *state);
void pci_root_counts(struct pci_root *r, struct pci_counts *ret);

// The function appears at devfn, if it is function 0 together with those of its slot that came
// before. -EINVAL, -EBUSY (taken).
int pci_plug(struct pci_root *r, struct pci_func *f, uint32_t devfn);
// The function is gone from the bus and none of its hooks runs or will run.
void pci_unplug(struct pci_func *f);
// For each register where the function wants to decode now, or PCI_UNMAPPED.
void pci_bars(struct pci_func *f, uint64_t ret[PCI_BARS]);

// One access. What does not exist reads as ones: so does the extended space of a function without
// an extended capability, which therefore is not searched for others. The write returns what
// `changed` returned, else 0.
void pci_config_read(struct pci_root *r, uint32_t devfn, uint32_t offset, uint32_t size,
		     uint64_t *ret);
int pci_config_write(struct pci_root *r, uint32_t devfn, uint32_t offset, uint32_t size,
		     uint64_t value);

#endif
