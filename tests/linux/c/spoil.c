// SPDX-License-Identifier: Apache-2.0
// A driver that does all it must not: `spoil PCI-ADDRESS ROUNDS` on a virtio device that no other
// driver has. Rings lie in memory of its own, what is in them is made up; registers get anything.
// It harms no memory but its own: no address that it gives away is another's.
#include <fcntl.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u
#define PAGES 4 // descriptors, available ring, used ring, buffers
#define ENTRIES 8
#define REGISTERS 0x8000 // without the vectors, which could mean any interrupt of the guest's
#define NOTIFY 0x3000
#define NOWHERE (UINT64_C(1) << 50)

static volatile uint8_t *regs;
static uint8_t *page[PAGES];
static uint64_t physical[PAGES];
static int config;

static void reg8(uint32_t at, uint8_t value)
{
	regs[at] = value;
}

static void reg16(uint32_t at, uint16_t value)
{
	*(volatile uint16_t *)(regs + at) = value;
}

static void reg32(uint32_t at, uint32_t value)
{
	*(volatile uint32_t *)(regs + at) = value;
}

static void address(uint32_t at, uint64_t value)
{
	reg32(at, (uint32_t)value);
	reg32(at + 4, (uint32_t)(value >> 32));
}

static uint64_t physical_of(const void *at)
{
	int map = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (map < 0)
		exit(7);
	if (pread(map, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * 8)) != sizeof(entry) ||
	    !(entry >> 63))
		exit(8);
	close(map);
	return (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
}

// What a descriptor says: within the page of buffers, or at no memory.
static void make_up(struct vring_desc *d)
{
	uint32_t at = (uint32_t)rand() % PAGE;

	*d = (struct vring_desc){ .flags = (uint16_t)(rand() % 8),
				  .next = (uint16_t)(rand() % 10) };
	if (rand() % 4) {
		d->addr = physical[3] + at;
		d->len = (uint32_t)rand() % (PAGE - at + 1);
	} else {
		d->addr = NOWHERE + (uint64_t)rand() * (uint64_t)rand();
		d->len = (uint32_t)rand() * 2u;
	}
}

static void fill_rings(void)
{
	struct vring_desc *ring = (struct vring_desc *)page[0];
	struct vring_desc *table = (struct vring_desc *)page[3];
	struct vring_avail *avail = (struct vring_avail *)page[1];

	for (int i = 0; i < ENTRIES; i++) {
		make_up(&ring[i]);
		make_up(&table[i]);
		avail->ring[i] = (uint16_t)(rand() % 8 ? i : rand());
	}
	avail->flags = (uint16_t)(rand() % 2);
	avail->idx = (uint16_t)(rand() % 16 ? 1 + rand() % ENTRIES : rand());
}

// As a driver sets a device up, until the rings are looked at.
static void begin(void)
{
	reg8(VIRTIO_PCI_COMMON_STATUS, 0);
	reg8(VIRTIO_PCI_COMMON_STATUS, 3);
	for (uint32_t half = 0; half < 2; half++) {
		reg32(VIRTIO_PCI_COMMON_GFSELECT, half);
		reg32(VIRTIO_PCI_COMMON_GF, half ? 1 : rand() % 2 ? 3u << 28 : 0);
	}
	reg8(VIRTIO_PCI_COMMON_STATUS, 11);
	memset(page[2], 0, PAGE);
	fill_rings();
	reg16(VIRTIO_PCI_COMMON_Q_SELECT, 0);
	reg16(VIRTIO_PCI_COMMON_Q_SIZE, (uint16_t)(rand() % 4 ? ENTRIES : rand() % 10));
	address(VIRTIO_PCI_COMMON_Q_DESCLO, physical[0]);
	address(VIRTIO_PCI_COMMON_Q_AVAILLO, physical[1] + (uint32_t)(rand() % 8 ? 0 : rand() % 8));
	address(VIRTIO_PCI_COMMON_Q_USEDLO, rand() % 8 ? physical[2] : NOWHERE);
	reg16(VIRTIO_PCI_COMMON_Q_ENABLE, 1);
	reg8(VIRTIO_PCI_COMMON_STATUS, 15);
	reg16(NOTIFY, 0);
}

// Any register but a queue's addresses, in any width.
static void anything(void)
{
	uint32_t at = (uint32_t)rand() % REGISTERS;

	at = rand() % 2 ? at % 0x40 : at;
	at &= ~7u;
	if (at >= VIRTIO_PCI_COMMON_Q_DESCLO && at <= VIRTIO_PCI_COMMON_Q_USEDHI)
		return;
	switch (rand() % 3) {
	case 0:
		reg8(at + (uint32_t)rand() % 8, (uint8_t)rand());
		break;
	case 1:
		reg16(at + 2 * ((uint32_t)rand() % 4), (uint16_t)rand());
		break;
	default:
		reg32(at + 4 * ((uint32_t)rand() % 2), (uint32_t)rand() * 2u);
	}
}

// Configuration space is put back: what the others have must stay where it is.
static void configure(void)
{
	uint8_t before[64];
	uint32_t at = 4 + (uint32_t)rand() % 60, value = (uint32_t)rand() * 2u;

	if (pread(config, before, sizeof(before), 0) != sizeof(before))
		exit(3);
	if (pwrite(config, &value, at % 4 ? 1 : 4, at) < 0 ||
	    pwrite(config, before + 4, sizeof(before) - 4, 4) < 0)
		exit(4);
}

int main(int argc, char **argv)
{
	char path[100];
	int file;

	if (argc != 3)
		return 1;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.20s/resource0", argv[1]);
	file = open(path, O_RDWR | O_SYNC);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.20s/config", argv[1]);
	config = open(path, O_RDWR);
	regs = mmap(NULL, REGISTERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	uint16_t command = 0x406; // memory, bus master, no pin
	if (file < 0 || config < 0)
		return 2;
	if (regs == MAP_FAILED)
		return 5;
	if (pwrite(config, &command, 2, 4) != 2)
		return 6;
	for (int i = 0; i < PAGES; i++) {
		page[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
		page[i][0] = 1;
		physical[i] = physical_of(page[i]);
	}
	for (int i = 0; i < atoi(argv[2]); i++) {
		begin();
		for (int k = rand() % 8; k; k--)
			anything();
		if (rand() % 4 == 0)
			configure();
		if (rand() % 2)
			usleep(500);
	}
	do {
		reg8(VIRTIO_PCI_COMMON_STATUS, 0);
		usleep(1000);
	} while (regs[VIRTIO_PCI_COMMON_STATUS]);
	printf("spoilt=%s\n", argv[2]);
	return 0;
}
