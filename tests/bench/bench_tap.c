/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets through the taps of running vhost-user network back-ends, and through one of our own
 * without any back-end.
 *
 * As in vhost-bench compare, both have their turn in each round, and the median of the rounds'
 * ratios counts; here both stay connected, and who is not driven is stopped by a signal, since
 * there are some that never sleep.
 *
 * From the guest the driver's ring is kept full, and what counts is what the interface has got.
 * To the guest the interface's queue is filled while the back-end stands still, and what counts is
 * the time which it takes to empty it.
 */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/options.h"
#include "tests/bench/bench_tap.h"
#include "tools/calm.h"
#include "tools/rounds.h"
#include "tools/tool.h"
#include "util.h"

#define TAP_LOAD_CORE	0
#define TAP_WARMUP_NS	50000000u
#define TAP_PACED_DEPTH	16u
#define TAP_QUEUE	(8192 + 64)
#define TAP_STOP_TRIES	1000u		/* looks at a process which is to stop, some microseconds each */
#define TAP_OFFLOADS	(FE_BIT(VIRTIO_NET_F_CSUM) | FE_BIT(VIRTIO_NET_F_HOST_TSO4) | \
			 FE_BIT(VIRTIO_NET_F_GUEST_CSUM) | FE_BIT(VIRTIO_NET_F_GUEST_TSO4))

/*
 * For all files
 */

void tap_check(const struct tap_target *t, const char *what, int err)
{
	if (err >= 0)
		return;
	tool_err("%s: %s: %s", t->name, what, strerror(-err));
	exit(TOOL_BROKEN);
}

uint64_t tap_clock(clockid_t clock)
{
	struct timespec ts = { 0 };

	/* It fails when the process is gone, which is noticed elsewhere. */
	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t tap_time(const struct tap_target *t)
{
	return load_clock() - t->idle_ns;
}

static cpu_set_t tap_core(unsigned int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return set;
}

void tap_run_on(unsigned int core)
{
	cpu_set_t set = tap_core(core);

	sched_setaffinity(0, sizeof(set), &set);
}

/* Whether /proc says that the process stands still, or that it is not there any more. */
static bool tap_is_stopped(pid_t pid)
{
	char path[40], text[200] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	state = strrchr(text, ')');
	return !state || strchr("TtZX", state[2]);
}

/*
 * Its clock is late for up to a tick of the kernel as long as it runs on another core, and right
 * once it stands still.
 */
void tap_pause(const struct tap_target *t)
{
	unsigned int tries;

	if (!t->pid)
		return;
	kill(t->pid, SIGSTOP);
	for (tries = 0; tries < TAP_STOP_TRIES && !tap_is_stopped(t->pid); tries++)
		;
}

void tap_resume(const struct tap_target *t)
{
	if (t->pid)
		kill(t->pid, SIGCONT);
}

void tap_prepare(struct tap_target *t, unsigned int n)
{
	uint64_t start = load_clock(), cpu;

	tap_pause(t);
	cpu = tap_clock(t->clock);
	tap_check(t, "filling the tap", wire_fill(&t->wire, n));
	t->idle_cpu_ns += tap_clock(t->clock) - cpu;
	t->idle_ns += load_clock() - start;
	tap_resume(t);
}

unsigned int tap_burst(const struct tap_target *t)
{
	return t->wire.size > WIRE_WHOLE ? 1024 : 8192;
}

/*
 * Turns
 */

static uint64_t target_drive(struct tap_target *t, uint64_t ns)
{
	uint64_t until = tap_time(t) + ns;

	return t->bare ? tap_bare_drive(t, until) : tap_guest_drive(t, until);
}

/* CPU time so far, without that in which it was not to do anything; it stands still for a moment. */
static uint64_t target_cpu(const struct tap_target *t)
{
	uint64_t cpu;

	tap_pause(t);
	cpu = tap_clock(t->clock) - t->idle_cpu_ns;
	tap_resume(t);
	return cpu;
}

static struct turn target_turn(struct tap_target *t)
{
	struct load_count count = { 0 };
	uint64_t time, cpu, n;
	struct turn turn;

	tap_resume(t);
	if (!t->bare)
		tap_guest_begin(t);
	target_drive(t, TAP_WARMUP_NS);
	if (!t->bare)
		load_reset(&t->load);
	cpu = target_cpu(t);
	time = tap_time(t);
	n = target_drive(t, t->bench->time_ms * UINT64_C(1000000));
	time = tap_time(t) - time;
	cpu = target_cpu(t) - cpu;
	tap_check(t, "not one packet came", n ? 0 : -ETIMEDOUT);
	if (!t->bare)
		count = load_count(&t->load);
	turn = (struct turn){
		.rate = (double)n * 1e9 / (double)time,
		.cpu = (double)cpu / (double)n,
		.kicks = (double)count.kicks / (double)n,
		.interrupts = (double)count.interrupts / (double)n,
	};
	if (!t->bare)
		tap_guest_end(t);
	tap_pause(t);
	return turn;
}

static double round_run(struct tap_target *ts, struct calm *calm, struct rounds *r)
{
	unsigned int first = r->tried % 2, i;
	double worst = calm_now(calm);

	for (i = 0; i < 2; i++) {
		rounds_current(r)[first ^ i] = target_turn(&ts[first ^ i]);
		worst = MAX(worst, calm_now(calm));
	}
	return worst;
}

static void run(const struct tap_bench *b, struct tap_target *ts)
{
	cpu_set_t home = tap_core(TAP_LOAD_CORE), cpus = home;
	struct rounds r = {
		.wanted = b->rounds, .tries = b->tries, .time_ms = b->time_ms, .type = "tap",
		.names = { ts[0].name, ts[1].name },
	};
	struct calm calm;
	char text[160];
	int n;

	CPU_SET(TAP_BACKEND_CORE, &cpus);
	calm_init(&calm, &home, &cpus);
	n = snprintf(text, sizeof(text), "packets of %llu bytes %s the guest, %s ring of %u, %s",
		     (unsigned long long)b->params.block,
		     b->params.dir == LOAD_TX ? "from" : "to",
		     b->params.features & FE_BIT(VIRTIO_F_RING_PACKED) ? "packed" : "split",
		     b->params.ring_size, b->params.poll ? "polling" : "interrupts");
	if (b->pace_us)
		snprintf(text + n, sizeof(text) - (size_t)n, ", a packet in %u us", b->pace_us);
	r.load = text;
	tap_pause(&ts[0]);
	tap_pause(&ts[1]);
	while (!rounds_done(&r))
		rounds_end(&r, round_run(ts, &calm, &r));
	tap_resume(&ts[0]);
	tap_resume(&ts[1]);
	if (b->json)
		rounds_print_json(&r);
	else
		rounds_print(&r);
}

/*
 * Life
 */

/* NAME=PID:SOCKET:INTERFACE; the socket and the interface. */
static char *target_parse(struct tap_target *t, char *arg, char **ifname)
{
	char *pid = strchr(arg, '='), *socket = pid ? strchr(pid, ':') : NULL;

	*ifname = socket ? strchr(socket + 1, ':') : NULL;
	if (!*ifname) {
		tool_err("%s: want NAME=PID:SOCKET:INTERFACE, bare or whole", arg);
		exit(TOOL_USAGE);
	}
	*pid++ = *socket++ = *(*ifname)++ = '\0';
	t->pid = atoi(pid);
	tap_check(t, "no such process", -clock_getcpuclockid(t->pid, &t->clock));
	return socket;
}

static void target_open(struct tap_target *t, const struct tap_bench *b, char *arg)
{
	char *ifname = arg, *socket = NULL;

	t->bench = b;
	t->name = arg;
	t->whole = !strcmp(arg, "whole");
	t->bare = t->whole || !strcmp(arg, "bare");
	if (t->bare)
		tap_bare_open(t);
	else
		socket = target_parse(t, arg, &ifname);
	tap_check(t, "tap", wire_open(&t->wire, ifname, t->bare, TAP_QUEUE,
				      (unsigned int)b->params.block));
	if (socket)
		tap_guest_open(t, socket);
}

static void target_close(struct tap_target *t)
{
	if (t->bare)
		tap_bare_close(t);
	else
		tap_guest_close(t);
	wire_close(&t->wire);
}

/* The command line, before it is a struct tap_bench. */
struct options {
	unsigned int dir, ring_size, rounds, tries, time_ms, pace_us;
	uint64_t size;
	bool packed, irq, no_offloads, json;
};

static const char *const dir_names[] = { [LOAD_TX] = "tx", [LOAD_RX] = "rx", NULL };

#define FIELD(field) .offset = offsetof(struct options, field)

static const struct option_def defs[] = {
	{ "dir", OPTION_CHOICE, FIELD(dir), .choices = dir_names,
	  .help = "from the guest (the default), or to it" },
	{ "size", OPTION_SIZE, FIELD(size), .arg = "BYTES", .min = 14, .max = 65000,
	  .help = "length of a packet (default 64)" },
	{ "packed", OPTION_FLAG, FIELD(packed), .help = "packed rings" },
	{ "irq", OPTION_FLAG, FIELD(irq), .help = "sleep until an interrupt comes" },
	{ "no-offloads", OPTION_FLAG, FIELD(no_offloads), .help = "a guest without offloads" },
	{ "pace-us", OPTION_NUMBER, FIELD(pace_us), .arg = "N", .min = 1, .max = 900000,
	  .help = "one packet in this time only" },
	{ "ring", OPTION_NUMBER, FIELD(ring_size), .arg = "N", .min = 16, .max = 1024,
	  .help = "entries of a ring (default 256)" },
	{ "rounds", OPTION_NUMBER, FIELD(rounds), .arg = "N", .min = 1, .max = ROUNDS_MAX,
	  .help = "how often (default 9)" },
	{ "tries", OPTION_NUMBER, FIELD(tries), .arg = "N", .min = 1, .max = 99,
	  .help = "as many times as often at most, if disturbed (default 3)" },
	{ "time-ms", OPTION_NUMBER, FIELD(time_ms), .arg = "N", .min = 1, .max = 60000,
	  .help = "milliseconds of a turn (default 300)" },
	{ "json", OPTION_FLAG, FIELD(json), .help = "print a JSON object" },
	TOOL_OPTIONS,
	{ NULL }
};

#undef FIELD

static struct tap_bench options_make(const struct options *o)
{
	return (struct tap_bench){
		.params = {
			.queues = 1, .ring_size = o->ring_size, .block = o->size, .dir = o->dir,
			.depth = !o->pace_us ? o->ring_size :
				 o->dir == LOAD_TX ? 1 : TAP_PACED_DEPTH,
			.features = FE_BIT(VIRTIO_NET_F_MRG_RXBUF) |
				    (o->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
				    (o->no_offloads ? 0 : TAP_OFFLOADS),
			.features_maybe = FE_BIT(VIRTIO_RING_F_EVENT_IDX),
			.indirect = true, .poll = !o->irq, .timeout_ms = FE_TIMEOUT_MS,
		},
		.rounds = o->rounds, .tries = o->tries, .time_ms = o->time_ms,
		.pace_us = o->pace_us, .json = o->json,
	};
}

static void help(void)
{
	printf("usage: bench_tap [OPTION...] A B\n\n"
	       "A and B are NAME=PID:SOCKET:INTERFACE, or for a loop of our own \"bare\" or "
	       "\"whole\".\n\n");
	options_help(defs, stdout);
}

int main(int argc, char **argv)
{
	static struct tap_target ts[2];
	struct options o = { .size = 64, .ring_size = 256, .rounds = 9, .time_ms = 300 };
	struct option_table table = { .defs = defs, .values = &o };
	const char *args[2];
	struct option_operands operands = { .values = args, .max = 2 };
	struct tap_bench b;
	int status, i;

	tool_begin("bench_tap");
	if (tool_act(argc, argv, help, &status))
		return status;
	if (options_parse_operands(&table, 1, argc, argv, &operands))
		return TOOL_USAGE;
	if (operands.num < 2) {
		tool_err("two to compare are required; see --help");
		return TOOL_USAGE;
	}
	b = options_make(&o);
	tap_run_on(TAP_LOAD_CORE);
	for (i = 0; i < 2; i++)
		target_open(&ts[i], &b, (char *)args[i]);
	run(&b, ts);
	for (i = 0; i < 2; i++)
		target_close(&ts[i]);
	return tool_end(TOOL_OK);
}
