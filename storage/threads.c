/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine without a ring: what cannot be done inline is done by a helper thread. */
#include "storage/file.h"

/* As many operations of a disk are in flight. */
#define THREADS_DEFAULT 16

static int threads_open(struct storage *st, const struct storage_params *params,
			const struct storage_why *why)
{
	enum file_inline try_inline = FILE_INLINE_NOWAIT;

	if (st->file->memory)
		try_inline = FILE_INLINE_ALWAYS;
	else if (st->file->direct)
		try_inline = FILE_INLINE_NEVER;
	return file_start(st, params, why, try_inline, THREADS_DEFAULT);
}

static void threads_start(struct file_chan *fc, struct storage_io *io)
{
	if (!inline_try(fc, io))
		pool_submit(&fc->pool, io);
}

static int threads_chan_open(struct storage_chan *chan)
{
	return file_chan_open(container_of(chan, struct file_chan, chan), threads_start);
}

static void threads_chan_close(struct storage_chan *chan)
{
	file_chan_close(container_of(chan, struct file_chan, chan));
}

static void threads_commit(struct storage_chan *chan)
{
	struct file_chan *fc = container_of(chan, struct file_chan, chan);

	merge_flush(fc);
	pool_commit(&fc->pool);
}

const struct storage_ops threads_ops = {
	.name = "threads",
	.chan_size = sizeof(struct file_chan),
	.open = threads_open,
	.close = file_stop,
	.chan_open = threads_chan_open,
	.chan_close = threads_chan_close,
	.submit = merge_submit,
	.commit = threads_commit,
	.resize = file_resize,
};
