/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end's part in migration: the messages, and what a front-end keeps for them.
 *
 * Errors are as those of all requests in frontend.h; an answer of the back-end which
 * means "no" is -EIO.
 */
#ifndef FRONTEND_FE_MIGRATE_H
#define FRONTEND_FE_MIGRATE_H

#include <pthread.h>

#include "frontend/frontend.h"

/*
 * Messages
 */

/*
 * size bytes of bitmap at offset of fd, one bit for each VU_LOG_PAGE.  Without LOG_SHMFD the fd is
 * not sent, and the message is one without a reply of its own.
 */
int fe_set_log_base(struct fe *fe, uint64_t size, uint64_t offset, int fd);

/* An eventfd which is written when something was logged. */
int fe_set_log_fd(struct fe *fe, int fd);

/*
 * Ask for an in-flight region for inflight->num_queues queues of inflight->queue_size entries, and
 * learn its size and offset.  The fd belongs to the caller.
 */
int fe_get_inflight_fd(struct fe *fe, struct vu_inflight *inflight, int *fd);
int fe_set_inflight_fd(struct fe *fe, const struct vu_inflight *inflight, int fd);

/* The back-end's userfaultfd, which belongs to the caller. */
int fe_postcopy_advise(struct fe *fe, int *fd);

/* These two ask for an ack whatever was negotiated, as QEMU does. */
int fe_postcopy_listen(struct fe *fe);
int fe_postcopy_end(struct fe *fe);

/*
 * The memory while the back-end listens.  It says where it has mapped each region: bases[mem->num].
 * It touches nothing there before the go-ahead, which comes once someone resolves its faults; the
 * request is that which told the memory, VU_SET_MEM_TABLE or VU_ADD_MEM_REG, and there is no ack.
 */
int fe_postcopy_set_mem_table(struct fe *fe, const struct fe_mem *mem, uint64_t *bases);
int fe_postcopy_go_ahead(struct fe *fe, uint32_t request);

/* The same for one region, as QEMU did until 11.0; the go-ahead comes after the last. */
int fe_postcopy_add_mem_reg(struct fe *fe, const struct fe_region *region, uint64_t *base);

/*
 * Tell the back-end to write its state to fd, or to read it from there: direction is
 * VU_TRANSFER_SAVE or _LOAD, phase VU_TRANSFER_STOPPED.  fd stays the caller's.  *other is an fd of
 * the back-end's choice which must be used instead, and belongs to the caller; -1: none.
 */
int fe_set_device_state_fd(struct fe *fe, uint32_t direction, uint32_t phase, int fd, int *other);

/* Whether the transfer, which has come to its end, has succeeded. */
int fe_check_device_state(struct fe *fe);

/*
 * Dirty log
 */

/* A bitmap which the back-end writes and we read.  The log's file may begin with something else. */
struct fe_log {
	int fd;				/* memfd, owned */
	uint8_t *map;			/* of the whole file, owned */
	uint8_t *bits;			/* the bitmap in it */
	uint64_t size;			/* bytes of the bitmap */
	uint64_t offset;		/* of the bitmap in the file, bytes */
};

/* A clean log for the guest addresses below end, whose bitmap begins at offset of its file. */
int fe_log_init(struct fe_log *log, uint64_t end, uint64_t offset);
void fe_log_free(struct fe_log *log);

/* Whether the page of a guest address is dirty; the same, and it is clean from now on. */
bool fe_log_is_dirty(const struct fe_log *log, uint64_t gpa);
bool fe_log_take(struct fe_log *log, uint64_t gpa);

/* Dirty pages; and make all clean. */
uint64_t fe_log_count(const struct fe_log *log);
void fe_log_clear(struct fe_log *log);

/*
 * Copy each dirty page from one memory to another with the same regions, as migration does: first
 * the bit is taken, then the page is read.  Returns their number; -EFAULT: a dirty page is not in
 * one region of both.
 */
int64_t fe_log_copy(struct fe_log *log, const struct fe_mem *from, const struct fe_mem *to);

/* SET_LOG_BASE with this log. */
int fe_log_set(struct fe *fe, const struct fe_log *log);

/*
 * Begin or end logging as QEMU does: the log, the feature, then each ring's address anew with the
 * flag for it and the guest address of the area which the device writes.
 */
int fe_log_start(struct fe *fe, const struct fe_log *log, struct fe_ring *const *rings,
		 unsigned int num);
int fe_log_stop(struct fe *fe, struct fe_ring *const *rings, unsigned int num);

/*
 * In-flight region
 */

/* What a front-end keeps while back-ends come and go. */
struct fe_inflight {
	struct vu_inflight info;	/* as the back-end has given it */
	int fd;				/* owned; -1: none */
	uint8_t *map;			/* mmap_size bytes, owned; whoever is hostile writes here */
	uint8_t *page;			/* where the mapping begins, since the offset may be odd */
};

/* To begin with none. */
#define FE_INFLIGHT_NONE	((struct fe_inflight){ .fd = -1 })

/* Ask for a region, map it, and give it back at once, as QEMU does; one from before is dropped. */
int fe_inflight_open(struct fe *fe, struct fe_inflight *inflight, unsigned int num_queues,
		     unsigned int queue_size);

/* Give it to a new back-end. */
int fe_inflight_set(struct fe *fe, const struct fe_inflight *inflight);

/* Where the region of queue i begins: all are of the same size. */
uint8_t *fe_inflight_queue(const struct fe_inflight *inflight, unsigned int i);

void fe_inflight_free(struct fe_inflight *inflight);

/*
 * Postcopy
 */

/*
 * The destination's front-end: a thread which resolves the back-end's page faults with pages of
 * another memory, the source's.  Nobody here may touch a page of the destination before it has
 * come, since the kernel would make an empty one; fe_postcopy_fetch() brings it.
 */
struct fe_postcopy {
	int uffd;			/* the back-end's, owned */
	const struct fe_mem *mem;	/* the destination's, the caller's */
	const struct fe_mem *source;	/* as many regions of the same sizes, the caller's */
	uint64_t *bases;		/* [mem->num], the back-end's addresses, owned */
	int wake_fd;			/* eventfd, ends the thread, owned */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* held or faults */
	bool held;			/* by lock: faults are not resolved */
	uint64_t faults;		/* by lock: seen; while held no more than one is */
	uint64_t pages;			/* by lock: brought because of a fault */
};

/* ADVISE and LISTEN.  -EIO: the back-end cannot. */
int fe_postcopy_begin(struct fe_postcopy *pc, struct fe *fe);

/*
 * Tell the memory by SET_MEM_TABLE, or with by_region by ADD_MEM_REG, start the thread, give the
 * go-ahead.
 */
int fe_postcopy_start(struct fe_postcopy *pc, struct fe *fe, const struct fe_mem *mem,
		      const struct fe_mem *source, bool by_region);

/* Leave faults unresolved from now on, or resolve them again, those which wait first. */
void fe_postcopy_hold(struct fe_postcopy *pc, bool hold);

/* Wait until there have been so many faults. */
int fe_postcopy_wait_faults(struct fe_postcopy *pc, uint64_t num, int timeout_ms);

/* Pages brought because of a fault. */
uint64_t fe_postcopy_pages(struct fe_postcopy *pc);

/* Bring what is not there yet: the pages of len bytes at a guest address, or all. */
int fe_postcopy_fetch(struct fe_postcopy *pc, uint64_t gpa, uint64_t len);
int fe_postcopy_fetch_all(struct fe_postcopy *pc);

/* Bring all, send POSTCOPY_END, and end the thread. */
int fe_postcopy_finish(struct fe_postcopy *pc, struct fe *fe);

/* End the thread, wherever it is, and free all; also after a failure of any of the above. */
void fe_postcopy_free(struct fe_postcopy *pc);

/*
 * Device state
 */

#define FE_STATE_MAX	(64u << 20)	/* bytes which are read before we call it endless */

/*
 * Let the back-end save its state into a buffer, which belongs to the caller (free(3)), or load it
 * from there, and ask whether it worked: -EIO.  -EFBIG: there is no end to it.  A back-end may
 * close its end of the pipe too early, so whoever loads should have SIGPIPE ignored.
 */
int fe_state_save(struct fe *fe, void **buf, size_t *len);
int fe_state_load(struct fe *fe, const void *buf, size_t len);

#endif /* FRONTEND_FE_MIGRATE_H */
