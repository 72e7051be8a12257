/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine with io_uring: a ring per channel, few system calls per commit.
 *
 * What a commit finds could go to the kernel in one call.  But a disk which has nothing to do would
 * wait meanwhile, for as long as all of that takes to be prepared.  So no more is gathered than the
 * kernel has in work, and no more than URING_GATHER: it gets 1, 1, 2, 4, 8, 8 and so on, and works
 * while we prepare the next ones.  That made random reads faster where 32 of them come and go
 * together, by a few to ten percent; a call for each one makes them no faster still, and costs a
 * tenth more of the processor's time.
 *
 * Reads, writes and flushes go through the ring; FUA is RWF_DSYNC.  Discard and write
 * zeroes go to the pool: the kernel would hand them to a thread of its own just the same.
 * So do writes to the page cache, which the kernel even hands to one thread only: on ext4
 * the pool was measured to be a third faster, and five times with FUA.
 *
 * The ring's own file descriptor tells of completions.  Rings with deferred task work
 * (IORING_SETUP_DEFER_TASKRUN) do not wake whoever polls that descriptor; with an eventfd
 * instead they were measured to be no faster, and are bound to one thread.
 *
 * The file is not registered with the ring.  That would save a few nanoseconds, but a ring
 * goes away some time after it was closed, or its process has died, and until then it would
 * keep the file open and locked, so that a restart would fail.  As it is, the locks (lock.c)
 * last as long as the operations which the kernel still has in work.
 */
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "storage/file.h"

#define URING_REAP	32		/* completions taken at a time */
#define URING_GATHER	8u		/* operations handed over at a time, at most, until a commit */
#define URING_THREADS	4		/* for what does not go through the ring */
#define URING_WRITERS	16		/* when writes are among it */

struct uring_chan {
	struct file_chan fc;		/* first */
	struct io_uring ring;
	unsigned int busy;		/* operations which the kernel has */
	struct notify notify;		/* the ring's descriptor */
};

static struct uring_chan *to_uring(struct storage_chan *chan)
{
	return container_of(chan, struct uring_chan, fc.chan);
}

/*
 * Life
 */

/* A ring with the best flags which the kernel takes. */
static int uring_init(struct io_uring *ring, unsigned int depth)
{
	static const unsigned int flags[] = {
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int err = -EINVAL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags) && err == -EINVAL; i++)
		err = io_uring_queue_init(depth, ring, flags[i]);
	return err;
}

static int uring_open(struct storage *st, const struct storage_params *params,
		      const struct storage_why *why)
{
	const struct file *f = st->file;
	const bool cached = !f->direct && !f->memory;
	struct io_uring ring;
	int err;

	err = uring_init(&ring, st->depth);
	if (err == -EPERM)
		return storage_why(why, err, "io_uring is forbidden here "
				   "(kernel.io_uring_disabled, seccomp)");
	if (err)
		return storage_why(why, err, "io_uring does not work here: %s", strerror(-err));
	io_uring_queue_exit(&ring);
	return file_start(st, params, why, cached ? FILE_INLINE_NOWAIT : FILE_INLINE_NEVER,
			  f->direct ? URING_THREADS : URING_WRITERS);
}

static void uring_start(struct file_chan *fc, struct storage_io *io);
static bool uring_look(struct notify *n);

static int uring_open_ring(struct uring_chan *u)
{
	const struct storage_chan *chan = &u->fc.chan;
	int err;

	err = uring_init(&u->ring, chan->st->depth);
	if (err)
		return err;
	err = notify_open(&u->notify, chan->worker, u->ring.ring_fd, 0, uring_look);
	if (err)
		io_uring_queue_exit(&u->ring);
	return err;
}

static int uring_chan_open(struct storage_chan *chan)
{
	struct uring_chan *u = to_uring(chan);
	int err;

	err = file_chan_open(&u->fc, uring_start);
	if (err)
		return err;
	err = uring_open_ring(u);
	if (err)
		file_chan_close(&u->fc);
	return err;
}

static void uring_chan_close(struct storage_chan *chan)
{
	struct uring_chan *u = to_uring(chan);

	notify_close(&u->notify);
	io_uring_queue_exit(&u->ring);
	file_chan_close(&u->fc);
}

/*
 * Operations
 */

static void uring_prep(struct io_uring_sqe *sqe, int fd, struct storage_io *io)
{
	if (io->op == STORAGE_FLUSH)
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	else if (io->op == STORAGE_READ && io->iovcnt == 1)
		io_uring_prep_read(sqe, fd, io->iov->iov_base, (unsigned int)io->len, io->offset);
	else if (io->op == STORAGE_READ)
		io_uring_prep_readv(sqe, fd, io->iov, io->iovcnt, io->offset);
	else if (io->iovcnt == 1)
		io_uring_prep_write(sqe, fd, io->iov->iov_base, (unsigned int)io->len, io->offset);
	else
		io_uring_prep_writev(sqe, fd, io->iov, io->iovcnt, io->offset);
	if (io->how & STORAGE_FUA)
		sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data(sqe, io);
}

static bool uring_suits(const struct file *f, const struct storage_io *io)
{
	return f->direct || io->op != STORAGE_WRITE;
}

/* Hand the entries to the kernel.  If it has no resources just now, try again later. */
static void uring_enter(struct uring_chan *u)
{
	int n;

	while (io_uring_sq_ready(&u->ring)) {
		n = io_uring_submit(&u->ring);
		if (n <= 0) {
			notify_again(&u->notify);
			return;
		}
		u->busy += (unsigned int)n;
	}
}

/* There is an entry for every operation within the channel's depth. */
static void uring_gather(struct uring_chan *u, struct storage_io *io)
{
	uring_prep(io_uring_get_sqe(&u->ring), u->fc.file->fd, io);
	if (io_uring_sq_ready(&u->ring) >= MIN(MAX(u->busy, 1u), URING_GATHER))
		uring_enter(u);
}

static void uring_start(struct file_chan *fc, struct storage_io *io)
{
	struct file *f = fc->file;

	if (inline_try(fc, io))
		return;
	if (uring_suits(f, io) && file_begin(f, io))
		uring_gather(container_of(fc, struct uring_chan, fc), io);
	else
		pool_submit(&fc->pool, io);
}

static void uring_end(struct uring_chan *u, struct storage_io *io, int res)
{
	int err;

	if (file_end(u->fc.file, io, res, &err))
		merge_complete(io, err);
	else
		pool_submit(&u->fc.pool, io);
}

/* Take what has completed; whether there was anything. */
static bool uring_reap(struct uring_chan *u)
{
	struct io_uring_cqe *cqes[URING_REAP];
	struct storage_io *ios[URING_REAP];
	int res[URING_REAP];
	unsigned int i, n;

	n = io_uring_peek_batch_cqe(&u->ring, cqes, URING_REAP);
	for (i = 0; i < n; i++) {
		ios[i] = io_uring_cqe_get_data(cqes[i]);
		res[i] = cqes[i]->res;
	}
	/* Before any done() is called, for it may come here again. */
	io_uring_cq_advance(&u->ring, n);
	u->busy -= n;
	for (i = 0; i < n; i++)
		uring_end(u, ios[i], res[i]);
	return n > 0;
}

/* Much of what is read from the page cache has completed when it has been submitted. */
static void uring_commit(struct storage_chan *chan)
{
	struct uring_chan *u = to_uring(chan);

	do {
		merge_flush(&u->fc);
		uring_enter(u);
	} while (uring_reap(u));
	pool_commit(&u->fc.pool);
}

static bool uring_look(struct notify *n)
{
	struct uring_chan *u = container_of(n, struct uring_chan, notify);
	bool found = uring_reap(u);

	if (found || io_uring_sq_ready(&u->ring))
		uring_commit(&u->fc.chan);
	return found;
}

const struct storage_ops uring_ops = {
	.name = "uring",
	.chan_size = sizeof(struct uring_chan),
	.open = uring_open,
	.close = file_stop,
	.chan_open = uring_chan_open,
	.chan_close = uring_chan_close,
	.submit = merge_submit,
	.commit = uring_commit,
	.resize = file_resize,
};
