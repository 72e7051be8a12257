/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets to and from running vhost-user network back-ends which lead nowhere; see bench.h for
 * how.  Towards the guest the back-ends make packets themselves.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/net_load.h"
#include "util.h"

struct bench {
	struct net_load_params load;
	unsigned int size;		/* bytes of a packet */
	unsigned int rounds;
	unsigned int time_ms;		/* of a round */
};

static void run(const struct bench *b, struct net_load *ls, unsigned int num)
{
	const struct bench_plan plan = {
		.rounds = b->rounds, .time_ms = b->time_ms, .unit = "packets", .pause = true,
		.fill = net_load_fill, .drive = net_load_drive, .drain = net_load_drain,
		.kicks = net_load_kicks,
	};
	struct bench_target *const bases[] = { &ls[0].base, &ls[1].base };
	unsigned int i;

	for (i = 0; i < num; i++)
		net_load_set_packet(&ls[i], b->size, NULL, 0);
	printf("%s the guest, %s ring of %u%s%s, %s front-end, median of %u rounds of %u ms\n",
	       b->load.tx ? "from" : "to", b->load.packed ? "packed" : "split", b->load.ring_size,
	       b->load.mergeable ? ", mergeable" : "", b->load.in_order ? ", in order" : "",
	       b->load.irq ? "sleeping" : "polling", b->rounds, b->time_ms);
	printf("bytes  back-end              per second           per packet\n");
	bench_run(&plan, bases, num, b->size);
}

/* What came is what was asked for. */
static void check_received(const struct bench *b, const struct net_load *l)
{
	const struct fe_ring *ring = &l->ring[NET_RX];

	if (!b->load.tx && l->bytes != ring->stats.got * (b->size + NET_HDR))
		bench_die(l->base.name, "its packets have another size", -EPROTO);
}

static const struct option options[] = {
	{ "to-guest", no_argument, NULL, 'g' },
	{ "size", required_argument, NULL, 's' },
	{ "packed", no_argument, NULL, 'p' },
	{ "no-mrg", no_argument, NULL, 'm' },
	{ "in-order", no_argument, NULL, 'o' },
	{ "irq", no_argument, NULL, 'i' },
	{ "ring-size", required_argument, NULL, 'n' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "time-ms", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 }
};

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: bench_net [--to-guest] [--size=BYTES] [--packed] [--no-mrg] [--in-order]\n"
		"                 [--irq] [--ring-size=N] [--rounds=N] [--time-ms=N]\n"
		"                 NAME=PID:SOCKET [NAME=PID:SOCKET]\n");
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
			b->size = number(optarg, 14, NET_BUFFER - NET_HDR);
			break;
		case 'p':
			b->load.packed = true;
			break;
		case 'm':
			b->load.mergeable = false;
			break;
		case 'o':
			b->load.in_order = true;
			break;
		case 'i':
			b->load.irq = true;
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
	static struct net_load ls[BENCH_TARGETS_MAX];
	struct bench b = {
		.load = { .tx = true, .mergeable = true, .ring_size = 256 },
		.size = 64,
		.rounds = 9,
		.time_ms = 300,
	};
	unsigned int num, i;

	parse(&b, argc, argv);
	num = (unsigned int)(argc - optind);
	if (!num || num > BENCH_TARGETS_MAX)
		usage();
	for (i = 0; i < num; i++) {
		bench_connect(&ls[i].base, argv[optind + (int)i]);
		net_load_open(&ls[i], &b.load);
	}
	run(&b, ls, num);
	for (i = 0; i < num; i++) {
		check_received(&b, &ls[i]);
		net_load_close(&ls[i]);
	}
	return 0;
}
