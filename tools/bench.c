/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-bench: load on a vhost-user back-end, without a virtual machine. */
#include "config.h"

#include "tools/bench.h"

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "tools/rounds.h"
#include "tools/tool.h"
#include "util.h"

/* The command line, before it is a struct bench. */
struct options {
	unsigned int queues, depth, ring_size;
	uint64_t block;
	unsigned int rw, dir;
	uint64_t area;
	const char *lun;		/* NULL: 0:0 */
	unsigned int time_s, time_ms, requests, pid, timeout_ms, rounds, tries;
	const char *second;		/* NULL: the same device type */
	bool packed, indirect, in_order, mergeable, poll, irq, verify, json;
	bool second_split;
	const char *load_cpu, *backend_cpus;
};

static const char *const rw_names[] = {
	[LOAD_RANDREAD] = "randread", [LOAD_RANDWRITE] = "randwrite", [LOAD_READ] = "read",
	[LOAD_WRITE] = "write", [LOAD_RANDRW] = "randrw", NULL
};

static const char *const dir_names[] = {
	[LOAD_TX] = "tx", [LOAD_RX] = "rx", [LOAD_BOTH] = "both", NULL
};

#define FIELD(field) .offset = offsetof(struct options, field)

static const struct option_def common_defs[] = {
	{ "depth", OPTION_NUMBER, FIELD(depth), .arg = "N", .min = 1, .max = LOAD_DEPTH_MAX,
	  .help = "requests in flight on each queue (default 32)" },
	{ "queues", OPTION_NUMBER, FIELD(queues), .arg = "N", .min = 1, .max = LOAD_QUEUES_MAX,
	  .help = "queues, or pairs of queues (default 1)" },
	{ "ring", OPTION_NUMBER, FIELD(ring_size), .arg = "N", .min = 1, .max = 32768,
	  .help = "entries of a ring (default: what the depth takes, at least 128)" },
	{ "time", OPTION_NUMBER, FIELD(time_s), .arg = "S", .min = 1, .max = 86400,
	  .help = "seconds to measure (default 5; comparing: 1)" },
	{ "time-ms", OPTION_NUMBER, FIELD(time_ms), .arg = "N", .min = 10, .max = 86400000,
	  .help = "the same in milliseconds" },
	{ "requests", OPTION_NUMBER, FIELD(requests), .arg = "N", .min = 1, .max = UINT32_MAX,
	  .help = "end after so many requests instead" },
	{ "packed", OPTION_FLAG, FIELD(packed), .help = "packed rings" },
	{ "indirect", OPTION_FLAG, FIELD(indirect), .help = "indirect descriptors" },
	{ "in-order", OPTION_FLAG, FIELD(in_order), .help = "requests come back in their order" },
	{ "poll", OPTION_FLAG, FIELD(poll), .help = "look at the rings all the time" },
	{ "irq", OPTION_FLAG, FIELD(irq), .help = "sleep until an interrupt comes (the default)" },
	{ "verify", OPTION_FLAG, FIELD(verify), .help = "judge the data, too" },
	{ "timeout-ms", OPTION_NUMBER, FIELD(timeout_ms), .arg = "N", .min = 10, .max = 600000,
	  .help = "how long to wait for an answer, and for requests (default 10000)" },
	{ "json", OPTION_FLAG, FIELD(json), .help = "print a JSON object" },
	TOOL_OPTIONS,
	{ NULL }
};

static const struct option_def single_defs[] = {
	{ "pid", OPTION_NUMBER, FIELD(pid), .arg = "PID", .min = 1, .max = 4194304,
	  .help = "also tell the CPU time of this process, the back-end" },
	{ NULL }
};

static const struct option_def size_defs[] = {
	{ "bs", OPTION_SIZE, FIELD(block), .arg = "BYTES", .min = 1, .max = UINT32_MAX,
	  .help = "size of a request (default 4K; rng: 64)" },
	{ NULL }
};

static const struct option_def disk_defs[] = {
	{ "rw", OPTION_CHOICE, FIELD(rw), .choices = rw_names,
	  .help = "what to do (default randread); writing destroys what is on the disk" },
	{ "area", OPTION_SIZE, FIELD(area), .arg = "BYTES", .min = 512, .max = UINT64_MAX,
	  .help = "use only the beginning of the disk" },
	{ NULL }
};

static const struct option_def scsi_defs[] = {
	{ "lun", OPTION_TEXT, FIELD(lun), .arg = "[TARGET:]LUN",
	  .help = "which logical unit (default 0:0)" },
	{ NULL }
};

static const struct option_def net_defs[] = {
	{ "dir", OPTION_CHOICE, FIELD(dir), .choices = dir_names,
	  .help = "send, receive, or both at once (default tx)" },
	{ "size", OPTION_SIZE, FIELD(block), .arg = "BYTES", .min = 1, .max = 65535,
	  .help = "length of a packet (default 64)" },
	{ "mergeable", OPTION_FLAG, FIELD(mergeable),
	  .help = "packets may take several buffers" },
	{ NULL }
};

static const struct option_def compare_defs[] = {
	{ "rounds", OPTION_NUMBER, FIELD(rounds), .arg = "N", .min = 1, .max = ROUNDS_MAX,
	  .help = "how often (default 7)" },
	{ "tries", OPTION_NUMBER, FIELD(tries), .arg = "N", .min = 1, .max = 99,
	  .help = "as many times as often at most, if disturbed (default 3)" },
	{ "second", OPTION_TEXT, FIELD(second), .arg = "TYPE",
	  .help = "device type of the second back-end (default: that of the first)" },
	{ "second-split", OPTION_FLAG, FIELD(second_split),
	  .help = "split rings for the second, which may have no others" },
	{ "load-cpu", OPTION_TEXT, FIELD(load_cpu), .arg = "N",
	  .help = "the CPU for the load (default: the first)" },
	{ "backend-cpus", OPTION_TEXT, FIELD(backend_cpus), .arg = "N[,N...]",
	  .help = "CPUs for the back-ends (default: the others)" },
	{ NULL }
};

#undef FIELD

/* Which options a device type has beside the common ones, ended by NULL. */
static const struct {
	const char *name;
	const struct option_def *defs[4];
} type_options[] = {
	{ "blk", { size_defs, disk_defs } },
	{ "scsi", { size_defs, disk_defs, scsi_defs } },
	{ "net", { net_defs } },
	{ "rng", { size_defs } },
};

#define TABLES_MAX 6

static void help(void)
{
	printf("usage: vhost-bench blk|scsi|net|rng [OPTION...] SOCKET\n"
	       "       vhost-bench compare [blk|scsi|net|rng] [OPTION...] -- COMMAND -- COMMAND\n\n"
	       "Drive the vhost-user back-end which listens on SOCKET, or compare two which the\n"
	       "commands start on the socket {}.\n\n");
	options_help(common_defs, stdout);
	printf("\nOne back-end:\n");
	options_help(single_defs, stdout);
	printf("\nblk, scsi and rng:\n");
	options_help(size_defs, stdout);
	printf("\nblk and scsi:\n");
	options_help(disk_defs, stdout);
	options_help(scsi_defs, stdout);
	printf("\nnet:\n");
	options_help(net_defs, stdout);
	printf("\ncompare:\n");
	options_help(compare_defs, stdout);
	printf("\nSee vhost-bench(1).\n");
}

/* [TARGET:]LUN */
static bool parse_lun(const char *text, struct load_params *p)
{
	unsigned int a, b;
	int end = 0;

	if (sscanf(text, "%3u:%5u%n", &a, &b, &end) == 2 && !text[end]) {
		p->target = a;
		p->lun = b;
	} else if (sscanf(text, "%5u%n", &b, &end) == 1 && !text[end]) {
		p->lun = b;
	} else {
		return false;
	}
	return p->target <= 255 && p->lun <= 16383;
}

/* What the rings have to be. */
static uint64_t options_features(const struct options *o)
{
	return (o->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) |
	       (o->in_order ? FE_BIT(VIRTIO_F_IN_ORDER) : 0) |
	       (o->mergeable ? FE_BIT(VIRTIO_NET_F_MRG_RXBUF) : 0);
}

static int options_make(const struct options *o, struct bench *b)
{
	if (o->poll && o->irq) {
		tool_err("--poll, --irq: only one of them can be given");
		return -1;
	}
	*b = (struct bench){
		.ops = b->ops,
		.params = {
			.queues = o->queues, .depth = o->depth, .ring_size = o->ring_size,
			.block = o->block, .rw = o->rw, .dir = o->dir, .area = o->area,
			.features = options_features(o),
			.features_maybe = FE_BIT(VIRTIO_RING_F_EVENT_IDX),
			.indirect = o->indirect, .poll = o->poll, .verify = o->verify,
			.timeout_ms = (int)o->timeout_ms,
		},
		.time_ms = o->time_ms ? o->time_ms : o->time_s * 1000, .requests = o->requests, .pid = o->pid, .json = o->json,
		.rounds = o->rounds, .tries = o->tries, .second = o->second ? load_find(o->second) : b->ops,
		.second_split = o->second_split, .load_cpu = o->load_cpu, .backend_cpus = o->backend_cpus,
	};
	/* All other options must mean the same to both. */
	if (!b->second || b->second->disk != b->ops->disk || b->second->pairs != b->ops->pairs) {
		tool_err("--second=%s: not a device type like %s", o->second, b->ops->name);
		return -1;
	}
	if (o->lun && !parse_lun(o->lun, &b->params)) {
		tool_err("--lun=%s: not a LUN from 0 to 16383, or TARGET:LUN", o->lun);
		return -1;
	}
	return 0;
}

/* The options behind the device type, and one operand unless path is NULL. */
static int options_read(int argc, char **argv, bool compare, struct bench *b, const char **path)
{
	struct options o = {
		.queues = 1, .depth = 32, .time_s = compare ? 1 : 5, .timeout_ms = 10000,
		.rounds = 7,
	};
	struct option_table tables[TABLES_MAX] = {
		{ .defs = common_defs, .values = &o },
		{ .defs = compare ? compare_defs : single_defs, .values = &o },
	};
	struct option_operands operands = { .values = path, .max = path ? 1 : 0 };
	unsigned int n = 2;
	size_t i, k;

	for (i = 0; strcmp(type_options[i].name, b->ops->name); i++)
		;
	for (k = 0; k < ARRAY_SIZE(type_options[i].defs) && type_options[i].defs[k]; k++)
		tables[n++] = (struct option_table){ .defs = type_options[i].defs[k],
						     .values = &o };
	if (options_parse_operands(tables, n, argc, argv, &operands))
		return -1;
	if (path && !operands.num) {
		tool_err("the socket is missing; see --help");
		return -1;
	}
	return options_make(&o, b);
}

static void on_signal(int sig)
{
	(void)sig;
	bench_stopped = true;
}

static void catch_signals(void)
{
	struct sigaction stop = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	/* The second one ends us at once. */
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Where the next "--" is; argc: there is none. */
static int next_dashes(int argc, char **argv, int i)
{
	while (i < argc && strcmp(argv[i], "--"))
		i++;
	return i;
}

/* vhost-bench compare [TYPE] OPTION... -- A... -- B... */
static int compare_main(int argc, char **argv)
{
	struct bench b = { .ops = argc > 2 ? load_find(argv[2]) : NULL };
	int first = next_dashes(argc, argv, 0), second = next_dashes(argc, argv, first + 1);
	int skip = b.ops ? 2 : 1;

	if (!b.ops)
		b.ops = &load_blk;
	if (second >= argc - 1 || second == first + 1) {
		tool_err("two commands are required, each behind \"--\"; see --help");
		return TOOL_USAGE;
	}
	argv[first] = argv[second] = NULL;
	if (options_read(first - skip, argv + skip, true, &b, NULL))
		return TOOL_USAGE;
	catch_signals();
	return bench_compare(&b, argv + first + 1, argv + second + 1);
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	const char *path;
	int status;

	tool_begin("vhost-bench");
	if (tool_act(argc, argv, help, &status))
		return status;
	if (argc < 2) {
		tool_err("what to do is missing; see --help");
		return TOOL_USAGE;
	}
	if (!strcmp(argv[1], "compare"))
		return compare_main(argc, argv);
	b.ops = load_find(argv[1]);
	if (!b.ops) {
		tool_err("%s: not blk, scsi, net, rng or compare; see --help", argv[1]);
		return TOOL_USAGE;
	}
	if (options_read(argc - 1, argv + 1, false, &b, &path))
		return TOOL_USAGE;
	catch_signals();
	return bench_single(&b, path);
}
