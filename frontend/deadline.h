/* SPDX-License-Identifier: BSD-3-Clause */
/* Points in time until which something is waited for. */
#ifndef FRONTEND_DEADLINE_H
#define FRONTEND_DEADLINE_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock. */
static inline int64_t fe_deadline_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline int64_t fe_deadline(int timeout_ms)
{
	return fe_deadline_now() + timeout_ms;
}

/* Milliseconds until then, at least 0, as poll(2) wants them. */
static inline int fe_deadline_left(int64_t deadline)
{
	int64_t left = deadline - fe_deadline_now();

	return left > 0 ? (int)left : 0;
}

#endif /* FRONTEND_DEADLINE_H */
