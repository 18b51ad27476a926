// Split rings and copies between buffers and their pieces: core/virtio/vq.h iov.h.

#define VQ_MAX_SIZE ...
struct iovec { void *iov_base; size_t iov_len; ...; };
struct vq_config {
	uint64_t desc, avail, used;
	uint16_t size, last_avail, used_idx;
	bool event_idx, indirect;
	...;
};
struct vq_chain {
	uint16_t head;
	uint32_t out_count, in_count;
	uint64_t out_len, in_len;
	struct iovec *piece;
	uint32_t cap;
	...;
};
struct vq_counts { uint64_t chains, bytes, interrupts; };
struct vq { int broken; ...; };
int vq_start(struct vq *q, struct gmem *m, struct gmem_dev *dev, const struct vq_config *c);
void vq_stop(struct vq *q, struct vq_config *ret);
int vq_pop(struct vq *q, struct vq_chain *ret);
void vq_unpop(struct vq *q);
void vq_look_again(struct vq *q);
void vq_push(struct vq *q, uint16_t head, uint32_t written);
bool vq_flush(struct vq *q);
bool vq_kicks_on(struct vq *q);
void vq_kicks_off(struct vq *q);
bool vq_empty(struct vq *q);
void vq_counts(struct vq *q, struct vq_counts *ret);
size_t iov_to_buf(const struct iovec *piece, uint32_t count, size_t offset, void *buf, size_t len);
size_t iov_from_buf(const struct iovec *piece, uint32_t count, size_t offset, const void *buf, size_t len);
