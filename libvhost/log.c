/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: lines to the program's function, and fewer of those a peer can cause. */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "util.h"

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

/*
 * Limits
 */

void log_limit_init(struct log_limit *limit)
{
	pthread_mutex_init(&limit->lock, NULL);
}

void log_limit_exit(struct log_limit *limit)
{
	pthread_mutex_destroy(&limit->lock);
}

static long log_second(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec;
}

static void log_say(enum vhost_log_level level, const char *name, const char *text)
{
	char line[LOG_NAME + 2 + LOG_LINE];

	snprintf(line, sizeof(line), "%.*s: %s", LOG_NAME, name, text);
	log_fn(log_arg, level, line);
}

/* Its interval is over. */
static void kind_tell(struct log_kind *kind, const char *name)
{
	char text[sizeof(kind->last) + 64];

	if (!kind->lost)
		return;
	snprintf(text, sizeof(text), "%u more of these, the last one: %s", kind->lost, kind->last);
	kind->lost = 0;
	log_say(kind->level, name, text);
}

/* That of the format; or else the one whose interval began first makes room. */
static struct log_kind *limit_kind(struct log_limit *limit, const char *name, const char *fmt)
{
	struct log_kind *kind, *first = &limit->kinds[0];

	for (kind = limit->kinds; kind < &limit->kinds[LOG_KINDS] && kind->fmt; kind++) {
		if (kind->fmt == fmt)
			return kind;
		if (kind->since < first->since)
			first = kind;
	}
	if (kind == &limit->kinds[LOG_KINDS])
		kind = first;
	kind_tell(kind, name);
	*kind = (struct log_kind){ .fmt = fmt, .since = log_second() };
	return kind;
}

/* Whether the text is too much; *first: it is the first such one of its interval. */
static bool kind_limited(struct log_kind *kind, enum vhost_log_level level, const char *text,
			 bool *first)
{
	if (kind->lines < LOG_BURST) {
		kind->lines++;
		return false;
	}
	*first = !kind->lost++;
	kind->level = level;
	snprintf(kind->last, sizeof(kind->last), "%.*s", (int)sizeof(kind->last) - 1, text);
	return true;
}

static void kind_begin(struct log_kind *kind, long now, const char *name)
{
	kind_tell(kind, name);
	kind->since = now;
	kind->lines = 0;
}

/*
 * Lines
 */

bool log_tell(struct log_limit *limit, const char *name)
{
	long now = log_second();
	struct log_kind *kind;
	bool more = false;

	pthread_mutex_lock(&limit->lock);
	for (kind = limit->kinds; kind < &limit->kinds[LOG_KINDS]; kind++) {
		if (kind->lost && now - kind->since >= LOG_INTERVAL)
			kind_begin(kind, now, name);
		more |= kind->lost;
	}
	pthread_mutex_unlock(&limit->lock);
	return more;
}

bool log_vline(struct log_limit *limit, enum vhost_log_level level, const char *name,
	       const char *fmt, va_list ap)
{
	struct log_kind *kind;
	char text[LOG_LINE];
	bool first = false;

	if (!log_fn)
		return false;
	vsnprintf(text, sizeof(text), fmt, ap);
	/* Each message is what somebody asked for who wants to see all of them. */
	if (level == VHOST_LOG_DEBUG) {
		log_say(level, name, text);
		return false;
	}
	pthread_mutex_lock(&limit->lock);
	kind = limit_kind(limit, name, fmt);
	if (log_second() - kind->since >= LOG_INTERVAL)
		kind_begin(kind, log_second(), name);
	if (!kind_limited(kind, level, text, &first))
		log_say(level, name, text);
	pthread_mutex_unlock(&limit->lock);
	return first;
}

bool log_line(struct log_limit *limit, enum vhost_log_level level, const char *name,
	      const char *fmt, ...)
{
	va_list ap;
	bool first;

	va_start(ap, fmt);
	first = log_vline(limit, level, name, fmt, ap);
	va_end(ap);
	return first;
}
