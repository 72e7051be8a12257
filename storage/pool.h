/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper threads of an image, which do operations by blocking calls (sync.c).
 *
 * Each channel brings its operations with pool_submit() and pool_commit(), and is told of
 * their end on its own worker.
 */
#ifndef STORAGE_POOL_H
#define STORAGE_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/engine.h"
#include "storage/notify.h"

struct pool;

struct pool_chan {
	struct pool *pool;
	struct storage_chan *chan;	/* the channel which this is part of */
	struct io_list gathered;	/* worker: until commit */
	unsigned int gathered_cnt;

	struct notify notify;		/* worker: look at done */
	int fd;				/* eventfd, written when done becomes non-empty */
	pthread_mutex_t lock;		/* of done */
	struct io_list done;		/* ended by the threads */
	atomic_bool any_done;		/* done is not empty; set and cleared with the lock held */
};

/* Start that many threads, which work on f. */
int pool_new(struct pool **pool, struct file *f, unsigned int threads);
void pool_free(struct pool *pool);

int pool_chan_open(struct pool_chan *pc, struct pool *pool, struct storage_chan *chan);
void pool_chan_close(struct pool_chan *pc);

/* On the channel's worker. */
void pool_submit(struct pool_chan *pc, struct storage_io *io);
void pool_commit(struct pool_chan *pc);

#endif /* STORAGE_POOL_H */
