/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside storage: what storage.c, the engines and the filters share.
 *
 * An engine or a filter is a struct storage_ops.  It is given operations which
 * storage.c has checked, and ends each with storage_complete().
 */
#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "storage/storage.h"
#include "util.h"

struct file;

/* Bits of storage_io.how, beside those of storage_io.flags. */
#define HOW_LOCKED	(1u << 8)	/* holds the file's rmw lock, see file_begin() */
#define HOW_JOINT	(1u << 9)	/* stands for several, see merge.c */
/* For the statistics: */
#define HOW_HELPED	(1u << 10)
#define HOW_BOUNCED	(1u << 11)
#define HOW_MERGED	(1u << 12)
#define HOW_NOTES	(HOW_HELPED | HOW_BOUNCED | HOW_MERGED)

/* Where the reason of a failed open goes. */
struct storage_why {
	char *text;
	size_t size;
};

/* Write the reason; returns err. */
int storage_why(const struct storage_why *why, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

struct storage_ops {
	const char *name;
	size_t chan_size;		/* of the structure which begins with a storage_chan */

	/* Find out whether the engine works, and start what all channels share. */
	int (*open)(struct storage *st, const struct storage_params *params,
		    const struct storage_why *why);
	void (*close)(struct storage *st);

	/* The channel is zero but for what storage.c keeps in it. */
	int (*chan_open)(struct storage_chan *chan);
	void (*chan_close)(struct storage_chan *chan);

	/* Start io.  It need not reach the kernel before commit, which always follows. */
	void (*submit)(struct storage_chan *chan, struct storage_io *io);
	void (*commit)(struct storage_chan *chan);

	/* Give the image this size, or, with 0, find out which one it has.  Control worker. */
	int (*resize)(struct storage *st, uint64_t *size, const struct storage_why *why);
};

/* Constant while channels are open, unless marked. */
struct storage {
	const struct storage_ops *ops;
	struct storage_info info;	/* but for size, see below */
	unsigned int depth;
	unsigned int sector;		/* bytes of which the size is a multiple */
	bool write_through;		/* every write is made a FUA write */
	struct file *file;		/* of the engines which serve files, else NULL */
	void *priv;			/* of the filter */

	_Atomic uint64_t size;		/* written by the control worker, under the lock */
	pthread_mutex_t lock;
	struct storage_chan *chans;	/* under the lock */
	struct resize *resize;		/* of the control worker; NULL: none is in work */
};

/* A list, first in first out, of operations.  Zero is an empty one. */
struct io_list {
	struct storage_io *head, *tail;
};

/* Touched only on its worker. */
struct storage_chan {
	struct storage *st;
	struct vhost_worker *worker;
	struct storage_chan *next, **link;	/* in the image's list, under its lock */
	uint64_t size;			/* bytes; the image's end for what is submitted here */
	struct resize_part *part;	/* of a change of size, until it is done; set under the lock */
	bool draining;			/* it waits until nothing is in flight */
	unsigned int limit;		/* how many may be in flight: depth, or 0 while draining */
	unsigned int inflight;		/* with the engine */
	bool finishing;			/* within storage_complete() */
	struct io_list waiting;		/* until fewer are in flight */
	struct io_list finished;	/* until storage_complete() comes to them */
	struct storage_stats stats;
};

/*
 * io has come to its end; io->chan, which need not be the engine's own channel when a
 * filter is in between, tells the user.  On the channel's worker.
 *
 * This may start operations which have waited, so whoever calls it outside of submit
 * and commit calls storage_commit() on his own channel afterwards.
 */
void storage_complete(struct storage_io *io, int err);

/* storage.c: what is wrong with this size, or 0. */
int storage_check_size(const struct storage *st, uint64_t size, const struct storage_why *why);

/* resize.c; these of a channel on its worker: */
void resize_chan_open(struct storage_chan *chan);
void resize_chan_close(struct storage_chan *chan);
/* Nothing is in flight any more. */
void resize_drained(struct storage_chan *chan);
/* The image goes; a change in work, if there is one, takes its course without it. */
void resize_storage_close(struct storage *st);

extern const struct storage_ops null_ops, threads_ops, aio_ops, uring_ops;

/* Put a filter which injects the errors of params->fault before *st. */
int fault_wrap(struct storage **st, const struct storage_params *params,
	       const struct storage_why *why);

static inline void io_list_add(struct io_list *list, struct storage_io *io)
{
	io->next = NULL;
	if (list->head)
		list->tail->next = io;
	else
		list->head = io;
	list->tail = io;
}

/* The first one, or NULL. */
static inline struct storage_io *io_list_take(struct io_list *list)
{
	struct storage_io *io = list->head;

	if (io)
		list->head = io->next;
	return io;
}

/* Move all of from behind those of to. */
static inline void io_list_move(struct io_list *to, struct io_list *from)
{
	if (!from->head)
		return;
	if (to->head)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	from->head = NULL;
}

#endif /* STORAGE_ENGINE_H */
