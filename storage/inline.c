/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inline way: a system call at once, where it does not wait for a disk.
 *
 * For data in memory nothing is cheaper: no ring, no thread, no wake-up; the request is
 * answered in the round in which it came.  A file on tmpfs is always in memory.  Of other
 * files the page cache may hold what is wanted, and RWF_NOWAIT asks for just that.  Which
 * file systems know it, for reads and for writes, is found out by the first of each.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "storage/file.h"

/* Copying this much holds up the worker for about 0.1 ms, much longer than a helper thread
 * would take to start. */
#define INLINE_MAX	(UINT64_C(1) << 20)

static ssize_t inline_rw(const struct file *f, const struct storage_io *io)
{
	const struct iovec *iov = io->iov;
	const off_t off = (off_t)io->offset;
	const int cnt = (int)io->iovcnt, nowait = RWF_NOWAIT;
	const bool read = io->op == STORAGE_READ;

	if (f->try_inline == FILE_INLINE_NOWAIT)
		return read ? preadv2(f->fd, iov, cnt, off, nowait)
			    : pwritev2(f->fd, iov, cnt, off, nowait);
	/* The plain calls cost a tenth less. */
	if (cnt == 1)
		return read ? pread(f->fd, iov->iov_base, iov->iov_len, off)
			    : pwrite(f->fd, iov->iov_base, iov->iov_len, off);
	return read ? preadv(f->fd, iov, cnt, off) : pwritev(f->fd, iov, cnt, off);
}

/* Whether it is worth an attempt. */
static bool inline_suits(struct file *f, const struct storage_io *io)
{
	if (f->try_inline == FILE_INLINE_NEVER || io->op > STORAGE_WRITE || io->len > INLINE_MAX)
		return false;
	if (f->try_inline == FILE_INLINE_ALWAYS)
		return true;
	return !(io->how & STORAGE_FUA) &&
	       !atomic_load_explicit(&f->no_nowait[io->op], memory_order_relaxed);
}

bool inline_try(struct file_chan *fc, struct storage_io *io)
{
	struct file *f = fc->file;
	ssize_t n;

	if (!inline_suits(f, io))
		return false;
	n = inline_rw(f, io);
	/* Anything else, an error too, is found again by a way which can deal with it. */
	if (n != (ssize_t)io->len) {
		if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
			atomic_store_explicit(&f->no_nowait[io->op], true, memory_order_relaxed);
		return false;
	}
	io->chan->stats.inlined++;
	merge_complete(io, 0);
	return true;
}
