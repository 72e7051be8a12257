/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images, channels and operations: the one choke point before all engines.
 *
 * The way of an operation: storage_submit() checks it and gives it to the engine,
 * unless the channel is at its depth, in which case it waits its turn.  The engine ends
 * it with storage_complete(), often before storage_submit() returns.
 *
 * done() may submit the next operation, which may complete at once, and so on.  So that
 * this does not nest, storage_complete() calls done() only from one place of the stack:
 * what completes while a done() runs is put on the list "finished", and the outermost
 * storage_complete() works through that list.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/engine.h"
#include "storage/file.h"

#define DEPTH_DEFAULT	256u
#define DEPTH_MAX	4096u
#define THREADS_MAX	256u
#define ALIGN_MAX	65536u

int storage_why(const struct storage_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, why->size, fmt, ap);
	va_end(ap);
	return err;
}

/*
 * Operations
 */

/* Whether the elements of iov hold io->len bytes; their sum is not trusted not to wrap. */
static bool storage_iov_fits(const struct storage_io *io)
{
	uint64_t left = io->len;
	unsigned int i;

	for (i = 0; i < io->iovcnt; i++) {
		if (io->iov[i].iov_len > left)
			return false;
		left -= io->iov[i].iov_len;
	}
	return left == 0;
}

/* Data up to the end is the answer of those who know no better. */
static int storage_check_map(const struct storage_io *io)
{
	struct storage_map *map = io->map;

	if (!map->room || !is_power_of_2(map->unit) || (io->offset | io->len) & (map->unit - 1))
		return -EINVAL;
	map->runs[0] = (struct storage_run){ .len = io->len };
	map->cnt = io->len ? 1 : 0;
	return 0;
}

static int storage_check(const struct storage_chan *chan, const struct storage_io *io)
{
	const struct storage_info *info = &chan->st->info;
	static const unsigned int flags[STORAGE_OPS] = {
		[STORAGE_WRITE] = STORAGE_FUA,
		[STORAGE_DISCARD] = STORAGE_FUA,
		[STORAGE_WRITE_ZEROES] = STORAGE_FUA | STORAGE_UNMAP,
	};

	if (io->flags & ~flags[io->op])
		return -EINVAL;
	if (io->op == STORAGE_FLUSH)
		return io->len ? -EINVAL : 0;
	if ((io->offset | io->len) % STORAGE_SECTOR)
		return -EINVAL;
	if (io->offset > chan->size || io->len > chan->size - io->offset)
		return -ERANGE;
	if (io->op == STORAGE_READ)
		return storage_iov_fits(io) ? 0 : -EINVAL;
	if (io->op == STORAGE_MAP)
		return storage_check_map(io);
	if (info->read_only)
		return -EROFS;
	if (io->op == STORAGE_WRITE)
		return storage_iov_fits(io) ? 0 : -EINVAL;
	if (io->op == STORAGE_DISCARD && !info->discard_max)
		return -EOPNOTSUPP;
	return 0;
}

static void storage_note(struct storage_stats *stats, unsigned int how)
{
	stats->helped += !!(how & HOW_HELPED);
	stats->bounced += !!(how & HOW_BOUNCED);
	stats->merged += !!(how & HOW_MERGED);
}

static void storage_finish(struct storage_io *io)
{
	struct storage_stats *stats = &io->chan->stats;

	stats->ops[io->op]++;
	if (io->result)
		stats->errors[io->op]++;
	else
		stats->bytes[io->op] += io->len;
	if (unlikely(io->how & HOW_NOTES))
		storage_note(stats, io->how);
	io->done(io, io->result);
}

static void storage_start(struct storage_chan *chan, struct storage_io *io);

/* An operation has ended, or was refused; nothing of it is counted as in flight. */
static void storage_end(struct storage_chan *chan, struct storage_io *io)
{
	if (chan->finishing) {
		io_list_add(&chan->finished, io);
		return;
	}
	chan->finishing = true;
	do {
		storage_finish(io);
		while (chan->waiting.head && chan->inflight < chan->limit)
			storage_start(chan, io_list_take(&chan->waiting));
	} while ((io = io_list_take(&chan->finished)));
	chan->finishing = false;
}

void storage_complete(struct storage_io *io, int err)
{
	struct storage_chan *chan = io->chan;

	io->result = err;
	chan->inflight--;
	if (unlikely(chan->draining) && !chan->inflight)
		resize_drained(chan);
	storage_end(chan, io);
}

/* It is judged when its turn has come: the size may have changed while it waited. */
static void storage_start(struct storage_chan *chan, struct storage_io *io)
{
	io->result = storage_check(chan, io);
	if (io->result || (!io->len && io->op != STORAGE_FLUSH)) {
		storage_end(chan, io);
		return;
	}
	chan->inflight++;
	chan->st->ops->submit(chan, io);
}

void storage_submit(struct storage_chan *chan, struct storage_io *io)
{
	const struct storage *st = chan->st;

	assert(io->op < STORAGE_OPS);
	io->chan = chan;
	io->how = io->flags;
	if (st->write_through && io->op >= STORAGE_WRITE && io->op != STORAGE_FLUSH &&
	    io->op != STORAGE_MAP)
		io->how |= STORAGE_FUA;
	if (chan->inflight >= chan->limit || chan->waiting.head)
		io_list_add(&chan->waiting, io);
	else
		storage_start(chan, io);
}

void storage_commit(struct storage_chan *chan)
{
	chan->st->ops->commit(chan);
}

/*
 * Channels
 */

int storage_chan_open(struct storage *st, struct vhost_worker *w, struct storage_chan **chan_out)
{
	struct storage_chan *chan = line_calloc(1, st->ops->chan_size);
	int err;

	if (!chan)
		return -ENOMEM;
	chan->st = st;
	chan->worker = w;
	chan->limit = st->depth;
	err = st->ops->chan_open(chan);
	if (err) {
		free(chan);
		return err;
	}
	resize_chan_open(chan);
	*chan_out = chan;
	return 0;
}

void storage_chan_close(struct storage_chan *chan)
{
	assert(!chan->inflight && !chan->waiting.head && !chan->finishing);
	resize_chan_close(chan);
	chan->st->ops->chan_close(chan);
	free(chan);
}

uint64_t storage_chan_size(const struct storage_chan *chan)
{
	return chan->size;
}

void storage_chan_stats(const struct storage_chan *chan, struct storage_stats *stats)
{
	*stats = chan->stats;
}

/*
 * Images
 */

static int storage_check_params(const struct storage_params *params, const struct storage_why *why)
{
	unsigned int block = params->block_size;

	if (block && block != 512 && block != 4096)
		return storage_why(why, -EINVAL, "the block size is neither 512 nor 4096");
	if (params->depth > DEPTH_MAX)
		return storage_why(why, -EINVAL, "the depth is above %u", DEPTH_MAX);
	if (params->threads > THREADS_MAX)
		return storage_why(why, -EINVAL, "more than %u threads", THREADS_MAX);
	if (params->align && (!is_power_of_2(params->align) || params->align > ALIGN_MAX))
		return storage_why(why, -EINVAL, "the alignment is no power of two up to %u",
				   ALIGN_MAX);
	if (params->engine == STORAGE_ENGINE_NULL && params->path)
		return storage_why(why, -EINVAL, "the null engine serves no file");
	if (params->engine == STORAGE_ENGINE_NULL && !params->size)
		return storage_why(why, -EINVAL, "the null engine needs a size");
	if (params->engine != STORAGE_ENGINE_NULL && !params->path)
		return storage_why(why, -EINVAL, "no file is named");
	return 0;
}

int storage_check_size(const struct storage *st, uint64_t bytes, const struct storage_why *why)
{
	const unsigned long long size = bytes;

	if (size % st->sector)
		return storage_why(why, -EINVAL,
				   "the size of %llu bytes is not a multiple of the block size %u",
				   size, st->sector);
	if (st->info.block_size > STORAGE_SECTOR && size % st->info.block_size)
		return storage_why(why, -EINVAL,
				   "the size of %llu bytes is not a multiple of %u, "
				   "which the kernel needs for O_DIRECT here",
				   size, st->info.block_size);
	return 0;
}

static int storage_open_engine(struct storage *st, const struct storage_ops *ops,
			       const struct storage_params *params, const struct storage_why *why)
{
	int err = ops->open(st, params, why);

	if (err)
		return err;
	st->ops = ops;
	st->info.engine = ops->name;
	return 0;
}

/* What auto tries, best first. */
static const struct storage_ops *const *storage_preference(const struct storage *st)
{
	/* System calls which never wait for a disk: nothing beats calling them. */
	static const struct storage_ops *const memory[] = { &threads_ops, NULL };
	static const struct storage_ops *const disk[] = { &uring_ops, &aio_ops, &threads_ops,
							  NULL };
	/* With the page cache, AIO is synchronous. */
	static const struct storage_ops *const cached[] = { &uring_ops, &threads_ops, NULL };

	if (st->file->memory)
		return memory;
	return st->file->direct ? disk : cached;
}

static int storage_choose_engine(struct storage *st, const struct storage_params *params,
				 const struct storage_why *why)
{
	static const struct storage_ops *const by_name[] = {
		[STORAGE_ENGINE_URING] = &uring_ops,
		[STORAGE_ENGINE_AIO] = &aio_ops,
		[STORAGE_ENGINE_THREADS] = &threads_ops,
	};
	const struct storage_ops *const *ops;
	int err = -EINVAL;

	if (params->engine != STORAGE_ENGINE_AUTO)
		return storage_open_engine(st, by_name[params->engine], params, why);
	for (ops = storage_preference(st); *ops && err; ops++)
		err = storage_open_engine(st, *ops, params, why);
	return err;
}

static int storage_open_image(struct storage *st, const struct storage_params *params,
			      const struct storage_why *why)
{
	int err;

	if (params->engine == STORAGE_ENGINE_NULL)
		err = storage_open_engine(st, &null_ops, params, why);
	else
		err = file_open(&st->file, &st->info, params, why);
	if (!err)
		err = storage_check_size(st, st->info.size, why);
	if (!err && st->file)
		err = storage_choose_engine(st, params, why);
	return err;
}

int storage_open(struct storage **st_out, const struct storage_params *params,
		 char *text, size_t text_size)
{
	const struct storage_why why = { text, text_size };
	struct storage *st;
	int err;

	err = storage_check_params(params, &why);
	if (err)
		return err;
	st = calloc(1, sizeof(*st));
	if (!st)
		return storage_why(&why, -ENOMEM, "out of memory");
	pthread_mutex_init(&st->lock, NULL);
	st->depth = params->depth ? params->depth : DEPTH_DEFAULT;
	st->sector = params->block_size ? params->block_size : STORAGE_SECTOR;
	st->write_through = params->cache == STORAGE_CACHE_WRITETHROUGH;
	err = storage_open_image(st, params, &why);
	atomic_init(&st->size, st->info.size);
	if (!err && params->fault)
		err = fault_wrap(&st, params, &why);
	if (err) {
		if (st->info.created)
			unlink(params->path);
		storage_close(st);
		return err;
	}
	*st_out = st;
	return 0;
}

void storage_close(struct storage *st)
{
	resize_storage_close(st);
	pthread_mutex_destroy(&st->lock);
	if (st->ops)
		st->ops->close(st);
	if (st->file)
		file_close(st->file);
	free(st);
}

void storage_info(const struct storage *st, struct storage_info *info)
{
	*info = st->info;
	info->size = atomic_load_explicit(&st->size, memory_order_relaxed);
}
