/* SPDX-License-Identifier: Apache-2.0 */
/* The MC146818 clock's registers, and the time it shows. */
#ifndef GUEST_LIB_RTC_H
#define GUEST_LIB_RTC_H

#include "types.h"

#define RTC_REG_A 0x0a
#define RTC_REG_B 0x0b
#define RTC_UIP 0x80
#define RTC_BINARY 0x04
#define RTC_CENTURY 0x32

u8 rtc_get(u8 reg);
void rtc_put(u8 reg, u8 v);
u32 rtc_number(u8 reg); /* BCD or not */
u64 rtc_seconds(void); /* since 1970 */
#endif
