// SPDX-License-Identifier: Apache-2.0
#include "apic.h"
#include "cpu.h"

#define APIC_BASE 0xfee00000
#define X2APIC_MSR(reg) (0x800 + ((reg) >> 4))
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_BASE_ENABLE (1u << 11)

static bool x2apic; // one mode for all CPUs, switched by each in turn

u32 apic_read(u32 reg)
{
	return x2apic ? (u32)rdmsr(X2APIC_MSR(reg)) : read32(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 v)
{
	if (x2apic)
		wrmsr(X2APIC_MSR(reg), v);
	else
		write32(APIC_BASE + reg, v);
}

bool apic_use_x2apic(void)
{
	if (!(cpuid(1, 0).ecx & CPUID1_ECX_X2APIC))
		return false;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	x2apic = true;
	return true;
}

void apic_enable(void)
{
	if (x2apic)
		apic_use_x2apic();
	apic_write(APIC_SVR, 0x100 | VEC_SPURIOUS);
	apic_write(APIC_TPR, 0);
}

u32 apic_id(void)
{
	return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_ipi(u32 target, u32 command)
{
	if (x2apic) {
		asm volatile("mfence; lfence" ::
				     : "memory"); // the MSR write does not order earlier stores
		wrmsr(X2APIC_MSR(APIC_ICR), (u64)target << 32 | command);
		return;
	}
	write32(APIC_BASE + APIC_ICR_HIGH, target << 24);
	write32(APIC_BASE + APIC_ICR, command);
	while (read32(APIC_BASE + APIC_ICR) & ICR_PENDING)
		pause();
}

bool apic_bit(u32 reg, unsigned int vector)
{
	return apic_read(reg + (vector / 32) * 0x10) & (1u << (vector % 32));
}

u32 ioapic_read(u32 reg)
{
	write32(IOAPIC_BASE, reg);
	return read32(IOAPIC_BASE + 0x10);
}

void ioapic_write(u32 reg, u32 v)
{
	write32(IOAPIC_BASE, reg);
	write32(IOAPIC_BASE + 0x10, v);
}

u32 ioapic_pins(void)
{
	return ((ioapic_read(1) >> 16) & 0xff) + 1;
}

void ioapic_route(u32 pin, u32 low, u32 apic_id)
{
	ioapic_write(0x10 + 2 * pin, IOAPIC_MASKED); // never half of a new route
	ioapic_write(0x11 + 2 * pin, apic_id << 24);
	ioapic_write(0x10 + 2 * pin, low);
}

u32 ioapic_low(u32 pin)
{
	return ioapic_read(0x10 + 2 * pin);
}

void pic_init(u8 vector)
{
	static const u8 cascade[2] = { 1 << 2, 2 };
	int i;

	for (i = 0; i < 2; i++) {
		u16 port = i ? PIC_SLAVE : PIC_MASTER;

		outb(port, 0x11); // ICW1: edge, cascade, ICW4 follows
		outb(port + 1, vector + 8 * i);
		outb(port + 1, cascade[i]);
		outb(port + 1, 0x01); // ICW4: 8086 mode
		outb(port + 1, 0xff);
	}
}

void pic_mask(u16 mask)
{
	outb(PIC_MASTER + 1, (u8)mask);
	outb(PIC_SLAVE + 1, (u8)(mask >> 8));
}

void pic_unmask(u16 lines)
{
	pic_mask(0xffff ^ lines);
}

void pic_eoi(unsigned int irq)
{
	if (irq >= 8)
		outb(PIC_SLAVE, 0x20);
	outb(PIC_MASTER, 0x20);
}
