/* SPDX-License-Identifier: BSD-3-Clause */
/* The options which all daemons have: of each device, of its threads, of the process. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "internal.h"
#include "util.h"

/* Sanitizers make system calls of their own. */
#ifdef SANITIZED
#define SANDBOX_DEFAULT SANDBOX_NONE
#define SANDBOX_DEFAULT_TEXT "none, because of the sanitizer"
#else
#define SANDBOX_DEFAULT SANDBOX_FULL
#define SANDBOX_DEFAULT_TEXT "full"
#endif

enum { LEVEL_ERROR, LEVEL_WARNING, LEVEL_INFO, LEVEL_DEBUG };

const char *const daemon_log_levels[] = {
	[LEVEL_ERROR] = "error", [LEVEL_WARNING] = "warning", [LEVEL_INFO] = "info",
	[LEVEL_DEBUG] = "debug", NULL
};

enum { CHOICE_ON, CHOICE_OFF };

static const char *const on_off[] = { [CHOICE_ON] = "on", [CHOICE_OFF] = "off", NULL };

/* In the order of enum sandbox_mode and enum seccomp_mode. */
static const char *const sandbox_modes[] = { "full", "basic", "none", NULL };
static const char *const seccomp_modes[] = { "kill", "log", "off", NULL };

/*
 * Of a device
 */

#define FIELD(field) .offset = offsetof(struct daemon_conf, field)

const struct option_def common_device[] = {
	{ "name", OPTION_TEXT, FIELD(name), .arg = "NAME", .max = DEVICE_NAME_MAX,
	  .help = "what the log and statistics call the device" },
	{ "socket-path", OPTION_TEXT, FIELD(socket_path), .arg = "PATH",
	  .help = "listen on a Unix socket at PATH" },
	{ "fd", OPTION_NUMBER, FIELD(fd), .arg = "N", .max = INT32_MAX,
	  .help = "serve the listening or connected socket which is file descriptor N" },
	{ "connect", OPTION_TEXT, FIELD(connect), .arg = "PATH",
	  .help = "connect to the front-end which listens on a Unix socket at PATH" },
	{ "queue-size", OPTION_NUMBER, FIELD(queue_size), .arg = "N", .min = 1, .max = 32768,
	  .help = "longest ring which a front-end may set up (default 1024)" },
	{ "packed", OPTION_CHOICE, FIELD(packed), .choices = on_off,
	  .help = "whether to offer packed virtqueues (default on)" },
	{ "iommu", OPTION_FLAG, FIELD(iommu),
	  .help = "offer to work behind an IOMMU which the front-end emulates" },
	{ "handshake-timeout", OPTION_NUMBER, FIELD(handshake_timeout), .arg = "SECONDS",
	  .max = 86400,
	  .help = "how long to wait for a front-end which owes a word (default 30)" },
	{ 0 }
};

const struct daemon_conf common_device_default = { .fd = -1, .handshake_timeout = 30 };

const struct daemon_queues daemon_request_queues = {
	.option = { { "num-queues", OPTION_NUMBER, FIELD(num_queues), .arg = "N",
		      .min = 1, .max = 256,
		      .help = "number of request queues, 1 to 256 (default 16)" } },
	.noun = "queues",
	.count = 16,
	.width = 1,
};

/*
 * With a control queue these are 255 of the 256 virtqueues which a device may have: SET_VRING_KICK
 * and SET_VRING_CALL number the queue with 8 bits of their 64 (VHOST_USER_VRING_IDX_MASK), so the
 * eventfds of further ones could not be handed over.
 */
const struct daemon_queues daemon_queue_pairs = {
	.option = { { "queue-pairs", OPTION_NUMBER, FIELD(num_queues), .arg = "N",
		      .min = 1, .max = 127, .limit = "a vhost-user device has up to 256 queues",
		      .help = "pairs of a receive and a transmit queue, 1 to 127 (default 1)" } },
	.noun = "pairs of queues",
	.count = 1,
	.width = 2,
};

#undef FIELD

unsigned int daemon_dev_flags(const struct daemon_device *device)
{
	const struct process_conf *conf = &device->run->conf;

	/* Who is never asked need not measure. */
	return (device->conf.iommu ? VHOST_DEV_IOMMU : 0) |
	       (conf->control || conf->metrics ? VHOST_DEV_LATENCY : 0);
}

uint64_t daemon_dev_features_off(const struct daemon_device *device)
{
	return device->conf.packed == CHOICE_OFF ? BIT(VIRTIO_F_RING_PACKED) : 0;
}

/*
 * Of threads
 */

#define FIELD(field) .offset = offsetof(struct pool_conf, field)

const struct option_def common_pool[] = {
	{ "threads", OPTION_NUMBER, FIELD(threads), .arg = "N", .max = THREADS_MAX,
	  .help = "threads which serve the queues (default 0: the main thread does)" },
	{ "poll-us", OPTION_NUMBER, FIELD(poll_us), .arg = "N", .max = 1000000,
	  .help = "poll up to N microseconds before sleeping, if it helps (default 50)" },
	{ 0 }
};

#undef FIELD

const struct pool_conf common_pool_default = { .poll_us = 50 };

/*
 * Of the process
 */

#define FIELD(field) .offset = offsetof(struct process_conf, field)

const struct option_def common_process[] = {
	{ "log-level", OPTION_CHOICE, FIELD(log_level), .choices = daemon_log_levels,
	  .help = "what to say on stderr (default info)" },
	{ "control", OPTION_TEXT, FIELD(control), .arg = "PATH",
	  .help = "listen for vhostctl and the like on a Unix socket at PATH" },
	{ "sandbox", OPTION_CHOICE, FIELD(sandbox), .choices = sandbox_modes,
	  .help = "what to renounce of the user's rights (default " SANDBOX_DEFAULT_TEXT ")" },
	{ "seccomp", OPTION_CHOICE, FIELD(seccomp), .choices = seccomp_modes,
	  .help = "what an unexpected system call costs with --sandbox=full (default kill)" },
	{ "user", OPTION_TEXT, FIELD(user), .arg = "NAME", .help = "become this user" },
	{ "group", OPTION_TEXT, FIELD(group), .arg = "NAME", .help = "become a member of this group" },
	{ "metrics", OPTION_TEXT, FIELD(metrics), .arg = "PATH",
	  .help = "give statistics as OpenMetrics text at a Unix socket at PATH" },
	{ "config", OPTION_TEXT, FIELD(config), .arg = "FILE",
	  .help = "take options from FILE, a JSON object with their names as keys" },
	{ "check-config", OPTION_ACTION,
	  .help = "say whether the options are right, and exit" },
	{ "print-config", OPTION_ACTION,
	  .help = "print the options as --config would read them, and exit" },
	{ "print-capabilities", OPTION_ACTION,
	  .help = "print the capabilities as JSON, and exit" },
	{ "help", OPTION_ACTION, .help = "print this help, and exit" },
	{ "version", OPTION_ACTION, .help = "print the version, and exit" },
	{ 0 }
};

#undef FIELD

const struct process_conf common_process_default = {
	.log_level = LEVEL_INFO, .sandbox = SANDBOX_DEFAULT,
};

enum vhost_log_level common_log_level(unsigned int level)
{
	static const enum vhost_log_level levels[] = {
		[LEVEL_ERROR] = VHOST_LOG_ERR, [LEVEL_WARNING] = VHOST_LOG_WARN,
		[LEVEL_INFO] = VHOST_LOG_INFO, [LEVEL_DEBUG] = VHOST_LOG_DEBUG,
	};

	return levels[level];
}

/*
 * Options which only print something: they win against all others, sensible or not.
 */

static void print_capabilities(const struct daemon *d)
{
	unsigned int i;

	printf("{\"type\":\"%s\"", d->type);
	for (i = 0; d->features && d->features[i]; i++)
		printf("%s\"%s\"", i ? "," : ",\"features\":[", d->features[i]);
	printf("%s}\n", i ? "]" : "");
}

static void print_help(const struct daemon *d)
{
	printf("usage: %s OPTION...\n\n%s\n\n", d->name, d->summary);
	options_help(d->options, stdout);
	printf("\n");
	options_help(d->queues->option, stdout);
	options_help(common_device, stdout);
	options_help(common_pool, stdout);
	options_help(common_process, stdout);
	printf("\nSee %s(1).\n", d->name);
}

static void print_version(const struct daemon *d)
{
	printf("%s %s\n", d->name, PACKAGE_VERSION);
}

static const struct {
	const char *name;
	void (*print)(const struct daemon *d);
} actions[] = {
	{ "print-capabilities", print_capabilities },
	{ "help", print_help },
	{ "version", print_version },
};

bool common_act(const struct daemon *d, int argc, char **argv, int *status)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!options_asked(argc, argv, actions[i].name))
			continue;
		actions[i].print(d);
		*status = DAEMON_OK;
		if (fflush(stdout)) {
			daemon_err("--%s: %s", actions[i].name, strerror(errno));
			*status = DAEMON_FAILED;
		}
		return true;
	}
	return false;
}
