/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log, with a limit for each kind of line, of each device.
 *
 * A kind of line is one format, so one place in the source: what a peer makes us say again and
 * again does not displace what else there is to say.
 */
#ifndef VHOST_LOG_H
#define VHOST_LOG_H

#include <pthread.h>
#include <stdarg.h>

#include "libvhost.h"

/* So many lines of a kind in so many seconds; the rest is counted, and told afterwards. */
#define LOG_BURST 10
#define LOG_INTERVAL 5

#define LOG_KINDS 32
/* Bytes: a line without the name; the name, of which more is cut. */
#define LOG_LINE 512
#define LOG_NAME 120

/* What was said of one kind. */
struct log_kind {
	const char *fmt;		/* NULL: of none yet */
	enum vhost_log_level level;
	long since;			/* CLOCK_MONOTONIC, seconds: when its interval began */
	unsigned int lines;		/* in the interval */
	unsigned int lost;		/* of them */
	char last[128];			/* the latest one lost */
};

struct log_limit {
	pthread_mutex_t lock;
	struct log_kind kinds[LOG_KINDS];	/* under it */
};

void log_limit_init(struct log_limit *limit);
void log_limit_exit(struct log_limit *limit);

/*
 * One line, "name: text"; level is one of enum vhost_log_level.  true: it is the first of its kind
 * which is not said, and log_tell() is to be called after LOG_INTERVAL.
 */
bool log_line(struct log_limit *limit, enum vhost_log_level level, const char *name,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool log_vline(struct log_limit *limit, enum vhost_log_level level, const char *name,
	       const char *fmt, va_list ap) __attribute__((format(printf, 4, 0)));

/* Tell what was lost in intervals which are over.  Whether there is more, so call again. */
bool log_tell(struct log_limit *limit, const char *name);

#endif /* VHOST_LOG_H */
