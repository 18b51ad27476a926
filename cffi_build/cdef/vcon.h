// virtio-console: core/virtio/vcon.h vcon_control.h.

#define VCON_MAX_PORTS ...
#define VCON_NAME_MAX ...
#define VCON_MESSAGE_MAX ...
#define VCON_QUEUE_SIZE ...
#define VCON_CONTROL_SIZE ...
#define VCON_EVENT_NEWS ...
#define VCON_STATE_VERSION ...
#define VIRTIO_CONSOLE_F_SIZE ...
#define VIRTIO_CONSOLE_F_MULTIPORT ...
#define VIRTIO_CONSOLE_F_EMERG_WRITE ...
enum vcon_effect {
	VCON_IGNORED, VCON_DEVICE_READY, VCON_DEVICE_FAILED, VCON_PORT_READY, VCON_PORT_FAILED,
	VCON_GUEST_OPENED, VCON_GUEST_CLOSED, VCON_NOTHING_NEW, ...
};
enum {
	VCON_EXISTS, VCON_CONSOLE, VCON_ANNOUNCED, VCON_READY, VCON_FAILED, VCON_GUEST_OPEN,
	VCON_HOST_OPEN, VCON_TOLD_OPEN, VCON_CLOSED_MEANWHILE, ...
};
struct vcon_control_port { uint16_t flags; uint8_t tell, owed; ...; };
struct vcon_control { bool ready; struct vcon_control_port port[...]; ...; };
void vcon_control_init(struct vcon_control *c, uint32_t max_ports, bool spec_order);
void vcon_control_reset(struct vcon_control *c);
int vcon_control_add(struct vcon_control *c, uint32_t id, bool console, const char *name);
void vcon_control_remove(struct vcon_control *c, uint32_t id);
void vcon_control_host(struct vcon_control *c, uint32_t id, bool open);
void vcon_control_resize(struct vcon_control *c, uint16_t cols, uint16_t rows);
bool vcon_control_set(struct vcon_control *c, uint32_t id, const struct vcon_control_port *state);
enum vcon_effect vcon_control_receive(struct vcon_control *c, const uint8_t *packet, size_t len,
				      uint32_t *ret_id);
size_t vcon_control_next(struct vcon_control *c, uint8_t *ret);

struct vcon_setup {
	struct gmem *mem; struct loop *loop; uint32_t max_ports; bool multiport, spec_order; ...;
};
struct vcon_port_counters {
	uint64_t tx_bytes, rx_bytes, tx_discarded, tx_blocked, rx_blocked; ...;
};
struct vcon_counters {
	uint64_t control_in, control_out, control_ignored, device_failed, port_failed, emergency;
	...;
};
struct vcon_news { uint64_t opened, closed, failed; bool device_failed; ...; };
struct vcon_state {
	uint32_t version; uint8_t ready; uint16_t cols, rows; uint16_t flags[...];
	uint8_t tell[...], owed[...]; uint64_t tx_taken[...]; ...;
};
struct vcon { struct virtio_dev vdev; ...; };
struct vcon *vcon_create(const struct vcon_setup *setup);
void vcon_destroy(struct vcon *v);
int vcon_add(struct vcon *v, uint32_t id, struct chan *chan, bool console, const char *name);
int vcon_remove(struct vcon *v, uint32_t id);
int vcon_swap(struct vcon *v, uint32_t id, struct chan *chan);
void vcon_resize(struct vcon *v, uint16_t cols, uint16_t rows);
void vcon_news(struct vcon *v, struct vcon_news *ret);
bool vcon_guest_open(struct vcon *v, uint32_t id);
void vcon_counters(struct vcon *v, struct vcon_counters *ret);
void vcon_port_counters(struct vcon *v, uint32_t id, struct vcon_port_counters *ret);
void vcon_save(struct vcon *v, struct vcon_state *ret);
int vcon_load(struct vcon *v, const struct vcon_state *state);
