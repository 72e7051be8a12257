/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two back-ends compared, on a machine which does other things as well.
 *
 * Nothing is compared across time.  In each round both back-ends are started, driven and stopped,
 * one after the other, in turns forwards and backwards; what counts is the median of the rounds'
 * ratios.  The load has a CPU of its own, and the back-ends share the others.  A round before,
 * within or behind which the machine was disturbed is done again, within limits; then
 * it counts, and is told about.
 *
 * The CPU time is that of the process which listens on the socket, with all its threads.
 */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench.h"
#include "tools/calm.h"
#include "tools/rounds.h"
#include "tools/spawn.h"
#include "tools/tool.h"
#include "util.h"

/* How long a back-end may take until it listens, and how often to see whether it is alive. */
#define COMPARE_READY_MS 30000
#define COMPARE_LOOK_MS	100

struct compare {
	const struct bench *bench;
	char **argv[2];
	cpu_set_t load_cpus, backend_cpus;
	struct calm calm;
	struct rounds rounds;
	bool live;			/* tell of progress */
};

/*
 * CPUs
 */

static int compare_parse_cpus(const char *option, const char *text, cpu_set_t *set)
{
	const char *at = text;
	char *end;
	long n;

	CPU_ZERO(set);
	do {
		n = strtol(at, &end, 10);
		if (end == at || n < 0 || n >= CPU_SETSIZE || (*end && *end != ',')) {
			tool_err("--%s=%s: not a list of CPUs", option, text);
			return -EINVAL;
		}
		CPU_SET((size_t)n, set);
		at = end + 1;
	} while (*end);
	return 0;
}

static void compare_first_cpu(const cpu_set_t *all, cpu_set_t *first)
{
	size_t cpu;

	CPU_ZERO(first);
	for (cpu = 0; cpu < CPU_SETSIZE && !CPU_ISSET(cpu, all); cpu++)
		;
	CPU_SET(cpu, first);
}

/* The load has the first CPU, back-ends the others, unless somebody knows better. */
static int compare_cpus(struct compare *c)
{
	const struct bench *b = c->bench;
	cpu_set_t all;
	int err = 0;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return -errno;
	compare_first_cpu(&all, &c->load_cpus);
	if (b->load_cpu)
		err = compare_parse_cpus("load-cpu", b->load_cpu, &c->load_cpus);
	CPU_XOR(&c->backend_cpus, &all, &c->load_cpus);
	if (!CPU_COUNT(&c->backend_cpus))
		c->backend_cpus = all;
	if (!err && b->backend_cpus)
		err = compare_parse_cpus("backend-cpus", b->backend_cpus, &c->backend_cpus);
	if (!err && sched_setaffinity(0, sizeof(c->load_cpus), &c->load_cpus) < 0) {
		err = -errno;
		tool_err("--load-cpu: %s", strerror(errno));
	}
	return err;
}

/*
 * One turn
 */

/* Connect as soon as it listens. */
static int turn_connect(struct load *l, struct spawn *s)
{
	char why[64];
	int left, err = -ETIMEDOUT;

	for (left = COMPARE_READY_MS; left > 0 && !bench_stopped; left -= COMPARE_LOOK_MS) {
		err = load_connect(l, s->socket, COMPARE_LOOK_MS);
		if (err != -ETIMEDOUT)
			return err;
		if (!spawn_alive(s, why, sizeof(why)))
			return load_wrong(l, "%s before it listened", why);
	}
	return err;
}

/* The clock of whoever listens. */
static int turn_clock(const struct load *l, const struct spawn *s, clockid_t *clock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(l->fe.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		peer.pid = s->pid;
	return bench_clock(peer.pid, clock);
}

/* What is asked of the first, or of the second. */
static struct load_params turn_params(const struct bench *b, unsigned int which)
{
	struct load_params params = b->params;

	if (which && b->second_split)
		params.features &= ~FE_BIT(VIRTIO_F_RING_PACKED);
	return params;
}

static int turn_measure(const struct bench *b, unsigned int which, struct load *l,
			struct spawn *s, struct bench_result *r)
{
	const struct load_params params = turn_params(b, which);
	clockid_t clock;
	int err = turn_connect(l, s);

	if (!err && turn_clock(l, s, &clock))
		err = load_wrong(l, "its CPU time cannot be told");
	if (!err)
		err = load_open(l, which ? b->second : b->ops, &params);
	if (!err)
		err = load_start(l);
	if (!err)
		err = bench_measure(l, b, &clock, NULL, r);
	return err ? err : load_stop(l);
}

static struct turn turn_of(const struct bench_result *r)
{
	double n = (double)bench_total(&r->count);

	return (struct turn){
		.rate = bench_rate(r),
		.cpu = (double)r->backend_cpu / n,
		.kicks = (double)r->count.kicks / n,
		.interrupts = (double)r->count.interrupts / n,
		.latency = (double)hist_percentile(&r->hist, 50),
	};
}

/* Start back-end which, drive it, and stop it. */
static int compare_turn(struct compare *c, unsigned int which, struct turn *turn)
{
	struct bench_result *r = calloc(1, sizeof(*r));
	struct load *l = calloc(1, sizeof(*l));
	char words[160] = "";
	struct spawn s;
	int err = -ENOMEM;

	if (!r || !l)
		goto out;
	err = spawn_start(&s, c->argv[which], &c->backend_cpus);
	if (err) {
		tool_err("%s: %s", c->argv[which][0], strerror(-err));
		goto out;
	}
	err = turn_measure(c->bench, which, l, &s, r);
	if (err)
		spawn_last_words(&s, words, sizeof(words));
	if (err && !bench_stopped)
		tool_err("%s: %s%s%s", c->argv[which][0], load_why(l), *words ? "; it said: " : "",
			 words);
	load_close(l);
	spawn_stop(&s);
	*turn = turn_of(r);
out:
	free(l);
	free(r);
	return err;
}

/*
 * Rounds
 */

/* Both back-ends, and how disturbed the machine was. */
static int compare_round(struct compare *c, struct turn turns[2], double *worst)
{
	unsigned int first = c->rounds.tried % 2, i;
	int err = 0;

	*worst = calm_now(&c->calm);
	for (i = 0; i < 2 && !err; i++) {
		unsigned int which = first ^ i;

		err = compare_turn(c, which, &turns[which]);
		*worst = MAX(*worst, calm_now(&c->calm));
	}
	return err;
}

static void compare_progress(const struct compare *c)
{
	if (c->live)
		fprintf(stderr, "\rround %u of %u, %u repeated   ", c->rounds.num,
			c->rounds.wanted, c->rounds.tried - c->rounds.num);
}

static int compare_all(struct compare *c)
{
	double worst;
	int err = 0;

	while (!err && !rounds_done(&c->rounds) && !bench_stopped) {
		compare_progress(c);
		err = compare_round(c, rounds_current(&c->rounds), &worst);
		if (!err)
			rounds_end(&c->rounds, worst);
	}
	if (c->live)
		bench_progress_end();
	return err;
}

int bench_compare(const struct bench *b, char **a_argv, char **b_argv)
{
	struct compare *c;
	char text[160];
	cpu_set_t cpus;
	int status = TOOL_BROKEN;

	if (!spawn_has_socket(a_argv) || !spawn_has_socket(b_argv)) {
		tool_err("each command needs a {}, where its socket goes");
		return TOOL_USAGE;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return TOOL_BROKEN;
	c->bench = b;
	c->argv[0] = a_argv;
	c->argv[1] = b_argv;
	c->live = isatty(STDERR_FILENO);
	bench_describe(b, text, sizeof(text));
	c->rounds = (struct rounds){
		.wanted = b->rounds, .tries = b->tries, .time_ms = b->time_ms, .type = b->ops->name, .load = text,
		.names = { basename(a_argv[0]), basename(b_argv[0]) },
	};
	if (compare_cpus(c)) {
		free(c);
		return TOOL_USAGE;
	}
	CPU_OR(&cpus, &c->load_cpus, &c->backend_cpus);
	calm_init(&c->calm, &c->load_cpus, &cpus);
	if (!compare_all(c) && c->rounds.num) {
		if (b->json)
			rounds_print_json(&c->rounds);
		else
			rounds_print(&c->rounds);
		status = tool_end(TOOL_OK);
	}
	free(c);
	return status;
}
