// Xen domains without KVM's own Xen interface: core/xen/xenus.h.

#define XENUS_PORT ...
#define XENUS_NOWHERE ...
struct xenus_counters {
	uint64_t send, unmask, poll, yields, set_timer, stop_timer, upcalls, late, asserted, debug;
};
struct xenus_runstate { uint64_t now; uint64_t times[4]; };
struct xenus_seen {
	int64_t began, took;
	uint64_t number, params[6];
	int64_t result;
	uint32_t behind_length;
	uint8_t behind[24];
};
struct xenus { struct dev dev; ...; };
struct xenus *xenus_create(struct vmcore *vm, struct gmem *memory, struct gmem_dev *dev,
			   struct vclock *clock, struct loop *loop, uint32_t vcpus);
void xenus_destroy(struct xenus *x);
void xenus_add_vcpu(struct xenus *x, uint32_t index, struct vcpu *v);
void xenus_know_vcpu(struct xenus *x, uint32_t index, struct vcpu *v);
void xenus_set_page(struct xenus *x, uint64_t page);
void xenus_set_wide(struct xenus *x, bool wide);
void xenus_set_info(struct xenus *x, uint32_t vcpu, uint64_t info);
void xenus_set_vector(struct xenus *x, uint32_t vcpu, uint8_t vector);
int xenus_set_gsi(struct xenus *x, int raise, int lowered);
void xenus_open(struct xenus *x, uint32_t port, uint32_t vcpu);
void xenus_close(struct xenus *x, uint32_t port);
void xenus_connect(struct xenus *x, uint32_t port, uint32_t target, uint32_t vcpu);
int xenus_open_channel(struct xenus *x, uint32_t port, uint32_t vcpu, int kick, int call);
void xenus_close_channel(struct xenus *x, uint32_t port);
int xenus_send(struct xenus *x, uint32_t port, uint32_t vcpu);
void xenus_tell(struct xenus *x, uint32_t vcpu);
void xenus_set_timer_port(struct xenus *x, uint32_t vcpu, uint32_t port, uint64_t expires);
uint64_t xenus_timer_end(struct xenus *x, uint32_t vcpu);
void xenus_end_polls(struct xenus *x);
void xenus_pass_all(struct xenus *x);
void xenus_counters(struct xenus *x, struct xenus_counters *ret);
int xenus_watch(struct xenus *x, int wake_fd);
uint32_t xenus_take_seen(struct xenus *x, uint32_t vcpu, struct xenus_seen *ret, uint32_t max);
uint64_t xenus_calls_lost(struct xenus *x);
void xenus_set_update_flag(struct xenus *x, bool on);
void xenus_set_runstate(struct xenus *x, uint32_t vcpu, uint64_t gpa);
void xenus_set_schedstat(struct xenus *x, uint32_t vcpu, int fd);
int xenus_runstate(struct xenus *x, uint32_t vcpu, struct xenus_runstate *ret);
int xenus_set_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second);
void xenus_share_sites(struct xenus *x, uint32_t vcpu, uint64_t first, uint64_t second);
int64_t xenus_find_site(const void *image, uint64_t length, uint32_t *ret);
