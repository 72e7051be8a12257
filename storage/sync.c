/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any operation on a file, by blocking system calls on a helper thread.
 *
 * This is the way for everything that an engine does not do: what the kernel cannot take
 * as it is, what it has refused or done in part only, and operations for which there is
 * no asynchronous call.
 *
 * Read-modify-write.  A write whose range is not a multiple of the file's alignment writes
 * bytes of its neighbours too, which it has read before.  A neighbour which is written in
 * between would be lost; therefore such a write holds the file's rmw lock exclusively, and
 * all other writes hold it shared.  Whoever holds it is within a system call, or in the
 * hands of the kernel, and never waits for a thread of the pool.
 */
#include "storage/sync.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "iov.h"

/* The largest copy in one piece; a multiple of every alignment. */
#define SYNC_BUF	(UINT64_C(256) << 10)

int sync_scratch_init(struct sync_scratch *s, const struct file *f)
{
	return -posix_memalign((void **)&s->buf, MAX(f->align, 4096u), SYNC_BUF);
}

void sync_scratch_free(struct sync_scratch *s)
{
	free(s->buf);
}

/*
 * Reads and writes which the kernel takes as they are
 */

static ssize_t sync_rw_some(const struct file *f, const struct storage_io *io,
			    const struct iovec *iov, unsigned int cnt, uint64_t off)
{
	const int flags = io->how & STORAGE_FUA ? RWF_DSYNC : 0;

	if (io->op == STORAGE_READ)
		return preadv(f->fd, iov, (int)cnt, (off_t)off);
	return pwritev2(f->fd, iov, (int)cnt, (off_t)off, flags);
}

/* -EINVAL or -EOPNOTSUPP: the kernel wants a copy, or has no FUA. */
static int sync_rw_direct(struct file *f, struct sync_scratch *s, const struct storage_io *io)
{
	uint64_t done = 0;
	unsigned int cnt;
	ssize_t n;

	while (done < io->len) {
		cnt = iov_slice(s->iov, IOV_MAX, io->iov, io->iovcnt, done, io->len - done);
		n = sync_rw_some(f, io, s->iov, cnt, io->offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* After a part, go on where the kernel can start again. */
		n = ALIGN_DOWN(n, f->align);
		if (!n)
			return -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

/*
 * Reads and writes by way of a copy
 */

static int sync_buf(const struct file *f, enum storage_op op, char *buf, uint64_t off,
		    uint64_t len)
{
	ssize_t n;

	while (len) {
		n = op == STORAGE_READ ? pread(f->fd, buf, len, (off_t)off)
				       : pwrite(f->fd, buf, len, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		n = ALIGN_DOWN(n, f->align);
		if (!n)
			return -EIO;	/* of a read: the file has become shorter */
		buf += n;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

/* A piece of an operation, [pos, end), and the aligned range [start, stop) around it. */
struct sync_piece {
	uint64_t pos, end;
	uint64_t start, stop;		/* at most SYNC_BUF apart */
};

static int sync_read_piece(struct file *f, struct sync_scratch *s, const struct storage_io *io,
			   const struct sync_piece *p)
{
	int err = sync_buf(f, STORAGE_READ, s->buf, p->start, p->stop - p->start);

	if (!err)
		iov_write(io->iov, io->iovcnt, p->pos - io->offset, s->buf + (p->pos - p->start),
			  p->end - p->pos);
	return err;
}

/* The blocks which the piece covers in part are read first. */
static int sync_write_piece(struct file *f, struct sync_scratch *s, const struct storage_io *io,
			    const struct sync_piece *p)
{
	const uint64_t last = p->stop - f->align;
	char *dst = s->buf + (p->pos - p->start);
	int err = 0;

	if (p->pos > p->start)
		err = sync_buf(f, STORAGE_READ, s->buf, p->start, f->align);
	if (!err && p->end < p->stop && (last > p->start || p->pos == p->start))
		err = sync_buf(f, STORAGE_READ, s->buf + (last - p->start), last, f->align);
	if (err)
		return err;
	if (io->op == STORAGE_WRITE)
		iov_read(io->iov, io->iovcnt, p->pos - io->offset, dst, p->end - p->pos);
	else
		memset(dst, 0, p->end - p->pos);
	return sync_buf(f, STORAGE_WRITE, s->buf, p->start, p->stop - p->start);
}

/* Read, write or write zeroes. */
static int sync_rw_bounced(struct file *f, struct sync_scratch *s, struct storage_io *io)
{
	const uint64_t end = io->offset + io->len;
	struct sync_piece p;
	int err = 0;

	io->how |= HOW_BOUNCED;
	for (p.pos = io->offset; p.pos < end && !err; p.pos = p.end) {
		p.start = ALIGN_DOWN(p.pos, f->align);
		p.stop = MIN(ALIGN_UP(end, f->align), p.start + SYNC_BUF);
		p.end = MIN(end, p.stop);
		err = io->op == STORAGE_READ ? sync_read_piece(f, s, io, &p)
					     : sync_write_piece(f, s, io, &p);
	}
	return err;
}

/*
 * Operations
 */

static int sync_flush(struct file *f)
{
	int err = atomic_load(&f->flush_error);

	if (err)
		return err;
	while (fdatasync(f->fd)) {
		if (errno == EINTR)
			continue;
		err = -errno;
		file_lost(f, err);
		return err;
	}
	return 0;
}

/* The operation has been done without FUA: make it durable. */
static int sync_fua(struct file *f, const struct storage_io *io, int err)
{
	return !err && io->how & STORAGE_FUA ? sync_flush(f) : err;
}

static int sync_rw(struct file *f, struct sync_scratch *s, struct storage_io *io)
{
	int err = -EINVAL;

	if (file_fits(f, io))
		err = sync_rw_direct(f, s, io);
	if (err == -EINVAL || err == -EOPNOTSUPP)
		return sync_fua(f, io, sync_rw_bounced(f, s, io));
	if (err == -EIO && io->how & STORAGE_FUA)
		file_lost(f, err);
	return err;
}

static int sync_fallocate(const struct file *f, int mode, const struct storage_io *io)
{
	while (fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)io->offset, (off_t)io->len)) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

static int sync_discard(const struct file *f, const struct storage_io *io)
{
	const uint64_t start = ALIGN_UP(io->offset, f->discard_unit);
	const uint64_t stop = ALIGN_DOWN(io->offset + io->len, f->discard_unit);
	uint64_t range[2] = { start, stop - start };

	if (!f->block)
		return sync_fallocate(f, FALLOC_FL_PUNCH_HOLE, io);
	/* Less than a block cannot be discarded, and need not be. */
	if (start >= stop)
		return 0;
	return ioctl(f->fd, BLKDISCARD, range) ? -errno : 0;
}

static int sync_write_zeroes(struct file *f, struct sync_scratch *s, struct storage_io *io)
{
	int err = -EOPNOTSUPP;

	if (io->how & STORAGE_UNMAP)
		err = sync_fallocate(f, FALLOC_FL_PUNCH_HOLE, io);
	if (err == -EOPNOTSUPP)
		err = sync_fallocate(f, FALLOC_FL_ZERO_RANGE, io);
	/* The file system cannot, or the range is not made of blocks of the device. */
	if (err == -EOPNOTSUPP || err == -EINVAL)
		err = sync_rw_bounced(f, s, io);
	return err;
}

static void sync_lock(struct file *f, const struct storage_io *io)
{
	if ((io->offset | io->len) & (f->align - 1))
		pthread_rwlock_wrlock(&f->rmw_lock);
	else
		pthread_rwlock_rdlock(&f->rmw_lock);
}

int sync_run(struct file *f, struct sync_scratch *s, struct storage_io *io)
{
	const bool writes = io->op != STORAGE_READ && io->op != STORAGE_FLUSH &&
			    io->op != STORAGE_MAP;
	const bool lock = f->rmw && writes;
	int err;

	if (lock)
		sync_lock(f, io);
	switch (io->op) {
	case STORAGE_READ:
	case STORAGE_WRITE:
		err = sync_rw(f, s, io);
		break;
	case STORAGE_FLUSH:
		err = sync_flush(f);
		break;
	case STORAGE_DISCARD:
		err = sync_fua(f, io, sync_discard(f, io));
		break;
	case STORAGE_WRITE_ZEROES:
		err = sync_fua(f, io, sync_write_zeroes(f, s, io));
		break;
	case STORAGE_MAP:
		map_run(f, io);
		err = 0;
		break;
	default:
		err = -EINVAL;
	}
	if (lock)
		pthread_rwlock_unlock(&f->rmw_lock);
	return err;
}
