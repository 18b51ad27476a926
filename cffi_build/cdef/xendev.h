// What a Xen domain's back-ends are made of: core/gnttab.h.

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
