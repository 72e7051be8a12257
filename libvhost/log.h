/* SPDX-License-Identifier: BSD-3-Clause */
/* The log, with a limit for each device. */
#ifndef VHOST_LOG_H
#define VHOST_LOG_H

#include <stdatomic.h>

#include "libvhost.h"

struct log_limit {
	atomic_long second;		/* CLOCK_MONOTONIC, of the latest line */
	atomic_uint lines;		/* within that second, suppressed ones included */
};

/* One line, "name: text"; level is one of enum vhost_log_level. */
void log_line(struct log_limit *limit, enum vhost_log_level level, const char *name,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif /* VHOST_LOG_H */
