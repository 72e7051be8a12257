/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine with Linux AIO, for kernels on which io_uring is absent or forbidden.
 *
 * A context per channel, one io_submit() per commit; an eventfd tells of completions, and
 * libaio looks into the completion ring without a system call.  Flush, discard and write
 * zeroes go to the pool.  Only with O_DIRECT is Linux AIO asynchronous: with the page
 * cache io_submit() returns when the data have been copied, and holds up the worker until
 * then; auto does not choose it there.
 *
 * The control blocks live in storage_io.engine, so there is nothing to allocate.
 */
#include <errno.h>
#include <event2/event.h>
#include <libaio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "storage/file.h"

#define AIO_REAP	32		/* completions taken at a time */
#define AIO_THREADS	4		/* for what AIO does not do */

struct aio_chan {
	struct file_chan fc;		/* first */
	io_context_t ctx;
	struct iocb **batch;		/* to be submitted at commit; room for the depth */
	unsigned int batch_cnt;
	int fd;				/* eventfd of all control blocks */
	struct notify notify;
};

_Static_assert(sizeof(struct iocb) <= sizeof(((struct storage_io *)0)->engine),
	       "a control block fits into an operation");

static struct aio_chan *to_aio(struct storage_chan *chan)
{
	return container_of(chan, struct aio_chan, fc.chan);
}

/*
 * Life
 */

static int aio_open(struct storage *st, const struct storage_params *params,
		    const struct storage_why *why)
{
	const struct file *f = st->file;
	const bool cached = !f->direct && !f->memory;
	io_context_t ctx = NULL;
	int err;

	err = io_setup((int)st->depth, &ctx);
	if (err == -EAGAIN)
		return storage_why(why, err, "Linux AIO has no more contexts (fs.aio-max-nr)");
	if (err)
		return storage_why(why, err, "Linux AIO does not work here: %s", strerror(-err));
	io_destroy(ctx);
	return file_start(st, params, why, cached ? FILE_INLINE_NOWAIT : FILE_INLINE_NEVER,
			  AIO_THREADS);
}

static void aio_start(struct file_chan *fc, struct storage_io *io);
static bool aio_look(struct notify *n);

static void aio_close_context(struct aio_chan *a)
{
	notify_close(&a->notify);
	if (a->ctx)
		io_destroy(a->ctx);
	close_fd(&a->fd);
	free(a->batch);
}

static int aio_open_context(struct aio_chan *a)
{
	const struct storage_chan *chan = &a->fc.chan;
	int err;

	a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->fd < 0)
		return -errno;
	a->batch = calloc(chan->st->depth, sizeof(struct iocb *));
	err = a->batch ? io_setup((int)chan->st->depth, &a->ctx) : -ENOMEM;
	if (!err)
		err = notify_open(&a->notify, chan->worker, a->fd, EV_ET, aio_look);
	if (err)
		aio_close_context(a);
	return err;
}

static int aio_chan_open(struct storage_chan *chan)
{
	struct aio_chan *a = to_aio(chan);
	int err;

	err = file_chan_open(&a->fc, aio_start);
	if (err)
		return err;
	err = aio_open_context(a);
	if (err)
		file_chan_close(&a->fc);
	return err;
}

static void aio_chan_close(struct storage_chan *chan)
{
	struct aio_chan *a = to_aio(chan);

	aio_close_context(a);
	file_chan_close(&a->fc);
}

/*
 * Operations
 */

static void aio_prep(const struct aio_chan *a, struct iocb *cb, struct storage_io *io)
{
	const int fd = a->fc.file->fd, cnt = (int)io->iovcnt;
	const long long off = (long long)io->offset;

	if (io->op == STORAGE_READ)
		io_prep_preadv(cb, fd, io->iov, cnt, off);
	else
		io_prep_pwritev(cb, fd, io->iov, cnt, off);
	if (io->how & STORAGE_FUA)
		cb->aio_rw_flags = RWF_DSYNC;
	io_set_eventfd(cb, a->fd);
	cb->data = io;
}

static void aio_start(struct file_chan *fc, struct storage_io *io)
{
	struct aio_chan *a = container_of(fc, struct aio_chan, fc);
	struct iocb *cb = (struct iocb *)&io->engine;

	if (inline_try(fc, io))
		return;
	if (io->op == STORAGE_FLUSH || !file_begin(fc->file, io)) {
		pool_submit(&fc->pool, io);
		return;
	}
	aio_prep(a, cb, io);
	a->batch[a->batch_cnt++] = cb;
}

static void aio_end(struct aio_chan *a, struct storage_io *io, long res)
{
	int err;

	if (file_end(a->fc.file, io, res, &err))
		merge_complete(io, err);
	else
		pool_submit(&a->fc.pool, io);
}

static void aio_commit(struct storage_chan *chan)
{
	struct aio_chan *a = to_aio(chan);
	struct iocb **cb = a->batch;
	unsigned int left;
	int n;

	merge_flush(&a->fc);
	left = a->batch_cnt;
	a->batch_cnt = 0;
	while (left) {
		n = io_submit(a->ctx, (long)left, cb);
		if (n <= 0) {
			/* The first one is not taken; the pool will, or find out why not. */
			aio_end(a, (*cb)->data, -EAGAIN);
			n = 1;
		}
		cb += n;
		left -= (unsigned int)n;
	}
	pool_commit(&a->fc.pool);
}

static bool aio_look(struct notify *n)
{
	struct aio_chan *a = container_of(n, struct aio_chan, notify);
	struct io_event events[AIO_REAP];
	struct timespec now = { 0, 0 };
	int i, cnt, total = 0;

	do {
		cnt = io_getevents(a->ctx, 0, AIO_REAP, events, &now);
		for (i = 0; i < cnt; i++)
			aio_end(a, events[i].data, (long)events[i].res);
		total += MAX(cnt, 0);
	} while (cnt == AIO_REAP);
	if (total)
		storage_commit(&a->fc.chan);
	return total > 0;
}

const struct storage_ops aio_ops = {
	.name = "aio",
	.chan_size = sizeof(struct aio_chan),
	.open = aio_open,
	.close = file_stop,
	.chan_open = aio_chan_open,
	.chan_close = aio_chan_close,
	.submit = merge_submit,
	.commit = aio_commit,
	.resize = file_resize,
};
