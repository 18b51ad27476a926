// SPDX-License-Identifier: Apache-2.0
// Hypercalls from wherever a 64-bit guest can make them: by the instruction, by the page, from
// ring 3.
#include "../lib/xen.h"

#define PROBE 48 /* the host looks at what arrives, and answers ANSWER */
#define ANSWER 0x1234567

static const u64 values[6] = { 0x1111111111111111, 0x2222222222222222, 0x8333333383333333,
			       0x4444444444444444, 0x5555555555555555, 0xf6666666f6666666 };

static void arguments(void)
{
	check_equal(hypercall6(PROBE, values), ANSWER);
}

static long by_page(u32 number)
{
	register u64 fourth asm("r10") = values[3];
	register u64 fifth asm("r8") = values[4];
	register u64 sixth asm("r9") = values[5];
	u64 a = values[0], b = values[1], c = values[2];
	long result;

	asm volatile("call *%[at]"
		     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth), "+r"(fifth),
		       "+r"(sixth)
		     : [at] "r"(pages[3] + number * 32)
		     : "memory", "rcx", "r11");
	return result;
}

static void arguments_by_page(void)
{
	wrmsr(XEN_MSR, (u64)pages[3]);
	check_equal(by_page(PROBE), ANSWER);
	CHECK_ERROR(by_page(PROBE + 1), ENOSYS);
}

/* Only the lower half of an operation's number counts, and of a hypercall's none of it is left out.
 */
static void upper_halves(void)
{
	check_equal(hypercall(XEN_VERSION, 1ull << 32 | 7, 0, 0), 4096);
	CHECK_ERROR(hypercall(XEN_VERSION, 1ull << 31 | 7, 0, 0), ENOSYS);
}

const u8 *user_site;
static u32 faults;

/* Where the instruction is OUT: the port is not for ring 3, and the call is not made. */
static void on_fault(struct frame *f)
{
	check_equal(f->cs & 3, 3);
	faults++;
	f->rax = (u64) - (long)EPERM;
	f->rip += 2; /* OUT; NOP and a return follow */
}

void user_version(void);
asm("user_version:\n"
    "	mov $17, %eax\n" /* xen_version */
    "	mov $7, %edi\n" /* of a page's size */
    "	call *user_site\n"
    "	" USER_EXIT "\n");

static void from_ring_3(void)
{
	user_site = hypercall_site();
	user_init();
	trap_set(VEC_GP, on_fault);
	CHECK_ERROR(user_run(user_version), EPERM);
	check(faults <= arg_lists("calls", "patched")); /* or it came, and was refused */
	trap_set(VEC_GP, NULL);
	check_equal(hypercall(XEN_VERSION, 7, 0, 0), 4096);
}

/* call_narrow(instruction, number, three arguments): from a 32-bit code segment. */
int call_narrow(const u8 *site, u32 number, const u32 arguments[3]);
asm(".globl call_narrow\n"
    "call_narrow:\n"
    "	push %rbx\n"
    "	push %rbp\n"
    "	mov %rdi, %rbp\n"
    "	mov %esi, %eax\n"
    "	mov 0(%rdx), %ebx\n"
    "	mov 4(%rdx), %ecx\n"
    "	mov 8(%rdx), %edx\n"
    "	ljmpl *narrow_far\n"
    "	.code32\n"
    "narrow_here: call *%ebp\n"
    "	ljmp $0x08, $narrow_back\n"
    "	.code64\n"
    "narrow_back:\n"
    "	pop %rbp\n"
    "	pop %rbx\n"
    "	ret\n"
    "	.section .rodata\n"
    "narrow_far: .long narrow_here\n"
    "	.word 0x18\n"
    "	.text\n");

static struct {
	u16 domid, pad;
	u32 index;
	u64 value;
} param = { DOMID_SELF, 0, 0, 0 };

static void layout_is(bool wide)
{
	static const u32 far[2] = { 0xc00 / 4, 0x900 / 4 };
	struct evtchn_status status = { DOMID_SELF, 0, 2000, 0, 0, {} };
	const u32 *words = (const u32 *)pages[0];

	memset(pages[0], 0, 4096);
	check_equal(map_shared(pages[0]), 0);
	check_equal(words[far[!wide]] & 1, 0);
	check(words[far[!wide] + 1] > 1600000000); /* seconds since 1970 */
	check_equal(words[far[wide] + 1] > 1600000000, 0);
	check_equal(evtchn_op(5, &status), wide ? 0 : -EINVAL);
}

/* The mode in which a guest says how it is told of events decides on the layout of its pages. */
static void layout_follows(void)
{
	const u32 arguments[3] = { 0, (u32)(u64)&param, 0 };

	layout_is(true);
	check_equal(call_narrow(hypercall_site(), HVM_OP, arguments), 0);
	layout_is(false);
	check_equal(hypercall(HVM_OP, 0, (u64)&param, 0), 0);
	layout_is(true);
}

const struct test tests[] = {
	{ "arguments", arguments },	      { "arguments-by-page", arguments_by_page },
	{ "upper-halves", upper_halves },     { "from-ring-3", from_ring_3 },
	{ "layout-follows", layout_follows }, {},
};
