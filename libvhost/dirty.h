/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of written pages, for a migration: a bitmap in a file of the front-end's.
 *
 * The control worker makes and frees it; queues mark pages in the one which
 * their configuration names.
 */
#ifndef VHOST_DIRTY_H
#define VHOST_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"
#include "spec.h"

struct dirty_log {
	uint8_t *bits;			/* one for each VU_LOG_PAGE of guest memory, from 0 on */
	uint64_t size;			/* bytes of bits */
	void *map;			/* what mmap() returned, at or before bits */
	size_t map_len;			/* bytes */
};

/* What a queue has to log, and where; a value, made by the control worker. */
struct dirty_conf {
	bool on;			/* VHOST_F_LOG_ALL is negotiated */
	bool ring;			/* VHOST_VRING_F_LOG: what the ring itself is written, too */
	bool ring_known;		/* ring_gpa is valid; otherwise it has to be found */
	uint64_t ring_gpa;		/* guest address of the ring's device area */
	const struct dirty_log *log;	/* NULL: it has not come yet */
	bool stale;			/* another log will come, which then lacks what is in this one */
	int fd;				/* to be signalled after marking; -1: none */
	bool pipe;			/* it is no eventfd */
};

/*
 * Map the log which place describes in fd, which remains the caller's.  -EINVAL: it has no bytes,
 * wraps, or leaves the file; -ENOMEM, or what mmap() said.
 */
int dirty_log_new(const struct mem *mem, const struct vu_log *place, int fd,
		  struct dirty_log **log);
/* Nobody marks in it any more.  NULL is allowed. */
void dirty_log_free(struct dirty_log *log);

/*
 * Note that the guest's memory [gpa, gpa + len) was written to.  False: the log does not reach so
 * far, and nothing was marked.  Any thread.
 */
bool dirty_mark(const struct dirty_log *log, uint64_t gpa, uint64_t len);

/* Note that all of the map may have been written to, as far as the log reaches. */
void dirty_mark_map(const struct dirty_log *log, const struct mem_map *map);

#endif /* VHOST_DIRTY_H */
