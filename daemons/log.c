/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: whole lines to stderr, with their level if that is the journal. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "util.h"

#define LOG_LINE_MAX 1024		/* bytes, the newline included */

static const char *log_name = "vhost-user";
/* Set by the control worker, at any time. */
static atomic_uint log_level = VHOST_LOG_ERR;
static bool log_journal;

/* The levels of syslog, as the journal wants them before each line. */
static const char *const log_prefix[] = {
	[VHOST_LOG_ERR] = "<3>", [VHOST_LOG_WARN] = "<4>", [VHOST_LOG_INFO] = "<6>",
	[VHOST_LOG_DEBUG] = "<7>",
};

static const char *log_prefix_of(enum vhost_log_level level)
{
	return log_journal ? log_prefix[level] : "";
}

/* Whether stderr is what the service manager has connected with the journal. */
static bool log_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat sb;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &sb) && sb.st_dev == dev && sb.st_ino == ino;
}

/* One write, so that lines of several threads do not mix.  len: at most LOG_LINE_MAX - 1. */
static void log_write(char *line, size_t len)
{
	size_t i;

	/* A line is one line, whatever names it quotes. */
	for (i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	line[len++] = '\n';
	/* There is nowhere to complain about stderr. */
	while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
		;
}

/* The library names the device, and the queue. */
static void log_library(void *arg, enum vhost_log_level level, const char *text)
{
	char line[LOG_LINE_MAX];
	int len;

	(void)arg;
	if (level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	len = snprintf(line, sizeof(line), "%s%s: %s", log_prefix_of(level), log_name, text);
	log_write(line, MIN((size_t)len, sizeof(line) - 1));
}

__attribute__((format(printf, 2, 0)))
static void log_format(enum vhost_log_level level, const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	int head = snprintf(line, sizeof(line), "%s%s: ", log_prefix_of(level), log_name);
	int len = head + vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, ap);

	log_write(line, MIN((size_t)len, sizeof(line) - 1));
}

void daemon_log_open(const char *name)
{
	log_name = name;
	log_journal = log_is_journal();
	vhost_set_log(log_library, NULL);
}

void daemon_log_set_level(enum vhost_log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

void daemon_log(enum vhost_log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	log_format(level, fmt, ap);
	va_end(ap);
}

void daemon_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(VHOST_LOG_ERR, fmt, ap);
	va_end(ap);
}
