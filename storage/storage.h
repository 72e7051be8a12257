/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backing store of block devices: images, files, block devices.
 *
 *   struct storage       an opened image, shared by all its users.
 *   struct storage_chan  one worker's way to it: own ring, own queue.
 *   struct storage_io    one operation; it lives in the caller's memory.
 *
 * Device code fills a storage_io and calls storage_submit(), and after a batch
 * storage_commit(); done() tells the outcome.  Whatever the guest asks for can be
 * submitted as it is: range, alignment and permission are checked here, buffers
 * which the kernel would not take are copied, and what the kernel cannot do is
 * done another way.
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct storage;
struct storage_chan;
struct vhost_worker;

/* Offsets and lengths of all operations are multiples of this many bytes. */
#define STORAGE_SECTOR	512u

enum storage_op {
	STORAGE_READ,
	STORAGE_WRITE,
	STORAGE_FLUSH,			/* all writes which completed before are durable */
	STORAGE_DISCARD,		/* the content is of no interest any more */
	STORAGE_WRITE_ZEROES,
	STORAGE_MAP,			/* tell where there are holes */
	STORAGE_OPS			/* their number */
};

/* Flags of an operation. */
#define STORAGE_FUA	(1u << 0)	/* durable when done (write, discard, write zeroes) */
#define STORAGE_UNMAP	(1u << 1)	/* write zeroes may give the blocks back */

/* A part of the image. */
struct storage_run {
	uint64_t len;			/* bytes */
	bool hole;			/* takes no room, and reads as zeroes */
};

/* For the answer to STORAGE_MAP. */
struct storage_map {
	unsigned int unit;		/* bytes, power of two: a unit is a hole or it is not; offset
					 * and length are multiples */
	unsigned int room;		/* for so many runs, not 0 */
	struct storage_run *runs;
	unsigned int cnt;		/* told: runs one after the other from offset on, to the end or
					 * as far as room and a limit of work allow; what cannot tell
					 * its holes has none */
};

/*
 * Errors: -ERANGE, the range leaves the image; -EROFS, the image was opened read-only;
 * -EINVAL, an offset or length is not a multiple of STORAGE_SECTOR, len is not what iov
 * holds, or a flag does not belong to op; -EOPNOTSUPP, discard is not supported; and what
 * the kernel said: -EIO (also for a read behind the end of a file which has been
 * truncated), -ENOSPC, -EFAULT …
 *
 * A flush which fails while the page cache is in use has lost data for good, although the
 * kernel says so only once: all later flushes of the image fail likewise.
 */
struct storage_io {
	/* filled in by the caller, who keeps all of it unchanged until done */
	enum storage_op op;
	unsigned int flags;		/* STORAGE_FUA, STORAGE_UNMAP */
	uint64_t offset;		/* bytes */
	uint64_t len;			/* bytes; read and write: the sum of iov; flush: 0 */
	const struct iovec *iov;	/* read and write only */
	unsigned int iovcnt;
	struct storage_map *map;	/* map only */
	/* called once, on the channel's worker, possibly within storage_submit() or
	 * storage_commit(); it may submit again, but not close the channel.
	 * err is 0 or a negative errno */
	void (*done)(struct storage_io *io, int err);

	/* private to storage from submit to done */
	struct storage_chan *chan;	/* where it was submitted */
	struct storage_io *next;	/* in the list which holds it */
	int result;
	unsigned int how;		/* flags in effect, and HOW_* of engine.h */
	union {
		uint64_t u64[8];
		void *ptr[8];
	} engine;			/* of the engine which has it in hand */
};

enum storage_engine {
	STORAGE_ENGINE_AUTO,		/* the best which works */
	STORAGE_ENGINE_URING,
	STORAGE_ENGINE_AIO,		/* Linux AIO; with the page cache its submission blocks */
	STORAGE_ENGINE_THREADS,
	STORAGE_ENGINE_NULL,		/* a sink for benchmarks: writes go nowhere, reads leave
					 * the buffers as they are */
};

enum storage_cache {
	STORAGE_CACHE_WRITEBACK,	/* page cache; flush makes durable */
	STORAGE_CACHE_NONE,		/* O_DIRECT; flush makes durable */
	STORAGE_CACHE_WRITETHROUGH,	/* page cache; every write is durable when done */
};

/* How to open an image.  Zero means the default. */
struct storage_params {
	const char *path;		/* file or block device; not for the null engine */
	const int *fd;			/* it has been opened by somebody else, as this, and path is
					 * only its name; stays the caller's; NULL: it has not */
	enum storage_engine engine;
	enum storage_cache cache;
	bool read_only;
	bool shared;			/* neither take nor heed locks; whoever else uses the
					 * image takes turns with us */
	uint64_t size;			/* bytes, of the null engine; otherwise a file which does
					 * not exist is created with this size, and one which does
					 * must have it */
	unsigned int block_size;	/* bytes, 512 or 4096: the device's logical block, of which
					 * the image's size must be a multiple; default 512 */
	unsigned int depth;		/* operations which a channel has in work, 1 to 4096; more
					 * wait their turn; default 256 */
	unsigned int threads;		/* helper threads, 1 to 256; default by engine */

	/* for tests */
	const char *fault;		/* errors to be injected, see fault.c */
	unsigned int align;		/* behave as if the kernel wanted offset and length to be
					 * multiples of this, a power of two up to 65536 */
};

/* What an opened image is.  All of it is constant but size, see storage_resize(). */
struct storage_info {
	const char *engine;		/* name of the engine in use */
	uint64_t size;			/* bytes */
	unsigned int block_size;	/* bytes; a write in multiples of it costs no
					 * read-modify-write (power of two, >= 512) */
	unsigned int physical_block;	/* bytes, >= block_size, power of two */
	unsigned int opt_io;		/* preferred size of an access in bytes, 0: unknown */
	unsigned int mem_align;		/* buffers aligned to this are not copied */
	uint64_t discard_max;		/* bytes which one discard should not exceed;
					 * 0: discard is not supported */
	unsigned int discard_align;	/* bytes, granularity of discard */
	uint64_t zeroes_max;		/* bytes which one write zeroes should not exceed */
	bool zero_unmap;		/* write zeroes can give blocks back */
	bool volatile_cache;		/* a completed write may be lost before a flush */
	bool read_only;
	bool fixed_size;		/* a device: its size is found out, not changed */
	bool created;			/* the file did not exist before */
};

/*
 * Open an image.  On failure returns a negative errno and writes the reason, one line
 * without newline, to why.  A file which was created is then removed again.  A file is
 * locked against writers, a file which is opened for writing against all other users; the
 * locks are those of QEMU.  With params->shared nothing is locked.  Starts the helper threads.
 */
int storage_open(struct storage **st, const struct storage_params *params,
		 char *why, size_t why_size);
/* All channels have been closed.  The end of a change of size in work comes now (-ECANCELED). */
void storage_close(struct storage *st);
/* Any thread. */
void storage_info(const struct storage *st, struct storage_info *info);

/*
 * Change the size of an image which is in use.
 *
 * What goes to a channel before done() meets the old size or the new one, what goes there later
 * the new one.  In the way of an image which shrinks, the channels first let end what they have in
 * work, and hold back what comes meanwhile, so that nothing is written behind the new end.
 */
struct storage_resize {
	uint64_t size;			/* bytes; 0: what file or device have by now, because
					 * somebody else has changed it */
	struct vhost_worker *control;	/* which calls; done() comes there */
	/* Once; err is 0 or a negative errno, and storage_info() tells the size which holds. */
	void (*done)(void *arg, int err);
	void *arg;
};

/*
 * On how->control, always the same one.  0: done() comes, possibly within this call.  Otherwise a
 * negative errno, the reason in why as by storage_open(), and nothing has changed: -EINVAL, not a
 * size for this image; -EBUSY, a change is in work; -EROFS; and what the kernel said.
 */
int storage_resize(struct storage *st, const struct storage_resize *how, char *why,
		   size_t why_size);
/* The done() of a change in work, if there is one, comes now, with -ECANCELED.  Control worker. */
void storage_resize_cancel(struct storage *st);

/*
 * A channel for one worker.  Both on that worker; close with nothing in flight, and not
 * from within done().
 */
int storage_chan_open(struct storage *st, struct vhost_worker *w, struct storage_chan **chan);
void storage_chan_close(struct storage_chan *chan);

/* The size of the image in bytes, as this worker is to see it.  On the channel's worker. */
uint64_t storage_chan_size(const struct storage_chan *chan);

/* Start an operation; every outcome arrives by io->done.  On the channel's worker. */
void storage_submit(struct storage_chan *chan, struct storage_io *io);
/*
 * Hand what was submitted to the kernel; once after each batch.  What done() submits needs
 * no commit of its own.  On the channel's worker.
 */
void storage_commit(struct storage_chan *chan);

struct storage_stats {
	uint64_t ops[STORAGE_OPS];	/* completed, errors included */
	uint64_t errors[STORAGE_OPS];
	uint64_t bytes[STORAGE_OPS];	/* of those without error */
	uint64_t inlined;		/* system calls at once, each of which completed one or several */
	uint64_t helped;		/* completed by a helper thread */
	uint64_t bounced;		/* went through a copy */
	uint64_t merged;		/* done together with a neighbour, in one call */
};
/* On the channel's worker. */
void storage_chan_stats(const struct storage_chan *chan, struct storage_stats *stats);

#endif /* STORAGE_H */
