// The C core's own interface: memory, bus, interrupt lines, Python devices, vCPUs. See core/*.h.

long sys_ioctl(int fd, unsigned long request, void *argument);
long sys_ioctl_value(int fd, unsigned long request, unsigned long argument);
int sys_timerfd(void);
int sys_timerfd_set(int fd, uint64_t first, uint64_t period);
void sys_cpuid(uint32_t function, uint32_t index, uint32_t *ret);
uint64_t mmio_read(const void *at, uint32_t size);
void mmio_write(void *at, uint32_t size, uint64_t value);
int eventfd(unsigned int value, int flags);
#define EFD_NONBLOCK ...
#define EFD_CLOEXEC ...

// --- gmem
struct gmem;
enum gmem_dir { GMEM_READ, GMEM_WRITE, ... };
struct gmem_dev {
	int (*window)(void *opaque, uint64_t gpa, uint64_t len, enum gmem_dir dir);
	void *window_opaque; ...;
};
struct gmem_counts { uint64_t reads, writes, denied; };
struct gmem_piece { void *hva; uint64_t len; ...; };
#define GMEM_READONLY ...
struct gmem *gmem_create(void);
void gmem_destroy(struct gmem *m);
int gmem_add(struct gmem *m, uint64_t gpa, uint64_t size, void *hva, uint32_t flags);
int gmem_remove(struct gmem *m, uint64_t gpa, uint64_t size);
uint64_t gmem_generation(struct gmem *m);
int gmem_at(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len, enum gmem_dir dir,
	    struct gmem_piece *ret, uint32_t max);
int gmem_read(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, void *buf, uint64_t len);
int gmem_write(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, const void *buf, uint64_t len);
int gmem_zero(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, uint64_t len);
int gmem_pread(struct gmem *m, struct gmem_dev *dev, uint64_t gpa, int fd, uint64_t offset, uint64_t len);
void gmem_counts(struct gmem_dev *dev, struct gmem_counts *ret);

// --- devices and bus
enum dev_event {
	DEV_EVENT_POWER_OFF, DEV_EVENT_RESET, DEV_EVENT_DEBUG_EXIT, DEV_EVENT_PANIC,
	DEV_EVENT_CRASH_LOADED, DEV_EVENT_SLEEP, DEV_EVENT_REMAP, DEV_EVENT_MARK,
	DEV_EVENT_EJECT, DEV_EVENT_UNPLUG, ...
};
struct dev { uint32_t flags; ...; };
struct bus_reader { ...; };
struct bus { ...; };
struct bus *bus_create(uint64_t limit);
void bus_destroy(struct bus *b);
int bus_add_reader(struct bus *b, struct bus_reader *r);
void bus_remove_reader(struct bus *b, struct bus_reader *r);
int bus_claim(struct bus *b, uint64_t base, uint64_t len, struct dev *d, uint32_t region);
int bus_release(struct bus *b, uint64_t base, uint64_t len);
int bus_move(struct bus *b, uint64_t base, uint64_t len, uint64_t to);
uint64_t bus_serial(struct bus *b);
bool bus_quiet(struct bus *b, uint64_t serial);
void bus_reader_bind(struct bus_reader *r);
bool bus_inside(struct bus *b);
int bus_read(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t *ret);
int bus_write(struct bus *b, struct bus_reader *r, uint64_t addr, uint32_t size, uint64_t value);
bool bus_write_burst(struct bus *b, struct bus_reader *r, uint64_t addr, const uint8_t *bytes,
		     uint32_t count);
void bus_settle(struct bus *b, struct bus_reader *r, uint64_t addr);
struct bus_counts { uint64_t unclaimed_reads, unclaimed_writes, old_tables; };
void bus_counts(struct bus *b, struct bus_counts *ret);

// --- interrupt lines
#define IRQ_HUB_GSIS ...
struct irq_hub { ...; };
struct irq_line { uint32_t gsi, level; ...; };
struct irq_hub *irq_hub_create(void);
void irq_hub_destroy(struct irq_hub *h);
void irq_hub_use_kernel(struct irq_hub *h, int vm_fd);
void irq_line_init(struct irq_line *l, struct irq_hub *h, uint32_t gsi);
void irq_line_set(struct irq_line *l, int level);

// --- devices in Python
struct pydev_upcalls {
	int (*read)(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret);
	int (*write)(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t value);
};
struct pydev { struct dev dev; ...; };
struct pydev *pydev_create(struct pydev_upcalls up, void *handle);
void pydev_destroy(struct pydev *d);
struct pydev_counts { uint64_t upcalls, worst_ns; };
void pydev_counts(struct pydev *d, struct pydev_counts *ret);
extern "Python+C" int vmm_pydev_read(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t *ret);
extern "Python+C" int vmm_pydev_write(void *handle, uint32_t region, uint64_t offset, uint32_t size, uint64_t value);

// --- flight recorder and histogram
#define TRACE_RECORDS ...
#define TRACE_WRITE ...
#define TRACE_COALESCED ...
struct trace_record { uint64_t tsc, address, value; uint32_t reason; uint16_t size, flags; ...; };
struct trace { uint64_t count; struct trace_record record[...]; ...; };
#define HIST_SLOTS ...
enum hist_space { HIST_PIO_READ, HIST_PIO_WRITE, HIST_MMIO_READ, HIST_MMIO_WRITE, HIST_MSR_READ, HIST_MSR_WRITE, ... };
struct hist_slot { uint64_t key, count; ...; };
struct hist { uint64_t other; struct hist_slot slot[...]; ...; };

// --- vCPUs
struct pic;
struct ioapic;
struct kvmwait { ...; };
struct vmcore { struct kvmwait wait; uint64_t coalesced; struct hist coalesced_hist; ...; };
enum vcpu_event_kind {
	VCPU_KICKED, VCPU_DEVICE, VCPU_SHUTDOWN, VCPU_SYSTEM_EVENT, VCPU_HLT, VCPU_DEBUG, VCPU_XEN, VCPU_MSR,
	VCPU_INTERNAL_ERROR, VCPU_FAIL_ENTRY, VCPU_UPCALL_FAILED, VCPU_RUN_FAILED, VCPU_INJECT_FAILED,
	VCPU_WOKEN, VCPU_UNKNOWN, ...
};
struct vcpu_event { uint32_t kind, exit_reason; int64_t code; uint64_t address, value; uint32_t size; ...; };
#define VCPU_REASONS ...
struct vcpu_counters {
	uint64_t interrupted, returns, injected, coalesced;
	uint64_t reason[...]; ...;
};
enum vcpu_request { VCPU_REQUEST_COMMANDS, VCPU_REQUEST_INTERRUPT, ... };
struct vcpu {
	uint32_t id; struct kvm_run *run; uint64_t first_entry_ns;
	struct vcpu_counters counters; struct trace trace; struct hist hist; ...;
};
struct vmcore *vmcore_create(int vm_fd, struct bus *pio, struct bus *mmio);
void vmcore_destroy(struct vmcore *vm);
void vmcore_polls(struct vmcore *vm);
int vmcore_ioctl(struct vmcore *vm, unsigned long request, void *argument);
void vmcore_set_split_irqchip(struct vmcore *vm, struct pic *pic, struct ioapic *ioapic);
uint32_t vmcore_drain(struct vmcore *vm);
bool vmcore_asked(struct vmcore *vm, struct vcpu_event *ret);
struct vcpu *vcpu_create(struct vmcore *vm, int fd, uint32_t id, uint32_t run_size, uint32_t ring_page);
void vcpu_destroy(struct vcpu *v);
int vcpu_run(struct vcpu *v, struct vcpu_event *ret);
bool vcpu_complete_io(struct vcpu *v, struct vcpu_event *ret);
void vcpu_refuse_msr(struct vcpu *v);
void vcpu_kick(struct vcpu *v, uint32_t request);
int vcpu_kick_signal_init(void);
int vcpu_thread_begin(struct vcpu *v);
void vcpu_thread_mask_signals(void);

// What KVM said of the last internal error or failed entry; for VCPU_SYSTEM_EVENT its type.
struct vcpu_hypercall { uint64_t number, params[6]; uint32_t longmode, cpl; };
void vcpu_hypercall(struct vcpu *v, struct vcpu_hypercall *ret);
void vcpu_hypercall_result(struct vcpu *v, int64_t result);
struct vcpu_failure { uint32_t suberror, ndata; uint64_t data[16]; uint64_t entry_reason; };
void vcpu_failure(struct vcpu *v, struct vcpu_failure *ret);

// --- event channels (core/xen/evtchn.h)
enum { EVTCHN_PENDING, EVTCHN_MASK32, EVTCHN_MASK64, EVTCHN_PORTS32, EVTCHN_PORTS64, ... };
struct evtchn { struct gmem *memory; struct gmem_dev *dev; uint64_t page; bool wide; ...; };
int evtchn_clear_pending(const struct evtchn *e, uint32_t port);
int evtchn_unmask(const struct evtchn *e, uint32_t port);
int evtchn_take(const struct evtchn *e, uint32_t port);
int evtchn_look(const struct evtchn *e, uint32_t port);
