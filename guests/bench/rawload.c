// SPDX-License-Identifier: Apache-2.0
// rawvmm: image, info blocks and the first register state.
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "raw.h"

enum {
	GDT = 0x500,
	START_INFO = 0x6000,
	ZERO_PAGE = 0x7000,
	REAL_MODE = 0x7c00,
	MB_INFO = 0x9000,
	TABLES = 0xa000,
	CMDLINE = 0x20000,
	NOTE_DESC = 16, /* after the sizes, the type and "Xen" */
};

/* One body for both ELF classes: only the structures differ. The note's entry point is its first
 * word. */
#define LOAD_ELF(name, ehdr, phdr) \
	static uint64_t name(const unsigned char *p, uint64_t *note_entry) \
	{ \
		const ehdr *e = (const void *)p; \
		const phdr *ph = (const void *)(p + e->e_phoff); \
		for (int i = 0; i < e->e_phnum; i++) { \
			if (ph[i].p_type == PT_NOTE) \
				*note_entry = *(const uint32_t *)(p + ph[i].p_offset + NOTE_DESC); \
			if (ph[i].p_type == PT_LOAD && \
			    (uint64_t)ph[i].p_paddr + ph[i].p_memsz <= opt.mem) \
				memcpy(ram + ph[i].p_paddr, p + ph[i].p_offset, ph[i].p_filesz); \
		} \
		return e->e_entry; \
	}

LOAD_ELF(load_elf64, Elf64_Ehdr, Elf64_Phdr)
LOAD_ELF(load_elf32, Elf32_Ehdr, Elf32_Phdr)

static void put32(uint32_t gpa, uint32_t v)
{
	memcpy(ram + gpa, &v, 4);
}
static void put64(uint32_t gpa, uint64_t v)
{
	memcpy(ram + gpa, &v, 8);
}

uint64_t raw_load(void)
{
	int fd = open(opt.image, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	uint64_t note_entry = 0, entry;
	unsigned char *p;

	if (size <= 0)
		err(8, "%s", opt.image);
	p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		err(8, "%s", opt.image);
	if (!memcmp(p, ELFMAG, SELFMAG) && p[EI_CLASS] == ELFCLASS64) {
		entry = load_elf64(p, &note_entry);
		opt.protocol = opt.protocol ? opt.protocol : "long64";
	} else if (!memcmp(p, ELFMAG, SELFMAG)) {
		entry = load_elf32(p, &note_entry);
		opt.protocol = opt.protocol ? opt.protocol : "multiboot";
	} else {
		memcpy(ram + REAL_MODE, p, (size_t)size);
		entry = REAL_MODE;
		opt.protocol = "real16";
	}
	strcpy((char *)ram + CMDLINE, opt.cmdline);
	put32(ZERO_PAGE + 0x228, CMDLINE);
	put32(MB_INFO, 1 << 2 | 1); // memory sizes and command line are valid
	put32(MB_INFO + 4, 639);
	put32(MB_INFO + 8, (uint32_t)(opt.mem >> 10) - 1024);
	put32(MB_INFO + 16, CMDLINE);
	put32(START_INFO, 0x336ec578);
	put32(START_INFO + 4, 1);
	put64(START_INFO + 24, CMDLINE);
	if (!strcmp(opt.protocol, "pvh"))
		entry = note_entry;
	return entry;
}

static void segment(struct kvm_segment *s, uint16_t selector, uint8_t type, bool code64)
{
	*s = (struct kvm_segment){ .limit = 0xffffffff,
				   .selector = selector,
				   .type = type,
				   .present = 1,
				   .s = 1,
				   .g = 1,
				   .db = !code64,
				   .l = code64 };
}

static void identity_map(void)
{
	put64(TABLES, (TABLES + 0x1000) | 3);
	for (uint32_t i = 0; i < 4; i++)
		put64(TABLES + 0x1000 + 8 * i, (TABLES + 0x2000 + 0x1000 * i) | 3);
	for (uint32_t i = 0; i < 2048; i++)
		put64(TABLES + 0x2000 + 8 * i, (uint64_t)i << 21 | 0x83);
}

void raw_enter(int fd, uint64_t entry)
{
	bool long64 = !strcmp(opt.protocol, "long64");
	struct kvm_regs r = { .rip = entry, .rflags = 2 };
	struct kvm_sregs s;

	CALL(fd, KVM_GET_SREGS, &s);
	if (!strcmp(opt.protocol, "real16")) {
		s.cs.selector = 0;
		s.cs.base = 0;
	} else {
		segment(&s.cs, 8, 11, long64);
		segment(&s.ds, 16, 3, false);
		s.es = s.fs = s.gs = s.ss = s.ds;
		s.cr0 = 0x11; // protection, extension type
		s.gdt.base = GDT;
		s.gdt.limit = 23;
		put64(GDT + 8, long64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff);
		put64(GDT + 16, 0x00cf93000000ffff);
	}
	if (long64) {
		identity_map();
		s.cr0 |= 1u << 31;
		s.cr3 = TABLES;
		s.cr4 = 1 << 5;
		s.efer = 1 << 8 | 1 << 10;
		r.rsi = ZERO_PAGE;
	} else if (!strcmp(opt.protocol, "pvh")) {
		r.rbx = START_INFO;
	} else if (!strcmp(opt.protocol, "multiboot")) {
		r.rax = 0x2badb002;
		r.rbx = MB_INFO;
	}
	CALL(fd, KVM_SET_SREGS, &s);
	CALL(fd, KVM_SET_REGS, &r);
}
