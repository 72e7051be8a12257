/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops without any virtual machine which back-ends on taps are compared with. */
#include "config.h"

#include "tests/bench/bench_tap.h"
#include "util.h"

#define BARE_BATCH	64u		/* packets between two looks at the clock */

static void *bare_run(void *arg)
{
	struct tap_target *t = arg;

	tap_run_on(TAP_BACKEND_CORE);
	while (!sem_wait(&t->work) && t->fn) {
		t->result = t->fn(t, t->arg);
		atomic_store(&t->done, true);
	}
	return NULL;
}

/* Meanwhile this core is as busy as it is with a driver, and not with anything else. */
static uint64_t bare_call(struct tap_target *t, uint64_t (*fn)(struct tap_target *, uint64_t),
			  uint64_t arg)
{
	t->fn = fn;
	t->arg = arg;
	atomic_store(&t->done, false);
	sem_post(&t->work);
	while (fn && !atomic_load(&t->done))
		cpu_relax();
	return t->result;
}

void tap_bare_open(struct tap_target *t)
{
	sem_init(&t->work, 0, 0);
	tap_check(t, "thread", -pthread_create(&t->thread, NULL, bare_run, t));
	tap_check(t, "clock", -pthread_getcpuclockid(t->thread, &t->clock));
}

void tap_bare_close(struct tap_target *t)
{
	bare_call(t, NULL, 0);
	pthread_join(t->thread, NULL);
	sem_destroy(&t->work);
}

static uint64_t bare_write(struct tap_target *t, uint64_t until)
{
	uint64_t n = 0;
	unsigned int i;

	for (; tap_time(t) < until; n += BARE_BATCH)
		for (i = 0; i < BARE_BATCH; i++)
			tap_check(t, "write", wire_write(&t->wire, t->whole));
	return n;
}

static uint64_t bare_read(struct tap_target *t, uint64_t n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		tap_check(t, "read", wire_read(&t->wire));
	return n;
}

uint64_t tap_bare_drive(struct tap_target *t, uint64_t until)
{
	const unsigned int burst = tap_burst(t);
	uint64_t n = 0;

	if (t->bench->params.dir == LOAD_TX)
		return bare_call(t, bare_write, until);
	while (tap_time(t) < until) {
		tap_prepare(t, burst);
		n += bare_call(t, bare_read, burst);
	}
	return n;
}
