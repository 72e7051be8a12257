/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: lines to the program's function, and fewer of those a guest can cause. */
#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "config.h"

/* A peer may cause this many lines a second and device; the rest is counted. */
#define LOG_BURST 20

static void (*log_fn)(void *arg, enum vhost_log_level level, const char *line);
static void *log_arg;

void vhost_set_log(void (*fn)(void *arg, enum vhost_log_level level, const char *line), void *arg)
{
	log_fn = fn;
	log_arg = arg;
}

const char *vhost_version(void)
{
	return PACKAGE_VERSION;
}

static long log_second(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

/* Several workers may log for one device: the limit is atomic, and need not be exact. */
static bool log_limited(struct log_limit *limit, unsigned int *lost)
{
	long now = log_second();

	*lost = 0;
	if (atomic_exchange(&limit->second, now) != now) {
		unsigned int lines = atomic_exchange(&limit->lines, 0);

		if (lines > LOG_BURST)
			*lost = lines - LOG_BURST;
	}
	return atomic_fetch_add(&limit->lines, 1) >= LOG_BURST;
}

void log_line(struct log_limit *limit, enum vhost_log_level level, const char *name,
	      const char *fmt, ...)
{
	char line[512];
	unsigned int lost = 0;
	va_list ap;
	int n;

	if (!log_fn || (level != VHOST_LOG_DEBUG && log_limited(limit, &lost)))
		return;
	if (lost) {
		snprintf(line, sizeof(line), "%s: %u lines suppressed", name, lost);
		log_fn(log_arg, VHOST_LOG_WARN, line);
	}
	n = snprintf(line, sizeof(line), "%s: ", name);
	if (n < 0 || (size_t)n >= sizeof(line))
		n = 0;
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, ap);
	va_end(ap);
	log_fn(log_arg, level, line);
}
