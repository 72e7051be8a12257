/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine without a disk, a sink for benchmarks: everything succeeds at once, writes go
 * nowhere, and reads leave the buffers as they are.
 */
#include "storage/engine.h"

static int null_open(struct storage *st, const struct storage_params *params,
		     const struct storage_why *why)
{
	(void)why;
	st->info.size = params->size;
	st->info.block_size = STORAGE_SECTOR;
	st->info.physical_block = 4096;
	st->info.mem_align = 1;
	st->info.discard_max = params->read_only ? 0 : UINT64_C(1) << 30;
	st->info.discard_align = 4096;
	st->info.zeroes_max = UINT64_C(1) << 30;
	st->info.zero_unmap = !params->read_only;
	st->info.volatile_cache = !params->read_only && !st->write_through;
	st->info.read_only = params->read_only;
	return 0;
}

static void null_close(struct storage *st)
{
	(void)st;
}

static int null_chan_open(struct storage_chan *chan)
{
	(void)chan;
	return 0;
}

static void null_chan_close(struct storage_chan *chan)
{
	(void)chan;
}

static void null_submit(struct storage_chan *chan, struct storage_io *io)
{
	(void)chan;
	storage_complete(io, 0);
}

static void null_commit(struct storage_chan *chan)
{
	(void)chan;
}

static int null_resize(struct storage *st, uint64_t *size, const struct storage_why *why)
{
	(void)why;
	if (!*size)
		*size = atomic_load_explicit(&st->size, memory_order_relaxed);
	return 0;
}

const struct storage_ops null_ops = {
	.name = "null",
	.chan_size = sizeof(struct storage_chan),
	.open = null_open,
	.close = null_close,
	.chan_open = null_chan_open,
	.chan_close = null_chan_close,
	.submit = null_submit,
	.commit = null_commit,
	.resize = null_resize,
};
