// Virtio devices, their PCI transport, the entropy device: core/virtio/.

#define VIRTIO_MAX_QUEUES ...
#define VIRTIO_CONFIG_MAX ...
#define VIRTIO_F_VERSION_1 ...
#define VIRTIO_F_ACCESS_PLATFORM ...
#define VIRTIO_F_RING_RESET ...
#define VIRTIO_RING_F_INDIRECT_DESC ...
#define VIRTIO_RING_F_EVENT_IDX ...
#define VIRTIO_ID_RNG ...

enum virtio_fault {
	VIRTIO_FAULT_RING, VIRTIO_FAULT_ADDRESS, VIRTIO_FAULT_REQUEST, VIRTIO_FAULT_HOST, ...
};
enum virtio_event {
	VIRTIO_EVENT_NEEDS_RESET, VIRTIO_EVENT_REFUSED, VIRTIO_EVENT_FAILED, VIRTIO_EVENT_LAST, ...
};
struct virtio_queue { int kick_fd; struct vq vq; uint16_t max_size; ...; };
struct virtio_dev {
	struct dev dev; uint32_t device_id, queue_count; struct virtio_queue *queue;
	uint64_t offered, required, acked; uint8_t status;
	uint32_t config_len; uint8_t config[...], config_wmask[...]; ...;
};
int virtio_wait_idle(struct virtio_dev *d, uint32_t ms);
int virtio_wait_quiet(struct virtio_dev *d, uint32_t ms);
void virtio_ask_reset(struct virtio_dev *d);
void virtio_ask_pause(struct virtio_dev *d);
void virtio_ask_resume(struct virtio_dev *d);
void virtio_service(struct virtio_dev *d);
bool virtio_queue_live(const struct virtio_dev *d, uint32_t queue);
void virtio_stopped(struct virtio_dev *d);
void virtio_queue_stopped(struct virtio_dev *d, uint32_t queue);
void virtio_quiesced(struct virtio_dev *d);
void virtio_again(struct virtio_dev *d, uint32_t queue);
void virtio_interrupt(struct virtio_dev *d, uint32_t queue);
void virtio_config_changed(struct virtio_dev *d, uint32_t offset, const void *bytes, uint32_t len);
void virtio_needs_reset(struct virtio_dev *d, enum virtio_fault why);
#define VIRTIO_STATE_VERSION ...
struct virtio_state {
	uint32_t version, queue_count, config_len; uint64_t acked;
	uint8_t status, generation, running; uint8_t config[...]; uint8_t enabled[...];
	uint16_t size[...], last_avail[...], used_idx[...];
	uint64_t desc[...], avail[...], used[...]; ...;
};
int virtio_save(struct virtio_dev *d, struct virtio_state *ret);
int virtio_load(struct virtio_dev *d, const struct virtio_state *state);
struct virtio_counters {
	uint64_t starts, resets, faults, refused, ignored, config_interrupts, kicks, interrupts;
};
void virtio_counters(struct virtio_dev *d, struct virtio_counters *ret);

// --- PCI transport
enum virtio_pci_region {
	VIRTIO_PCI_COMMON_REGION, VIRTIO_PCI_ISR_REGION, VIRTIO_PCI_DEVICE_REGION,
	VIRTIO_PCI_NOTIFY_REGION, ...
};
#define VIRTIO_PCI_PART ...
#define VIRTIO_PCI_NOTIFY_STEP ...
#define VIRTIO_PCI_LEGACY_PORTS ...
#define VIRTIO_PCI_LEGACY_NOTIFY ...
struct virtio_pci_setup {
	struct virtio_dev *d; struct pci_func *func; struct msix *msix;
	uint32_t window_bar, notify_bar; bool legacy; ...;
};
struct virtio_pci { struct dev ports; ...; };
struct virtio_pci_state {
	uint32_t version, feature_word, accept_word;
	uint16_t queue_select, config_vector; uint8_t isr;
	uint16_t queue_vector[...]; ...;
};
struct virtio_pci *virtio_pci_create(const struct virtio_pci_setup *setup);
void virtio_pci_destroy(struct virtio_pci *p);
void virtio_pci_save(struct virtio_pci *p, struct virtio_pci_state *ret);
int virtio_pci_load(struct virtio_pci *p, const struct virtio_pci_state *state);

// --- entropy
struct virtio_rng_setup {
	struct gmem *mem; struct loop *loop; struct vclock *clock;
	int source; uint64_t max_bytes, period_ns; ...;
};
struct virtio_rng { struct virtio_dev vdev; ...; };
struct virtio_rng_state { uint32_t version; uint64_t quota; int64_t period_end; ...; };
struct virtio_rng_counters { uint64_t bytes, waits; };
struct virtio_rng *virtio_rng_create(const struct virtio_rng_setup *setup);
void virtio_rng_destroy(struct virtio_rng *r);
void virtio_rng_save(struct virtio_rng *r, struct virtio_rng_state *ret);
int virtio_rng_load(struct virtio_rng *r, const struct virtio_rng_state *state);
void virtio_rng_counters(struct virtio_rng *r, struct virtio_rng_counters *ret);

// --- devices served by Python or by other native code
struct virtio_py_setup {
	uint32_t device_id; uint64_t features;
	uint32_t queue_count; uint16_t queue_size[...]; uint32_t config_len;
	struct gmem *mem; struct loop *loop; ...;
};
struct virtio_py_notes {
	uint8_t start, config; uint64_t kick[...], queue_stop[...]; uint8_t quiesce, stop; ...;
};
struct virtio_api { ...; };
struct virtio_py { struct virtio_dev vdev; int event_fd; ...; };
struct virtio_py *virtio_py_create(const struct virtio_py_setup *setup);
void virtio_py_destroy(struct virtio_py *p);
void virtio_py_serve(struct virtio_py *p, uint32_t queue,
		     void (*fn)(const struct virtio_api *api, struct virtio_dev *d, uint32_t queue,
				void *opaque),
		     void *opaque);
void virtio_py_take(struct virtio_py *p, struct virtio_py_notes *ret);
void virtio_py_config(struct virtio_py *p, uint8_t *ret);
