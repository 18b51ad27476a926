// Disks: core/backends/blk.h, core/virtio/vblk.h.

#define BLK_SECTOR ...
enum blk_engine { BLK_URING, BLK_THREADS, ... };
struct blk;
struct blk_setup {
	struct loop *loop; int fd, direct_fd; uint32_t memory_align, block_align; bool device;
	uint32_t engine, depth; ...;
};
struct blk_counters {
	uint64_t reads, writes, flushes, discards, zeros, read_bytes, written_bytes, errors, again, cached;
};
struct blk *blk_create(const struct blk_setup *setup);
void blk_destroy(struct blk *b);
bool blk_wants_workers(struct blk *b);
void blk_work(struct blk *b);
void blk_stop(struct blk *b);
void blk_counters(struct blk *b, struct blk_counters *ret);
bool blk_direct_align(int fd, uint32_t *memory, uint32_t *block);
#define BLKSSZGET ...
#define BLKPBSZGET ...
#define BLKIOMIN ...
#define BLKIOOPT ...
#define BLKALIGNOFF ...

#define VBLK_QUEUE_SIZE ...
#define VBLK_MAX_QUEUES ...
#define VBLK_MAX_DISCARD_SECTORS ...
#define VBLK_EVENT_ERROR ...
#define VIRTIO_BLK_ID_BYTES ...
struct vblk_setup {
	struct gmem *mem; struct loop *loop; struct blk *blk; uint64_t sectors; uint32_t queues;
	bool read_only; uint32_t block_size, physical_size, min_io, opt_io, alignment;
	uint8_t serial[...]; ...;
};
struct vblk { struct virtio_dev vdev; ...; };
struct vblk_state { uint32_t version; uint64_t sectors; uint8_t read_only; ...; };
struct vblk_counters { uint64_t unsupported, rejected, failed; };
struct vblk *vblk_create(const struct vblk_setup *setup);
void vblk_destroy(struct vblk *v);
void vblk_resize(struct vblk *v, uint64_t sectors);
void vblk_save(struct vblk *v, struct vblk_state *ret);
int vblk_load(struct vblk *v, const struct vblk_state *state);
void vblk_counters(struct vblk *v, struct vblk_counters *ret);
