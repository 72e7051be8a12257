/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: whole lines to stderr. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "internal.h"
#include "util.h"

#define LOG_LINE_MAX 1024		/* bytes, the newline included */

static const char *log_name = "vhost-user";
/* Set by the control worker, at any time. */
static atomic_uint log_level = VHOST_LOG_ERR;

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

/* The library names the device, whose name here is the program's. */
static void log_library(void *arg, enum vhost_log_level level, const char *text)
{
	char line[LOG_LINE_MAX];
	int len;

	(void)arg;
	if (level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	len = snprintf(line, sizeof(line), "%s", text);
	log_write(line, MIN((size_t)len, sizeof(line) - 1));
}

__attribute__((format(printf, 1, 0)))
static void log_format(const char *fmt, va_list ap)
{
	char line[LOG_LINE_MAX];
	int head = snprintf(line, sizeof(line), "%s: ", log_name);
	int len = head + vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, ap);

	log_write(line, MIN((size_t)len, sizeof(line) - 1));
}

void daemon_log_open(const char *name)
{
	log_name = name;
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
	log_format(fmt, ap);
	va_end(ap);
}

void daemon_err(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_format(fmt, ap);
	va_end(ap);
}
