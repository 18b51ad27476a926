// SPDX-License-Identifier: Apache-2.0
// Two threads write one variable without a lock: what the thread sanitizer must report.
#include <pthread.h>

#include "check.h"

static int shared;

static void *write_it(void *opaque)
{
	for (int i = 0; i < 1000; i++)
		shared += (int)(long)opaque;
	return NULL;
}

int main(void)
{
	pthread_t a, b;

	CHECK(!pthread_create(&a, NULL, write_it, (void *)1));
	CHECK(!pthread_create(&b, NULL, write_it, (void *)2));
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	printf("%d\n", shared);
	return 0;
}
