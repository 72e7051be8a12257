/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random block requests against running vhost-user-blk back-ends, in interleaved rounds.
 *
 * Machines are noisy, above all those which share their cores with others.  So nothing is
 * compared across time: all back-ends stay connected, each round drives one after the other,
 * in turns forwards and backwards, and what counts is the median of the rounds' ratios.  While one
 * is driven the others sleep.
 *
 * The back-end's CPU time is that of its process with all threads, which includes
 * io_uring's workers.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/fe_blk.h"

#define TARGETS_MAX	2u
#define DEPTHS_MAX	8u
#define ROUNDS_MAX	99u
#define DEPTH_MAX	256u
#define RING_SIZE	(4 * DEPTH_MAX)
#define MEM_SIZE	(64u << 20)
#define WARMUP_NS	50000000u
#define FEATURES	(FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VU_F_PROTOCOL_FEATURES) | \
			 FE_BIT(VIRTIO_BLK_F_FLUSH))
#define PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			 FE_BIT(VU_PROTOCOL_F_CONFIG))

/* What is asked for on the command line. */
struct bench {
	uint32_t type;			/* VIRTIO_BLK_T_IN or _OUT */
	uint32_t block;			/* bytes of a request */
	unsigned int depths[DEPTHS_MAX];
	unsigned int num_depths;
	unsigned int rounds;
	unsigned int time_ms;		/* of a round */
	bool irq;			/* sleep until the back-end signals, instead of polling */
	bool direct;			/* no indirect descriptors */
};

/* What one round of one back-end gave. */
struct result {
	double iops;
	double cpu_ns;			/* per request */
	double kicks;			/* per request */
};

/* One back-end. */
struct target {
	const char *name;
	clockid_t clock;		/* CPU time of its process */
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring;
	struct fe_blk blk;
	uint64_t blocks;		/* of bench.block bytes, in its disk */
	uint64_t random;		/* state of the generator */
	struct result results[ROUNDS_MAX];	/* of the current depth */
};

static void die(const char *who, const char *what, int err)
{
	fprintf(stderr, "bench_blk: %s: %s: %s\n", who, what, strerror(-err));
	exit(1);
}

static void check(const struct target *t, const char *what, int err)
{
	if (err < 0)
		die(t->name, what, err);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		die("CPU clock of the back-end", "gone", -errno);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* NAME=PID:SOCKET */
static void target_parse(struct target *t, char *arg)
{
	char *pid = strchr(arg, '='), *socket = pid ? strchr(pid, ':') : NULL;
	int err;

	if (!socket)
		die(arg, "want NAME=PID:SOCKET", -EINVAL);
	*pid++ = *socket++ = '\0';
	t->name = arg;
	err = clock_getcpuclockid(atoi(pid), &t->clock);
	if (err)
		die(t->name, "no such process", -err);
	check(t, socket, fe_connect(&t->fe, socket));
}

static void target_open(struct target *t, const struct bench *b)
{
	struct fe_ring *rings[] = { &t->ring };
	struct virtio_blk_config config;

	check(t, "negotiation", fe_negotiate(&t->fe, FEATURES, PROTOCOL));
	check(t, "GET_CONFIG", fe_get_config(&t->fe, 0, &config, sizeof(config.capacity)));
	t->blocks = config.capacity * FE_BLK_SECTOR / b->block;
	if (!t->blocks)
		die(t->name, "its disk is too small", -ENOSPC);
	t->random = 88172645463325252u;
	check(t, "memory", fe_mem_init(&t->mem, 0, MEM_SIZE));
	check(t, "ring", fe_ring_init(&t->ring, &t->mem, &(struct fe_ring_params){
		.size = RING_SIZE,
		.features = t->fe.features,
		.indirect = b->direct ? 0 : 3,
		.flags = b->irq ? 0 : FE_RING_POLL,
	}));
	check(t, "requests", fe_blk_init(&t->blk, &t->ring, DEPTH_MAX, b->block));
	check(t, "start", fe_start(&t->fe, &t->mem, rings, 1));
}

static void target_close(struct target *t)
{
	struct fe_ring *rings[] = { &t->ring };

	check(t, "stop", fe_stop(&t->fe, rings, 1));
	fe_close(&t->fe);
	fe_blk_free(&t->blk);
	fe_ring_free(&t->ring);
	fe_mem_free(&t->mem);
}

/* xorshift64, which is random enough for this. */
static uint64_t target_random(struct target *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

static void target_add(struct target *t, const struct bench *b, struct fe_blk_req *req)
{
	req->sector = target_random(t) % t->blocks * (b->block / FE_BLK_SECTOR);
	check(t, "request", fe_blk_add(&t->blk, req));
}

/* Wait for requests and take all which have come back; again: send them once more. */
static unsigned int target_reap(struct target *t, const struct bench *b, bool again)
{
	unsigned int n = 0;
	void *cookie;
	uint32_t len;
	int got;

	check(t, "waiting for requests", fe_ring_wait(&t->ring, FE_TIMEOUT_MS));
	while ((got = fe_ring_get(&t->ring, &cookie, &len)) > 0) {
		struct fe_blk_req *req = cookie;

		if (fe_blk_status(req) != VIRTIO_BLK_S_OK)
			die(t->name, "a request failed", -EIO);
		if (again)
			target_add(t, b, req);
		else
			fe_blk_put(&t->blk, req);
		n++;
	}
	check(t, "used ring", got);
	if (again)
		fe_ring_submit(&t->ring);
	return n;
}

/* Keep the queue full until then.  Returns the number of requests. */
static uint64_t target_drive(struct target *t, const struct bench *b, uint64_t until)
{
	uint64_t n = 0;

	while (now_ns(CLOCK_MONOTONIC) < until)
		n += target_reap(t, b, true);
	return n;
}

static void target_round(struct target *t, const struct bench *b, unsigned int depth,
			 struct result *r)
{
	uint64_t start, end, cpu, kicks, n;
	unsigned int i;

	for (i = 0; i < depth; i++) {
		struct fe_blk_req *req = fe_blk_get(&t->blk);

		req->type = b->type;
		req->len = b->block;
		target_add(t, b, req);
	}
	fe_ring_submit(&t->ring);
	target_drive(t, b, now_ns(CLOCK_MONOTONIC) + WARMUP_NS);

	start = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(t->clock);
	kicks = t->ring.stats.kicks;
	n = target_drive(t, b, start + b->time_ms * UINT64_C(1000000));
	end = now_ns(CLOCK_MONOTONIC);
	cpu = now_ns(t->clock) - cpu;
	kicks = t->ring.stats.kicks - kicks;
	while (t->ring.outstanding)
		target_reap(t, b, false);
	if (!n)
		die(t->name, "not one request was done", -ETIMEDOUT);
	r->iops = (double)n * 1e9 / (double)(end - start);
	r->cpu_ns = (double)cpu / (double)n;
	r->kicks = (double)kicks / (double)n;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sort what get says of each round; the median is then in the middle. */
static void collect(const struct bench *b, const struct target *ts, double *v,
		    double (*get)(const struct target *ts, unsigned int round))
{
	unsigned int i;

	for (i = 0; i < b->rounds; i++)
		v[i] = get(ts, i);
	qsort(v, b->rounds, sizeof(*v), compare);
}

static double get_iops(const struct target *t, unsigned int round)
{
	return t->results[round].iops;
}

static double get_cpu(const struct target *t, unsigned int round)
{
	return t->results[round].cpu_ns;
}

static double get_kicks(const struct target *t, unsigned int round)
{
	return t->results[round].kicks;
}

static double get_iops_ratio(const struct target *ts, unsigned int round)
{
	return ts[0].results[round].iops / ts[1].results[round].iops;
}

static double get_cpu_ratio(const struct target *ts, unsigned int round)
{
	return ts[0].results[round].cpu_ns / ts[1].results[round].cpu_ns;
}

static void print_depth(const struct bench *b, const struct target *ts, unsigned int num,
			unsigned int depth)
{
	double v[ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < num; i++) {
		printf("%5u  %-20s", depth, ts[i].name);
		collect(b, &ts[i], v, get_iops);
		printf(" %9.0f IOPS", v[b->rounds / 2]);
		collect(b, &ts[i], v, get_cpu);
		printf(" %8.0f CPU-ns", v[b->rounds / 2]);
		collect(b, &ts[i], v, get_kicks);
		printf(" %5.2f kicks\n", v[b->rounds / 2]);
	}
	if (num < 2)
		return;
	collect(b, ts, v, get_iops_ratio);
	printf("%5u  ratio   IOPS %.2f (%.2f to %.2f)", depth, v[b->rounds / 2], v[0],
	       v[b->rounds - 1]);
	collect(b, ts, v, get_cpu_ratio);
	printf("   CPU per request %.2f (%.2f to %.2f)\n", v[b->rounds / 2], v[0],
	       v[b->rounds - 1]);
}

static void run(const struct bench *b, struct target *ts, unsigned int num)
{
	unsigned int d, round, i;

	printf("%u KiB random %s, %s front-end, median of %u rounds of %u ms\n", b->block / 1024,
	       b->type == VIRTIO_BLK_T_IN ? "reads" : "writes", b->irq ? "sleeping" : "polling",
	       b->rounds, b->time_ms);
	printf("depth  back-end              per second        per request\n");
	for (d = 0; d < b->num_depths; d++) {
		for (round = 0; round < b->rounds; round++)
			for (i = 0; i < num; i++) {
				struct target *t = &ts[round % 2 ? num - 1 - i : i];

				target_round(t, b, b->depths[d], &t->results[round]);
			}
		print_depth(b, ts, num, b->depths[d]);
		fflush(stdout);
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
	{ NULL, 0, NULL, 0 }
};

static void usage(void)
{
	fprintf(stderr,
		"usage: bench_blk [--rw=randread|randwrite] [--bs=BYTES] [--depth=N,N,...]\n"
		"                 [--rounds=N] [--time-ms=N] [--irq] [--direct]\n"
		"                 NAME=PID:SOCKET [NAME=PID:SOCKET]\n");
	exit(2);
}

static unsigned int number(const char *text, unsigned int min, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "bench_blk: %s: want a number from %u to %u\n", text, min, max);
		usage();
	}
	return (unsigned int)n;
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
			b->type = optarg[4] == 'r' ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
			break;
		case 'b':
			b->block = number(optarg, 512, 65536) & ~(FE_BLK_SECTOR - 1);
			break;
		case 'd':
			parse_depths(b, optarg);
			break;
		case 'r':
			b->rounds = number(optarg, 1, ROUNDS_MAX);
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
		default:
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	static struct target ts[TARGETS_MAX];
	struct bench b = {
		.type = VIRTIO_BLK_T_IN,
		.block = 4096,
		.depths = { 1, 32, 128 },
		.num_depths = 3,
		.rounds = 7,
		.time_ms = 700,
	};
	unsigned int num, i;

	parse(&b, argc, argv);
	num = (unsigned int)(argc - optind);
	if (!num || num > TARGETS_MAX)
		usage();
	for (i = 0; i < num; i++) {
		target_parse(&ts[i], argv[optind + (int)i]);
		target_open(&ts[i], &b);
	}
	run(&b, ts, num);
	for (i = 0; i < num; i++)
		target_close(&ts[i]);
	return 0;
}
