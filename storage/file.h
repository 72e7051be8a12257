/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Images which are files or block devices: what their engines share.
 *
 * Neighbours become one operation first (merge.c).  An operation on a file is then done in one
 * of three ways:
 *
 *   inline.c   at once, by a system call which does not wait for a disk;
 *   an engine  (uring.c, aio.c) hands it to the kernel and hears of its end later, if
 *              the kernel can take it as it is;
 *   sync.c     by blocking calls on a helper thread (pool.c), which can do anything: copy
 *              misaligned buffers, read-modify-write, FUA and zeroes by other means.
 *
 * Whatever the first two cannot do, or have not finished, the third does from the start.
 * So it is with all of a file whose file system depends on a server: there, io_submit() waits,
 * and so may what says that it does not (FUSE asks its server for the file's size whatever
 * RWF_NOWAIT says), and a server which hangs must not stop the worker.
 */
#ifndef STORAGE_FILE_H
#define STORAGE_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/engine.h"
#include "storage/merge.h"
#include "storage/pool.h"

/* Above this a transfer is copied in pieces.  The kernel's limit is 2 GiB less a page. */
#define FILE_IO_MAX	(UINT64_C(1) << 30)

/* When to try a system call at once. */
enum file_inline {
	FILE_INLINE_NEVER,
	FILE_INLINE_NOWAIT,		/* with RWF_NOWAIT, until the kernel says it cannot */
	FILE_INLINE_ALWAYS,		/* the file lives in memory */
};

/* Constant after file_open(), unless marked. */
struct file {
	int fd;
	bool block;			/* block device, not regular file */
	bool memory;			/* reads and writes never wait for a disk */
	bool remote;			/* another process or machine has the data, and may not answer */
	bool direct;			/* O_DIRECT */
	unsigned int align;		/* of offset and length, bytes; 1: any */
	unsigned int mem_align;		/* of the start and length of buffers, bytes; 1: any */
	unsigned int discard_unit;	/* bytes; discard takes whole ones only */

	/* inline.c: reads and writes, by enum storage_op */
	enum file_inline try_inline;	/* set by the engine when it opens */
	atomic_bool no_nowait[2];	/* any worker: RWF_NOWAIT was refused */

	/* Writes smaller than align come: a read-modify-write excludes all other writes. */
	bool rmw;
	pthread_rwlock_t rmw_lock;

	/* any thread: the error of a flush which failed, else 0 */
	atomic_int flush_error;

	struct pool *pool;		/* the engine's */
};

/* The beginning of every channel to a file. */
struct file_chan {
	struct storage_chan chan;
	struct file *file;
	struct pool_chan pool;
	struct merge merge;
	/* The engine's: do io, which ends with merge_complete(); some of it may wait for commit. */
	void (*start)(struct file_chan *fc, struct storage_io *io);
};

/* Open params->path and describe it. */
int file_open(struct file **file, struct storage_info *info, const struct storage_params *params,
	      const struct storage_why *why);
void file_close(struct file *f);

/* For the open and close of an engine: how to try inline, the pool's size unless params says. */
int file_start(struct storage *st, const struct storage_params *params,
	       const struct storage_why *why, enum file_inline try_inline, unsigned int threads);
void file_stop(struct storage *st);

/* Of all engines. */
int file_resize(struct storage *st, uint64_t *size, const struct storage_why *why);

/* Of all engines, with what becomes fc->start. */
int file_chan_open(struct file_chan *fc,
		   void (*start)(struct file_chan *fc, struct storage_io *io));
void file_chan_close(struct file_chan *fc);

/* Whether the kernel can take the read or write as it is. */
bool file_fits(const struct file *f, const struct storage_io *io);

/*
 * An engine is about to hand io to the kernel.  False: it is to be given to the pool.
 * Otherwise file_end() must follow on the same thread.
 */
bool file_begin(struct file *f, struct storage_io *io);

/*
 * The kernel has ended it with res, bytes or a negative errno.  *err is the outcome; false:
 * there is none yet, it is to be given to the pool.
 */
bool file_end(struct file *f, struct storage_io *io, int64_t res, int *err);

/* Making writes durable has failed with err: so will all flushes, see storage.h. */
void file_lost(struct file *f, int err);

/* inline.c: do io at once, if that is possible without waiting.  True: it is complete. */
bool inline_try(struct file_chan *fc, struct storage_io *io);

/* map.c: the answer to STORAGE_MAP; may wait for a disk. */
void map_run(const struct file *f, const struct storage_io *io);

/* lock.c: keep others from using the file in a way which does not go with ours. */
int lock_file(int fd, bool writable);

/* blkdev.c: size, block sizes and limits of a block device. */
int blkdev_describe(struct file *f, struct storage_info *info);
int blkdev_size(const struct file *f, uint64_t *size);

#endif /* STORAGE_FILE_H */
