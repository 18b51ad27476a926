// The split irqchip and the GSI routing table: core/irq/router.h pic.h ioapic.h split_sink.h.

#define ROUTER_MAX_ROUTES ...
#define ROUTER_MAX_GSI ...
#define ROUTER_PIRQS ...
#define KVM_IRQ_ROUTING_IRQCHIP ...
#define KVM_IRQ_ROUTING_MSI ...
#define KVM_IRQ_ROUTING_XEN_EVTCHN ...
struct router_entry {
	uint32_t gsi, type;
	uint64_t address; // MSI; for a chip its number, for Xen its port
	uint32_t data; // MSI; for a chip the pin, for Xen the vCPU
	...;
};
struct irq_router { ...; };
struct irq_router *router_create(int vm_fd);
void router_destroy(struct irq_router *r);
int router_set_msi(struct irq_router *r, uint32_t gsi, uint64_t address, uint32_t data);
int router_set_xen(struct irq_router *r, uint32_t gsi, uint32_t port, uint32_t vcpu, uint32_t priority);
void router_use_pirqs(struct irq_router *r);
int router_set_pirq(struct irq_router *r, uint32_t pirq, uint32_t port, uint32_t vcpu);
int router_add_pin(struct irq_router *r, uint32_t gsi, uint32_t chip, uint32_t pin);
void router_clear(struct irq_router *r, uint32_t gsi);
int router_commit(struct irq_router *r);
uint32_t router_entries(struct irq_router *r, struct router_entry *ret, uint32_t n);
uint64_t router_commits(struct irq_router *r);

struct pic { struct dev dev; ...; };
struct pic_state {
	uint32_t version;
	uint8_t output;
	uint8_t lines[2], irr[2], imr[2], isr[2], elcr[2], base[2], lowest[2], init[2];
	uint8_t icw4[2], single[2], level_mode[2], auto_eoi[2], rotate_on_auto_eoi[2];
	uint8_t special_mask[2], special_fully_nested[2], poll[2], read_isr[2];
	...;
};
enum pic_region { PIC_MASTER, PIC_SLAVE, PIC_ELCR, ... };
struct pic *pic_create(void);
void pic_destroy(struct pic *p);
void pic_reset(struct pic *p);
void pic_save(struct pic *p, struct pic_state *ret);
int pic_load(struct pic *p, const struct pic_state *state);
void pic_set_intr(struct pic *p, void (*intr)(void *opaque, int level), void *opaque);
void pic_set_line(struct pic *p, uint32_t line, int level);
void pic_hold(struct pic *p, uint32_t line, bool held);
void pic_set_ended(struct pic *p, void (*ended)(void *opaque, uint32_t line), void *opaque);
bool pic_output(struct pic *p);
int pic_ack(struct pic *p);

struct ioapic { struct dev dev; uint32_t pins; uint64_t route_failures; ...; };
struct ioapic_state { uint32_t version, pins, select, id; uint64_t lines; uint64_t rte[...]; ...; };
struct ioapic_route { uint64_t address; uint32_t data, masked; uint64_t delivered; ...; };
struct ioapic *ioapic_create(uint32_t pins);
void ioapic_destroy(struct ioapic *a);
void ioapic_reset(struct ioapic *a);
void ioapic_save(struct ioapic *a, struct ioapic_state *ret);
int ioapic_load(struct ioapic *a, const struct ioapic_state *state);
void ioapic_reconcile(struct ioapic *a, const uint8_t *held);
void ioapic_set_msi(struct ioapic *a, int (*msi)(void *, uint64_t, uint32_t), void *opaque);
void ioapic_use_kvm(struct ioapic *a, int vm_fd);
void ioapic_set_router(struct ioapic *a, struct irq_router *router);
void ioapic_set_line(struct ioapic *a, uint32_t pin, int level);
void ioapic_eoi(struct ioapic *a, uint8_t vector);
void ioapic_hold(struct ioapic *a, uint32_t pin, bool held);
void ioapic_set_ended(struct ioapic *a, void (*ended)(void *opaque, uint32_t pin), void *opaque);
uint32_t ioapic_routes(struct ioapic *a, struct ioapic_route *ret, uint32_t n);

struct split_sink { ...; };
struct split_sink *split_sink_create(struct pic *pic, struct ioapic *ioapic);
void split_sink_destroy(struct split_sink *s);
void split_sink_attach(struct split_sink *s, struct irq_hub *hub);
void split_sink_detach(struct split_sink *s, struct irq_hub *hub);

#define PIT_HZ ...
#define PIT_MIN_IRQ_NS ...
enum pit_region { PIT_COUNTERS, PIT_PORT61, ... };
struct pit { struct dev dev; ...; };
struct pit_state {
	uint32_t version;
	uint8_t mode[3], access[3], bcd[3], gate[3], loaded[3], triggered[3];
	uint8_t have_low[3], read_high[3], low[3], latched[3], status_latched[3], status[3];
	uint16_t latch[3];
	uint32_t reload[3], pending[3];
	uint64_t start[3], held[3];
	uint8_t port61, line;
	...;
};
struct pit *pit_create(struct irq_hub *hub, uint32_t gsi, struct vclock *clock, struct loop *loop);
void pit_destroy(struct pit *p);
void pit_reset(struct pit *p);
void pit_save(struct pit *p, struct pit_state *ret);
int pit_load(struct pit *p, const struct pit_state *state);
void pit_hide_count2(struct pit *p);
void pit_set_irq_off(struct pit *p, bool off);

// The hub's chip as a pair of functions; tests bring their own.
struct irq_sink { void (*set)(void *chip, uint32_t gsi, int level); void *chip; ...; };
void irq_hub_set_sink(struct irq_hub *h, struct irq_sink sink);

// Level-triggered interrupts that eventfds raise: core/irq/intx.h.
#define INTX_NO_PIC ...
struct intx { int trigger_fd, resample_fd; ...; };
struct intx *intx_create(struct irq_hub *hub, struct loop *loop, uint32_t gsi, uint32_t pic);
void intx_destroy(struct intx *x);
int intx_status(struct intx *x);

// Pins as event channels of a Xen domain: core/xen/xenpirq.h.
struct xenpirq { uint64_t events, eois; ...; };
struct xenpirq *xenpirq_create(struct irq_hub *hub, int vm_fd);
void xenpirq_destroy(struct xenpirq *p);
int xenpirq_bind(struct xenpirq *p, uint32_t gsi, uint32_t port, uint32_t vcpu);
void xenpirq_eoi(struct xenpirq *p, uint32_t gsi);
void xenpirq_answer(struct xenpirq *p, struct vcpu *v, struct gmem *memory, struct gmem_dev *dev);
void xenpirq_set_level(struct xenpirq *p, uint32_t pirq, int gsi);
void xenpirq_pass_all(struct xenpirq *p);
