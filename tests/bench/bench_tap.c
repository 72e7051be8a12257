/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets through the taps of running vhost-user network back-ends, and through one of our own
 * without any back-end; see bench.h for how.
 *
 * From the guest the driver's ring is kept full, and what counts is what the interface has got.
 * To the guest the interface's queue is filled while the back-end stands still, and what counts is
 * the time which it takes to empty it.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/net_load.h"
#include "tests/bench/tap_wire.h"
#include "util.h"

#define LOAD_CORE	0
#define BACKEND_CORE	1
#define LOST_NS		100000000u	/* what has not come by then is lost */
#define FEATURES	(FE_BIT(VIRTIO_NET_F_CSUM) | FE_BIT(VIRTIO_NET_F_HOST_TSO4) | \
			 FE_BIT(VIRTIO_NET_F_GUEST_CSUM) | FE_BIT(VIRTIO_NET_F_GUEST_TSO4))

struct bench {
	struct net_load_params load;
	unsigned int size;		/* bytes of a packet */
	unsigned int rounds;
	unsigned int time_ms;		/* of a round */
	unsigned int pace_us;		/* one packet in this time only; 0: as many as possible */
};

struct target {
	struct net_load load;		/* bare: its base only */
	const struct bench *bench;
	struct wire wire;
	bool bare, whole;		/* no back-end; packets are written as one buffer */

	/* bare only: a thread on the back-end's core does what a back-end would */
	pthread_t thread;
	sem_t work;
	uint64_t (*fn)(struct target *t, uint64_t arg);
	uint64_t arg, result;
	atomic_bool done;
};

static struct target *target_of(struct bench_target *base)
{
	return container_of(base, struct target, load.base);
}

static void check(const struct target *t, const char *what, int err)
{
	bench_check(&t->load.base, what, err);
}

static void run_on(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Who is compared with back-ends
 */

static void *bare_run(void *arg)
{
	struct target *t = arg;

	run_on(BACKEND_CORE);
	while (!sem_wait(&t->work) && t->fn) {
		t->result = t->fn(t, t->arg);
		atomic_store(&t->done, true);
	}
	return NULL;
}

/* Meanwhile this core is as busy as it is with a driver, and not with anything else. */
static uint64_t bare_call(struct target *t, uint64_t (*fn)(struct target *, uint64_t), uint64_t arg)
{
	t->fn = fn;
	t->arg = arg;
	atomic_store(&t->done, false);
	sem_post(&t->work);
	while (fn && !atomic_load(&t->done))
		cpu_relax();
	return t->result;
}

static void bare_open(struct target *t)
{
	sem_init(&t->work, 0, 0);
	check(t, "thread", -pthread_create(&t->thread, NULL, bare_run, t));
	check(t, "clock", -pthread_getcpuclockid(t->thread, &t->load.base.clock));
}

static void bare_close(struct target *t)
{
	bare_call(t, NULL, 0);
	pthread_join(t->thread, NULL);
	sem_destroy(&t->work);
}

/*
 * From the guest
 */

static uint64_t bare_write(struct target *t, uint64_t until)
{
	uint64_t n = 0;
	unsigned int i;

	for (; bench_time(&t->load.base) < until; n += 64)
		for (i = 0; i < 64; i++)
			check(t, "write", wire_write(&t->wire, t->whole));
	return n;
}

static uint64_t guest_write(struct target *t, uint64_t until)
{
	uint64_t before = wire_received(&t->wire);

	net_load_drive(&t->load.base, until);
	return wire_received(&t->wire) - before;
}

/*
 * To the guest
 */

/* About as many bytes as a cache has, or more. */
static unsigned int target_burst(const struct target *t)
{
	return t->bench->size > 1514 ? 1024 : 8192;
}

/* Put packets into the interface; this does not count. */
static void target_prepare(struct target *t, unsigned int n)
{
	struct bench_target *base = &t->load.base;
	uint64_t start = bench_now(CLOCK_MONOTONIC), cpu = bench_now(base->clock);

	bench_pause(base);
	check(t, "filling the tap", wire_fill(&t->wire, n));
	base->idle_cpu_ns += bench_now(base->clock) - cpu;
	base->idle_ns += bench_now(CLOCK_MONOTONIC) - start;
	bench_resume(base);
}

static uint64_t bare_read(struct target *t, uint64_t n)
{
	const bool large = t->bench->size > 1514;
	const size_t size = large ? 4096 : NET_BUFFER;
	unsigned int i, at = 0;

	for (i = 0; i < n; i++, at = (at + (large ? 16 : 1)) % WIRE_PACKETS)
		check(t, "read", wire_read(&t->wire, t->wire.buffers + at * size, size));
	return n;
}

/* How many of n packets have come; some back-ends lose some. */
static unsigned int guest_read(struct target *t, unsigned int n)
{
	struct bench_target *base = &t->load.base;
	uint64_t last = bench_now(CLOCK_MONOTONIC), now = last;
	unsigned int got = 0;

	while (got < n && now - last < (got ? LOST_NS : FE_TIMEOUT_MS * UINT64_C(1000000))) {
		if (t->bench->load.irq)
			check(t, "packets", fe_ring_wait(net_load_ring(&t->load), FE_TIMEOUT_MS));
		if (fe_ring_ready(net_load_ring(&t->load))) {
			got += net_load_reap(&t->load, true, 32);
			last = bench_now(CLOCK_MONOTONIC);
		}
		now = bench_now(CLOCK_MONOTONIC);
	}
	/* What was waited for in vain does not count. */
	if (got < n)
		base->idle_ns += now - last;
	return got;
}

static uint64_t target_receive(struct target *t, uint64_t until)
{
	const unsigned int burst = target_burst(t);
	uint64_t n = 0;

	while (bench_time(&t->load.base) < until) {
		target_prepare(t, burst);
		n += t->bare ? bare_call(t, bare_read, burst) : guest_read(t, burst);
	}
	return n;
}

/*
 * Light traffic
 */

/* One packet, and a pause, which does not count, so that the rate tells the time of a packet. */
static uint64_t guest_pace(struct target *t, uint64_t until)
{
	const struct timespec pause = { .tv_nsec = t->bench->pace_us * 1000l };
	uint64_t n = 0, paused = 0, start;

	for (; bench_time(&t->load.base) < until; n++) {
		start = bench_now(CLOCK_MONOTONIC);
		nanosleep(&pause, NULL);
		if (!t->bench->load.tx)
			check(t, "filling the tap", wire_fill(&t->wire, 1));
		else
			net_load_fill(&t->load.base);
		paused += bench_now(CLOCK_MONOTONIC) - start;
		check(t, "packet", fe_ring_wait(net_load_ring(&t->load), FE_TIMEOUT_MS));
		net_load_reap(&t->load, !t->bench->load.tx, 1);
	}
	t->load.base.idle_ns += paused;
	return n;
}

/*
 * Rounds
 */

static void target_fill(struct bench_target *base)
{
	struct target *t = target_of(base);

	if (!t->bare && !(t->bench->pace_us && t->bench->load.tx))
		net_load_fill(base);
}

static uint64_t target_drive(struct bench_target *base, uint64_t until)
{
	struct target *t = target_of(base);

	if (t->bench->pace_us)
		return guest_pace(t, until);
	if (!t->bench->load.tx)
		return target_receive(t, until);
	return t->bare ? bare_call(t, bare_write, until) : guest_write(t, until);
}

/* Buffers stay where they are; who reads must not be given them twice. */
static void target_drain(struct bench_target *base)
{
	struct target *t = target_of(base);
	unsigned int left;

	if (t->bare)
		return;
	/* Small packets take all buffers which are still there. */
	while (!t->bench->load.tx && (left = net_load_ring(&t->load)->outstanding)) {
		check(t, "filling the tap", wire_fill(&t->wire, 1));
		check(t, "the last", fe_ring_wait(net_load_ring(&t->load), FE_TIMEOUT_MS));
		net_load_reap(&t->load, false, left);
	}
	net_load_drain(base);
}

static uint64_t target_kicks(struct bench_target *base)
{
	return target_of(base)->bare ? 0 : net_load_kicks(base);
}

static void run(const struct bench *b, struct target *ts, unsigned int num)
{
	const struct bench_plan plan = {
		.rounds = b->rounds, .time_ms = b->time_ms, .unit = "packets", .pause = true,
		.fill = target_fill, .drive = target_drive, .drain = target_drain,
		.kicks = target_kicks,
	};
	struct bench_target *const bases[] = { &ts[0].load.base, &ts[1].load.base };

	printf("%s the guest, %s ring of %u, %s front-end, ", b->load.tx ? "from" : "to",
	       b->load.packed ? "packed" : "split", b->load.ring_size,
	       b->load.irq ? "sleeping" : "polling");
	if (b->pace_us)
		printf("a packet in %u us, ", b->pace_us);
	printf("median of %u rounds of %u ms\n", b->rounds, b->time_ms);
	printf("bytes  back-end              per second           per packet\n");
	bench_run(&plan, bases, num, b->size);
}

/*
 * Life
 */

/* "bare", "whole", or NAME=PID:SOCKET:INTERFACE */
static void target_open(struct target *t, const struct bench *b, char *arg)
{
	char *ifname = strrchr(arg, ':');

	t->bench = b;
	t->whole = !strcmp(arg, "whole");
	t->bare = t->whole || !strcmp(arg, "bare");
	if (t->bare) {
		t->load.base.name = arg;
		bare_open(t);
		ifname = arg;
	} else {
		if (!ifname)
			bench_die(arg, "want NAME=PID:SOCKET:INTERFACE", -EINVAL);
		*ifname++ = '\0';
		bench_connect(&t->load.base, arg);
		net_load_open(&t->load, &b->load);
		if (b->pace_us)
			t->load.depth = b->load.tx ? 1 : 16;
	}
	check(t, "tap", wire_open(&t->wire, ifname, t->bare, 8192 + 64));
	wire_set_size(&t->wire, b->size);
	if (!t->bare)
		net_load_set_packet(&t->load, b->size, t->wire.head, sizeof(t->wire.head));
}

static void target_close(struct target *t)
{
	if (t->bare)
		bare_close(t);
	else
		net_load_close(&t->load);
	wire_close(&t->wire);
}

static const struct option options[] = {
	{ "to-guest", no_argument, NULL, 'g' },
	{ "size", required_argument, NULL, 's' },
	{ "packed", no_argument, NULL, 'p' },
	{ "irq", no_argument, NULL, 'i' },
	{ "no-offloads", no_argument, NULL, 'o' },
	{ "pace-us", required_argument, NULL, 'l' },
	{ "ring-size", required_argument, NULL, 'n' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "time-ms", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 }
};

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: bench_tap [--to-guest] [--size=BYTES] [--packed] [--irq] [--no-offloads]\n"
		"                 [--pace-us=N] [--ring-size=N] [--rounds=N] [--time-ms=N] A [B]\n"
		"A and B are NAME=PID:SOCKET:INTERFACE, or for one of our own \"bare\" or \"whole\"\n");
	exit(2);
}

static unsigned int number(const char *text, unsigned int min, unsigned int max)
{
	unsigned int n;

	if (!bench_number(text, min, max, &n))
		usage();
	return n;
}

static void parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'g':
			b->load.tx = false;
			break;
		case 's':
			b->size = number(optarg, 14, 65000);
			break;
		case 'p':
			b->load.packed = true;
			break;
		case 'i':
			b->load.irq = true;
			break;
		case 'o':
			b->load.features = 0;
			break;
		case 'l':
			b->pace_us = number(optarg, 1, 900000);
			break;
		case 'n':
			b->load.ring_size = number(optarg, 2, 1024);
			break;
		case 'r':
			b->rounds = number(optarg, 1, BENCH_ROUNDS_MAX);
			break;
		case 't':
			b->time_ms = number(optarg, 1, 60000);
			break;
		default:
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	static struct target ts[BENCH_TARGETS_MAX];
	struct bench b = {
		.load = { .tx = true, .mergeable = true, .ring_size = 256, .features = FEATURES },
		.size = 64,
		.rounds = 9,
		.time_ms = 300,
	};
	unsigned int num, i;

	parse(&b, argc, argv);
	num = (unsigned int)(argc - optind);
	if (!num || num > BENCH_TARGETS_MAX)
		usage();
	run_on(LOAD_CORE);
	for (i = 0; i < num; i++)
		target_open(&ts[i], &b, argv[optind + (int)i]);
	run(&b, ts, num);
	for (i = 0; i < num; i++)
		target_close(&ts[i]);
	return 0;
}
