// What a Xen domain's back-ends are made of: core/xen/.

// --- grants
#define GNTTAB_NOWHERE ...
enum { GNTTAB_PAGE, GNTTAB_FRAMES, GNTTAB_PER_FRAME, GNTTAB_REFS, ... };
struct gnttab_counters { uint64_t mapped, maps, refused; };
struct gnttab { ...; };
struct gnttab *gnttab_create(struct gmem *memory);
void gnttab_destroy(struct gnttab *t);
void gnttab_reset(struct gnttab *t);
int gnttab_place(struct gnttab *t, uint32_t index, uint64_t gpa);
int gnttab_map(struct gnttab *t, uint32_t ref, bool write, void **ret);
void gnttab_unmap(struct gnttab *t, uint32_t ref, bool write);
void gnttab_counters(struct gnttab *t, struct gnttab_counters *ret);

// --- xenstore's ring
enum { XSRING_SIZE, XSRING_HEADER, XSRING_PAYLOAD, XSRING_MESSAGE, XSRING_EVENT, ... };
enum { XSRING_NONE, XSRING_RESTARTED, XSRING_IDLE, ... };
struct xsring_counters { uint64_t requests, sent, kicks, restarts, broken; };
struct xsring { ...; };
struct xsring *xsring_create(struct gmem *memory, struct loop *loop);
void xsring_destroy(struct xsring *r);
int xsring_connect(struct xsring *r, uint64_t page, int kick, int call);
void xsring_disconnect(struct xsring *r);
void xsring_pause(struct xsring *r, bool paused);
int xsring_take(struct xsring *r, uint8_t *ret);
int xsring_put(struct xsring *r, const uint8_t *message, uint32_t len);
void xsring_counters(struct xsring *r, struct xsring_counters *ret);

// --- console
enum { XENCON_IN, XENCON_OUT, ... };
struct xencon_counters { uint64_t tx_bytes, rx_bytes, kicks, calls, tx_blocked, broken; };
struct xencon { ...; };
struct xencon *xencon_create(struct gmem *memory, struct loop *loop, struct chan *chan);
void xencon_destroy(struct xencon *c);
int xencon_connect(struct xencon *c, uint64_t page, int kick, int call);
void xencon_disconnect(struct xencon *c);
void xencon_pause(struct xencon *c, bool paused);
void xencon_counters(struct xencon *c, struct xencon_counters *ret);

// --- disks
enum { XBLK_RING_ORDER, XBLK_RING_PAGES, XBLK_MAX_QUEUES, XBLK_REQUESTS, XBLK_SEGMENTS, XBLK_INDIRECT, XBLK_EVENT, XBLK_IDLE, ... };
struct xblk_counters {
	uint64_t requests, segments, indirect, rejected, unsupported, failed, broken, kicks, calls;
};
struct xblk_setup {
	struct gnttab *grants; struct loop *loop; struct blk *blk; uint64_t sectors; bool read_only;
	uint32_t queues; ...;
};
struct xblk_link { const uint32_t *refs; uint32_t pages; int kick, call; bool narrow; ...; };
struct xblk { ...; };
struct xblk *xblk_create(const struct xblk_setup *setup);
void xblk_destroy(struct xblk *x);
int xblk_connect(struct xblk *x, uint32_t queue, const struct xblk_link *link);
void xblk_disconnect(struct xblk *x);
void xblk_pause(struct xblk *x, bool paused);
uint32_t xblk_in_flight(struct xblk *x);
void xblk_counters(struct xblk *x, struct xblk_counters *ret);

// --- network cards
enum { XNET_MAX_QUEUES, XNET_RING, XNET_HEADER, XNET_FRAME_MAX, XNET_TX_SLOTS, XNET_EVENT, ... };
enum { XNET_SG, XNET_CSUM4, XNET_CSUM6, XNET_TSO4, XNET_TSO6, ... };
enum xnet_news {
	XNET_BAD_INDEX, XNET_BAD_SLOTS, XNET_BAD_SIZE, XNET_BAD_EXTRA, XNET_BAD_GSO, XNET_LOST,
	XNET_REFUSED, ...
};
struct xnet_link {
	uint32_t tx_ref, rx_ref; int tx_kick, tx_call, rx_kick, rx_call; ...;
};
struct xnet_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, rx_gso, tx_gso, rx_summed, rx_dropped;
	uint64_t rx_waits, tx_waits, tx_dropped, refused, broken, kicks, calls, lost;
};
struct xnet_setup {
	struct gnttab *grants; struct loop *loop; uint32_t queues; int fd[...]; bool tap; ...;
};
struct xnet { ...; };
struct xnet *xnet_create(const struct xnet_setup *setup);
void xnet_destroy(struct xnet *x);
int xnet_connect(struct xnet *x, uint32_t queue, const struct xnet_link *link, uint32_t takes);
void xnet_disconnect(struct xnet *x);
void xnet_pause(struct xnet *x, bool paused);
void xnet_counters(struct xnet *x, struct xnet_counters *ret);
