// Event loop, virtual clock, byte channels, coalesced zones, UART and debug console:
// core/{loop,backends,devices}/.

// --- loop
#define EPOLLIN ...
#define EPOLLOUT ...
#define EPOLLET ...
#define EPOLLONESHOT ...
struct loop;
struct loop_event { uint32_t kind; uint64_t value; void *source; ...; };
enum {
	LOOP_STOPPED, LOOP_ESCAPE, LOOP_PANIC_LINE, LOOP_PEER_LOST, LOOP_PEER_JOINED, LOOP_WAKE,
	LOOP_CALL, LOOP_USER, ...
};
struct loop_counters { uint64_t wakeups, dispatched, posted, refused; ...; };
struct loop *loop_create(void);
void loop_destroy(struct loop *l);
int loop_modify(struct loop *l, int handle, uint32_t events);
void loop_remove(struct loop *l, int handle);
int loop_add_call(struct loop *l, int fd, uint32_t events, uint64_t token);
int loop_post(struct loop *l, uint32_t kind, uint64_t value, void *source);
int loop_post_once(struct loop *l, uint32_t kind, uint64_t value, void *source);
void loop_forget(struct loop *l, void *source);
void loop_wake(struct loop *l);
int loop_run(struct loop *l, struct loop_event *ret);
void loop_stop(struct loop *l);
void loop_counters(struct loop *l, struct loop_counters *ret);

// --- clock and timers
struct vclock;
struct vclock *vclock_create(bool manual);
void vclock_destroy(struct vclock *c);
int64_t vclock_ns(struct vclock *c);
void vclock_stop(struct vclock *c);
void vclock_run(struct vclock *c);
void vclock_set(struct vclock *c, int64_t ns);
void vclock_step(struct vclock *c, int64_t ns);
struct timer { int64_t deadline; ...; };
int timer_init(struct timer *t, struct vclock *c, struct loop *loop, void (*fn)(void *),
	       void *opaque);
void timer_deinit(struct timer *t);
void timer_arm(struct timer *t, int64_t deadline);
void timer_disarm(struct timer *t);
int64_t timer_deadline(struct timer *t);

// --- channels
enum chan_overflow { CHAN_BLOCK, CHAN_DROP, ... };
#define CHAN_LIMIT_MIN ...
#define CHAN_LIMIT_DEFAULT ...
#define CHAN_LIMIT_MAX ...
#define CHAN_TAIL ...
#define CHAN_FLUSH_NS ...
struct chan;
#define CHAN_ROOM ...
struct iovec;
struct chan_front {
	size_t (*rx)(void *opaque, const uint8_t *buf, size_t len);
	void (*tx_ready)(void *opaque);
	int (*room)(void *opaque, struct iovec *ret, int max);
	void (*filled)(void *opaque, size_t len);
	void (*peer)(void *opaque, bool connected);
	void *opaque;
};
struct chan_counters {
	uint64_t out_bytes, in_bytes, dropped_bytes, in_dropped_bytes, flushes, wakeups, peers;
	uint64_t buffered; ...;
};
struct chan *chan_create(struct loop *l, uint64_t limit, enum chan_overflow overflow);
void chan_destroy(struct chan *c);
void chan_set_front(struct chan *c, const struct chan_front *f);
int chan_attach(struct chan *c, int in_fd, int out_fd);
int chan_listen(struct chan *c, int listen_fd);
int chan_keep(struct chan *c, int in_fd);
size_t chan_take(struct chan *c, uint8_t *ret, size_t len);
int chan_watch_opens(struct chan *c, const char *path);
void chan_set_escape(struct chan *c, bool on);
void chan_watch_panic(struct chan *c, bool on);
size_t chan_put(struct chan *c, const uint8_t *buf, size_t len);
ssize_t chan_writev(struct chan *c, const struct iovec *iov, int count);
bool chan_can_put(struct chan *c);
void chan_rx_resume(struct chan *c);
bool chan_has_peer(struct chan *c);
int chan_out_error(struct chan *c);
bool chan_connected(struct chan *c);
uint64_t chan_flush(struct chan *c, int timeout_ms);
size_t chan_tail(struct chan *c, uint8_t *ret, size_t len);
void chan_counters(struct chan *c, struct chan_counters *ret);

// --- coalesced zones
struct coalesce { ...; };
struct coalesce_zone { uint64_t addr; uint32_t size; ...; };
struct coalesce *coalesce_create(struct kvmwait *kvm, struct vclock *clock, struct loop *loop,
				 uint32_t (*drain)(void *opaque), void *opaque);
void coalesce_destroy(struct coalesce *g);
struct coalesce_counters { uint64_t drains, switches, on; ...; };
void coalesce_counters(struct coalesce *g, struct coalesce_counters *ret);
void coalesce_zone_init(struct coalesce_zone *z, struct coalesce *group, uint64_t addr,
			uint32_t size, bool pio, bool timed);
void coalesce_zone_deinit(struct coalesce_zone *z);
int coalesce_zone_set(struct coalesce_zone *z, bool on);
bool coalesce_zone_on(struct coalesce_zone *z);

// --- UART
#define UART_PORTS ...
#define UART_TIMEOUT_NS ...
#define UART_STATE_VERSION ...
struct uart_setup {
	struct irq_hub *hub; uint32_t gsi; struct vclock *clock; struct loop *loop;
	struct chan *chan; struct coalesce *coalesce; uint16_t port; ...;
};
struct uart_state {
	uint32_t version;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm, msr_delta, overrun, thre_pending, timed_out;
	uint8_t rx_count, tx_count;
	uint8_t rx[...], rx_flags[...], tx[...];
	int64_t deadline; ...;
};
struct uart_counters { uint64_t rx_bytes, tx_bytes, overruns, tx_lost, breaks, interrupts; ...; };
struct uart { struct dev dev; struct coalesce_zone zone; bool raised; ...; };
struct uart *uart_create(const struct uart_setup *setup);
void uart_destroy(struct uart *u);
void uart_reset(struct uart *u);
void uart_save(struct uart *u, struct uart_state *ret);
int uart_load(struct uart *u, const struct uart_state *state);
void uart_send_break(struct uart *u);
void uart_counters(struct uart *u, struct uart_counters *ret);
size_t uart_receive(struct uart *u, const uint8_t *buf, size_t len);

// --- debug console
#define DEBUGCON_STATE_VERSION ...
struct debugcon_state { uint32_t version; uint64_t bytes; ...; };
struct debugcon { struct dev dev; struct coalesce_zone zone; ...; };
struct debugcon *debugcon_create(struct chan *chan, struct coalesce *coalesce, uint16_t port);
void debugcon_destroy(struct debugcon *d);
void debugcon_reset(struct debugcon *d);
void debugcon_save(struct debugcon *d, struct debugcon_state *ret);
struct debugcon_counters { uint64_t bytes, lost; ...; };
void debugcon_counters(struct debugcon *d, struct debugcon_counters *ret);
int debugcon_load(struct debugcon *d, const struct debugcon_state *state);
