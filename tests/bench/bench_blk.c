/* SPDX-License-Identifier: BSD-3-Clause */
/* Random requests to running vhost-user-blk and -scsi back-ends; see bench.h for how. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_disk.h"
#include "util.h"

#define DEPTHS_MAX	8u
#define DEPTH_MAX	256u
#define RING_SIZE	(4 * DEPTH_MAX)
#define MEM_SIZE	(64u << 20)
#define FEATURES	(FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VU_F_PROTOCOL_FEATURES))
#define PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			 FE_BIT(VU_PROTOCOL_F_CONFIG))

/* What is asked for on the command line. */
struct bench {
	bool write;
	uint32_t block;			/* bytes of a request */
	unsigned int depths[DEPTHS_MAX];
	unsigned int num_depths;
	unsigned int rounds;
	unsigned int time_ms;		/* of a round */
	bool irq;			/* sleep until the back-end signals, instead of polling */
	bool direct;			/* no indirect descriptors */
	unsigned int count;		/* do so many requests, and measure nothing; 0: measure */
};

static struct disk_target *target_of(struct bench_target *t)
{
	return container_of(t, struct disk_target, base);
}

static void check(const struct disk_target *t, const char *what, int err)
{
	bench_check(&t->base, what, err);
}

static void target_open(struct disk_target *t, const struct bench *b)
{
	const struct disk_kind *kind = t->kind;
	struct fe_ring *rings[] = { &t->ring };

	t->write = b->write;
	t->block = b->block;
	t->random = 88172645463325252u;
	check(t, "negotiation", fe_negotiate(&t->base.fe, FEATURES | kind->features, PROTOCOL));
	check(t, "memory", fe_mem_init(&t->mem, 0, MEM_SIZE));
	check(t, "ring", fe_ring_init(&t->ring, &t->mem, &(struct fe_ring_params){
		.index = kind->queue,
		.size = RING_SIZE,
		.features = t->base.fe.features,
		.indirect = b->direct ? 0 : kind->descriptors,
		.flags = b->irq ? 0 : FE_RING_POLL,
	}));
	check(t, "requests", kind->init(t, DEPTH_MAX));
	check(t, "start", fe_start(&t->base.fe, &t->mem, rings, 1));
	if (kind->ask)
		check(t, "the disk's size", kind->ask(t));
	if (t->sectors < b->block / DISK_SECTOR)
		bench_die(t->base.name, "its disk is too small", -ENOSPC);
}

static void target_close(struct disk_target *t)
{
	struct fe_ring *rings[] = { &t->ring };

	check(t, "stop", fe_stop(&t->base.fe, rings, 1));
	fe_close(&t->base.fe);
	t->kind->free(t);
	fe_ring_free(&t->ring);
	fe_mem_free(&t->mem);
}

/* xorshift64, which is random enough for this. */
static uint64_t target_random(struct disk_target *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static void target_add(struct disk_target *t, void *req)
{
	const uint64_t sectors = t->block / DISK_SECTOR;

	check(t, "request",
	      t->kind->add(t, req, target_random(t) % (t->sectors / sectors) * sectors));
}

/* Wait for requests and take all which have come back; again: send them once more. */
static unsigned int target_reap(struct disk_target *t, bool again)
{
	unsigned int n = 0;
	void *req;
	uint32_t len;
	int got;

	check(t, "waiting for requests", fe_ring_wait(&t->ring, FE_TIMEOUT_MS));
	while ((got = fe_ring_get(&t->ring, &req, &len)) > 0) {
		if (t->kind->failed(req))
			bench_die(t->base.name, "a request failed", -EIO);
		if (again)
			target_add(t, req);
		else
			t->kind->put(t, req);
		n++;
	}
	check(t, "used ring", got);
	if (again)
		fe_ring_submit(&t->ring);
	return n;
}

static void target_fill(struct bench_target *base)
{
	struct disk_target *t = target_of(base);
	unsigned int i;

	for (i = 0; i < t->depth; i++)
		target_add(t, t->kind->get(t));
	fe_ring_submit(&t->ring);
}

static uint64_t target_drive(struct bench_target *base, uint64_t until)
{
	uint64_t n = 0;

	while (bench_now(CLOCK_MONOTONIC) < until)
		n += target_reap(target_of(base), true);
	return n;
}

static void target_drain(struct bench_target *base)
{
	struct disk_target *t = target_of(base);

	while (t->ring.outstanding)
		target_reap(t, false);
}

static uint64_t target_kicks(struct bench_target *base)
{
	return target_of(base)->ring.stats.kicks;
}

/* For whoever counts something else than time: so many requests, more or less the depth. */
static void target_count(struct disk_target *t, unsigned int count)
{
	unsigned int n = 0;

	target_fill(&t->base);
	while (n < count)
		n += target_reap(t, true);
	target_drain(&t->base);
}

static void run(const struct bench *b, struct disk_target *ts, unsigned int num)
{
	const struct bench_plan plan = {
		.rounds = b->rounds, .time_ms = b->time_ms, .unit = "IOPS",
		.fill = target_fill, .drive = target_drive, .drain = target_drain,
		.kicks = target_kicks,
	};
	struct bench_target *const bases[] = { &ts[0].base, &ts[1].base };
	unsigned int d, i;

	printf("%u KiB random %s, %s front-end, median of %u rounds of %u ms\n", b->block / 1024,
	       b->write ? "writes" : "reads", b->irq ? "sleeping" : "polling", b->rounds,
	       b->time_ms);
	printf("depth  back-end              per second        per request\n");
	for (d = 0; d < b->num_depths; d++) {
		for (i = 0; i < num; i++)
			ts[i].depth = b->depths[d];
		bench_run(&plan, bases, num, b->depths[d]);
	}
}

static void run_count(const struct bench *b, struct disk_target *ts, unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++) {
		ts[i].depth = b->depths[0];
		target_count(&ts[i], b->count);
	}
}

static const struct option options[] = {
	{ "rw", required_argument, NULL, 'w' },
	{ "bs", required_argument, NULL, 'b' },
	{ "depth", required_argument, NULL, 'd' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "time-ms", required_argument, NULL, 't' },
	{ "irq", no_argument, NULL, 'i' },
	{ "direct", no_argument, NULL, 'D' },
	{ "count", required_argument, NULL, 'c' },
	{ NULL, 0, NULL, 0 }
};

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: bench_blk [--rw=randread|randwrite] [--bs=BYTES] [--depth=N,N,...]\n"
		"                 [--rounds=N] [--time-ms=N] [--irq] [--direct]\n"
		"                 [--count=N] TARGET [TARGET]\n"
		"       TARGET is NAME=PID:SOCKET, with scsi: before it if it is vhost-user-scsi\n");
	exit(2);
}

static unsigned int number(const char *text, unsigned int min, unsigned int max)
{
	unsigned int n;

	if (!bench_number(text, min, max, &n))
		usage();
	return n;
}

static void parse_depths(struct bench *b, char *list)
{
	char *item, *rest;

	b->num_depths = 0;
	for (item = strtok_r(list, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		if (b->num_depths == DEPTHS_MAX)
			usage();
		b->depths[b->num_depths++] = number(item, 1, DEPTH_MAX);
	}
}

static void parse(struct bench *b, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'w':
			if (strcmp(optarg, "randread") && strcmp(optarg, "randwrite"))
				usage();
			b->write = optarg[4] == 'w';
			break;
		case 'b':
			b->block = number(optarg, 512, 65536) & ~(DISK_SECTOR - 1);
			break;
		case 'd':
			parse_depths(b, optarg);
			break;
		case 'r':
			b->rounds = number(optarg, 1, BENCH_ROUNDS_MAX);
			break;
		case 't':
			b->time_ms = number(optarg, 1, 60000);
			break;
		case 'i':
			b->irq = true;
			break;
		case 'D':
			b->direct = true;
			break;
		case 'c':
			b->count = number(optarg, 1, 100000000);
			break;
		default:
			usage();
		}
	}
}

static void connect_to(struct disk_target *t, char *arg, const struct bench *b)
{
	const bool scsi = !strncmp(arg, "scsi:", 5);

	t->kind = scsi ? &disk_scsi : &disk_blk;
	bench_connect(&t->base, scsi ? arg + 5 : arg);
	target_open(t, b);
}

int main(int argc, char **argv)
{
	static struct disk_target ts[BENCH_TARGETS_MAX];
	struct bench b = {
		.block = 4096,
		.depths = { 1, 32, 128 },
		.num_depths = 3,
		.rounds = 7,
		.time_ms = 700,
	};
	unsigned int num, i;

	parse(&b, argc, argv);
	num = (unsigned int)(argc - optind);
	if (!num || num > BENCH_TARGETS_MAX)
		usage();
	for (i = 0; i < num; i++)
		connect_to(&ts[i], argv[optind + (int)i], &b);
	if (b.count)
		run_count(&b, ts, num);
	else
		run(&b, ts, num);
	for (i = 0; i < num; i++)
		target_close(&ts[i]);
	return 0;
}
