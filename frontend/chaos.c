/* SPDX-License-Identifier: BSD-3-Clause */
/* Random writes to shared memory from a second thread. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "frontend/deadline.h"
#include "frontend/fe_chaos.h"
#include "frontend/ring.h"

int fe_chaos_add(struct fe_chaos *chaos, void *ptr, size_t len, unsigned int weight)
{
	if (chaos->num == FE_CHAOS_TARGETS)
		return -ENOSPC;
	if (!weight || len < 4)
		return -EINVAL;
	chaos->targets[chaos->num++] = (struct fe_chaos_target){
		.ptr = ptr, .len = len & ~(size_t)3, .weight = weight,
	};
	chaos->weights += weight;
	return 0;
}

int fe_chaos_add_ring(struct fe_chaos *chaos, const struct fe_ring *ring)
{
	size_t len[3];
	int err;

	ring->ops->layout(ring->size, len);
	err = fe_chaos_add(chaos, ring->desc_area, len[0], 4);
	if (!err)
		err = fe_chaos_add(chaos, ring->driver_area, len[1], 4);
	if (!err)
		err = fe_chaos_add(chaos, ring->device_area, len[2], 1);
	if (!err && ring->tables)
		err = fe_chaos_add(chaos, ring->tables, (size_t)ring->size * ring->table_len *
							sizeof(*ring->tables), 4);
	return err;
}

/* xorshift64*: good enough, and the same everywhere. */
static uint64_t chaos_random(struct fe_chaos *chaos)
{
	uint64_t x = chaos->seed;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	chaos->seed = x;
	return x * UINT64_C(2685821657736338717);
}

/* A random word, or one of those which programs are wrong about; often near to what is there. */
static uint32_t chaos_word(struct fe_chaos *chaos, uint32_t old)
{
	static const uint32_t odd[] = {
		0, 1, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x00030000, 0x00800000, 0x80800000,
	};
	uint64_t r = chaos_random(chaos);

	switch (r >> 62) {
	case 0:
		return (uint32_t)r;
	case 1:
		return odd[(uint32_t)r % (sizeof(odd) / sizeof(odd[0]))];
	case 2:
		return old ^ 1u << (r & 31);
	default:
		return old + (r & 1 ? 1 : 0x10000);
	}
}

static struct fe_chaos_target *chaos_target(struct fe_chaos *chaos)
{
	uint64_t at = chaos_random(chaos) % chaos->weights;
	struct fe_chaos_target *t = chaos->targets;

	for (; at >= t->weight; t++)
		at -= t->weight;
	return t;
}

/* Races are what this is for, so that the thread sanitizer need not report them. */
__attribute__((no_sanitize("thread")))
void fe_chaos_write(struct fe_chaos *chaos)
{
	struct fe_chaos_target *t = chaos_target(chaos);
	uint64_t r = chaos_random(chaos);
	uint32_t *p = (uint32_t *)t->ptr + r % (t->len / 4);
	uint32_t value = chaos_word(chaos, *(volatile uint32_t *)p);

	/* Half of the time only one of the two words of 16 bits. */
	if (r >> 63)
		*(volatile uint32_t *)p = value;
	else
		((volatile uint16_t *)p)[r >> 62 & 1] = (uint16_t)value;
	__atomic_fetch_add(&chaos->writes, 1, __ATOMIC_RELAXED);
}

static void *chaos_run(void *arg)
{
	struct fe_chaos *chaos = arg;
	const struct timespec pause = { .tv_nsec = (long)chaos->pause_us * 1000 };
	uint64_t n;

	for (n = 0; !chaos->max || n < chaos->max; n++) {
		if (__atomic_load_n(&chaos->stop, __ATOMIC_RELAXED))
			break;
		fe_chaos_write(chaos);
		if (chaos->pause_us)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

int fe_chaos_start(struct fe_chaos *chaos)
{
	int err;

	if (!chaos->num || !chaos->seed || chaos->pause_us >= 1000000)
		return -EINVAL;
	chaos->stop = false;
	err = -pthread_create(&chaos->thread, NULL, chaos_run, chaos);
	chaos->running = !err;
	return err;
}

void fe_chaos_stop(struct fe_chaos *chaos)
{
	if (!chaos->running)
		return;
	__atomic_store_n(&chaos->stop, true, __ATOMIC_RELAXED);
	pthread_join(chaos->thread, NULL);
	chaos->running = false;
}

int fe_chaos_wait(const struct fe_chaos *chaos, uint64_t writes, int timeout_ms)
{
	int64_t deadline = fe_deadline(timeout_ms);

	while (__atomic_load_n(&chaos->writes, __ATOMIC_RELAXED) < writes) {
		if (!fe_deadline_left(deadline))
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}
