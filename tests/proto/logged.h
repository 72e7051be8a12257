/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of the dirty log share: a device which keeps its requests, and what has changed.
 *
 * The device keeps requests until it is told what to do with them.  What it has written then is
 * found by comparing guest memory page by page with a copy from before.
 */
#ifndef TESTS_LOGGED_H
#define TESTS_LOGGED_H

#include "frontend/fe_migrate.h"
#include "tests/echo.h"

#define PAGE ((uint64_t)VU_LOG_PAGE)
#define REGION (UINT64_C(1) << 20)
#define END (2 * REGION)
/* In region 0 behind what fe_mem_alloc() has handed out, and in region 1. */
#define BUF (REGION / 2)
#define BUF1 (REGION + REGION / 2)
#define F_LOG FE_BIT(VU_F_LOG_ALL)
#define ALL ~UINT64_C(0)

/* What it does with a request. */
enum act {
	ACT_WRITE,			/* all, and says so */
	ACT_DIRECT,			/* the same without the library's help */
	ACT_SILENT,			/* all, and says nothing of it */
	ACT_STATUS,			/* the last byte only, as a failed request of a disk */
	ACT_SLICE,			/* some bytes in the middle by vhost_req_slice() */
	ACT_NOTHING,
	ACT_UNPOP,			/* as ACT_STATUS, and gives it back; it comes again */
	ACTS
};

/* Kicks for up_with(): requests are kept for act(), or written at once. */
void keep(struct vhost_queue *q);
void write_at_once(struct vhost_queue *q);

/* The device does this with what it has kept of queue i. */
void act(struct echo *e, unsigned int i, enum act act);

/* Two regions which are neighbours; the same, and a device with two rings. */
void mem_up(struct fe_mem *mem);
void up_with(struct echo *e, struct echo_rings *r, int run, uint64_t protocol,
	     void (*kick)(struct vhost_queue *q));

/* With keep(), and all that can be negotiated. */
void up(struct echo *e, struct echo_rings *r, int run);

/* The log may be NULL. */
void down(struct echo *e, struct echo_rings *r, struct fe_log *log);

void *at(struct echo_rings *r, uint64_t gpa);

/* The device has one request for these bytes, and waits. */
void submit(struct echo_rings *r, unsigned int i, struct iovec *in, unsigned int nin);

/* One descriptor, which may lie across regions, on ring 0. */
void submit_raw(struct echo_rings *r, uint64_t gpa, uint32_t len);

void get(struct fe_ring *ring);

/* A whole request on ring 0: the device writes ten bytes at BUF. */
void write_raw(struct echo *e, struct echo_rings *r);

void wait_broken(struct fe_ring *ring);

/* All which the queue has done so far is in the log when this returns. */
void settle(struct echo *e, unsigned int i);

/* A log for all memory, which is used from now on. */
void log_up(struct echo *e, struct echo_rings *r, struct fe_log *log);

/* Change only the feature. */
void set_log_all(struct echo *e, bool on);

/* Copy the memory; then each page which has changed is in the log; returns how many have. */
void snapshot(struct echo_rings *r);
unsigned int compare(struct echo_rings *r, const struct fe_log *log);

/*
 * The request which waits on queue 0 is done, and what was written is logged, and of its pages, if
 * not all were written, no others.  Returns how many pages have changed.
 */
unsigned int act_and_compare(struct echo *e, struct echo_rings *r, struct fe_log *log,
			     enum act a, unsigned int pages);

#endif /* TESTS_LOGGED_H */
