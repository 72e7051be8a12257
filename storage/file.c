/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a file or block device and finding out what it can do, and the decisions which
 * all engines for files share.
 *
 * Nothing is assumed which can be asked or tried, and no trial changes what is in the file
 * or how much room it takes.
 */
#include "storage/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define ALIGN_PROBE_MAX	65536u		/* no device is known to want more */
#define PHYSICAL_MAX	65536u
#define DISCARD_MAX	(UINT64_C(1) << 30)	/* bounds the time of one operation */
#define ZEROES_MAX	(UINT64_C(1) << 26)	/* they may have to be written */
#define REMOTE_THREADS	16		/* at least: operations at a time */
#define BUSY_WAITS	30
#define BUSY_WAIT_NS	10000000

/*
 * Opening
 */

static bool file_is_remote(const struct statfs *fs)
{
	static const uint32_t types[] = {
		AFS_FS_MAGIC, CEPH_SUPER_MAGIC, CIFS_SUPER_MAGIC, FUSE_SUPER_MAGIC,
		NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, V9FS_MAGIC,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if ((uint32_t)fs->f_type == types[i])
			return true;
	return false;
}

/* 0, or why the file may not be used. */
static int file_check_type(struct file *f, bool read_only, const struct storage_why *why)
{
	struct statfs fs;
	struct stat sb;

	if (fstat(f->fd, &sb) || fstatfs(f->fd, &fs))
		return storage_why(why, -errno, "%s", strerror(errno));
	if (!S_ISREG(sb.st_mode) && !S_ISBLK(sb.st_mode))
		return storage_why(why, -EINVAL, "neither a regular file nor a block device");
	f->block = S_ISBLK(sb.st_mode);
	if (f->block)
		return 0;
	f->memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC ||
		    fs.f_type == HUGETLBFS_MAGIC;
	f->remote = file_is_remote(&fs);
	if (fs.f_type == HUGETLBFS_MAGIC && !read_only)
		return storage_why(why, -EINVAL, "files on hugetlbfs can only be read");
	return 0;
}

/*
 * Who has died may still hold the device or his locks, until the kernel has ended what he
 * left behind.  Wait a little; false: that was long enough.
 */
static bool file_wait(unsigned int *waits)
{
	const struct timespec pause = { 0, BUSY_WAIT_NS };

	if (*waits == BUSY_WAITS)
		return false;
	++*waits;
	nanosleep(&pause, NULL);
	return true;
}

/* What somebody else has opened, as far as that goes. */
static int file_use_fd(struct file *f, const struct storage_params *params,
		       const struct storage_why *why)
{
	int flags = fcntl(*params->fd, F_GETFL);

	if (flags < 0 || flags & O_PATH)
		return storage_why(why, -EBADF, "no file descriptor which can be used");
	if ((flags & O_ACCMODE) != O_RDWR &&
	    (!params->read_only || (flags & O_ACCMODE) != O_RDONLY))
		return storage_why(why, -EACCES, "the file descriptor is not open for %s",
				   params->read_only ? "reading" : "reading and writing");
	f->fd = fcntl(*params->fd, F_DUPFD_CLOEXEC, 0);
	return f->fd < 0 ? storage_why(why, -errno, "%s", strerror(errno)) : 0;
}

/* Open what exists, or create what does not. */
static int file_open_path(struct file *f, struct storage_info *info,
			  const struct storage_params *params, const struct storage_why *why)
{
	/* O_NONBLOCK so that a FIFO does not hold us up. */
	int flags = O_CLOEXEC | O_NONBLOCK | (params->read_only ? O_RDONLY : O_RDWR);
	unsigned int waits = 0;
	struct stat sb;

	if (params->fd)
		return file_use_fd(f, params, why);
	/* Without O_CREAT, and with a block device, O_EXCL means: not if mounted or in use. */
	if (!params->read_only && !params->shared && !stat(params->path, &sb) && S_ISBLK(sb.st_mode))
		flags |= O_EXCL;
	do {
		f->fd = open(params->path, flags);
	} while (f->fd < 0 && errno == EBUSY && file_wait(&waits));
	if (f->fd < 0 && errno == ENOENT && params->size && !params->read_only) {
		f->fd = open(params->path, flags | O_CREAT | O_EXCL, 0666);
		info->created = f->fd >= 0;
	}
	if (f->fd >= 0)
		return 0;
	if (errno == EBUSY)
		return storage_why(why, -EBUSY, "in use by the host or another process");
	return storage_why(why, -errno, "%s", strerror(errno));
}

/* Not at open(), which might create a file and only then refuse. */
static int file_set_direct(struct file *f, const struct storage_why *why)
{
	if (!fcntl(f->fd, F_SETFL, f->direct ? O_DIRECT : 0))
		return 0;
	if (errno == EINVAL)
		return storage_why(why, -EINVAL, "the file system does not support O_DIRECT");
	return storage_why(why, -errno, "%s", strerror(errno));
}

static int file_lock(struct file *f, bool read_only, const struct storage_why *why)
{
	unsigned int waits = 0;
	int err;

	do {
		err = lock_file(f->fd, !read_only);
	} while (err && file_wait(&waits));
	return err ? storage_why(why, err, "in use by another process") : 0;
}

static int file_size(const struct file *f, uint64_t *size)
{
	struct stat sb;

	if (f->block)
		return blkdev_size(f, size);
	if (fstat(f->fd, &sb))
		return -errno;
	*size = (uint64_t)sb.st_size;
	return 0;
}

/* Set the size of a new file, find that of an old one. */
static int file_find_size(struct file *f, struct storage_info *info,
			  const struct storage_params *params, const struct storage_why *why)
{
	unsigned long long want = params->size;
	struct stat sb;

	if (want > INT64_MAX)
		return storage_why(why, -EINVAL, "a file cannot have %llu bytes", want);
	if (info->created && ftruncate(f->fd, (off_t)want))
		return storage_why(why, -errno, "cannot give it %llu bytes: %s", want,
				   strerror(errno));
	if (!f->block) {
		if (fstat(f->fd, &sb))
			return storage_why(why, -errno, "%s", strerror(errno));
		info->size = (uint64_t)sb.st_size;
		info->physical_block = (unsigned int)sb.st_blksize;
	}
	if (want && info->size != want)
		return storage_why(why, -EINVAL, "it has %llu bytes, not %llu",
				   (unsigned long long)info->size, want);
	return 0;
}

/*
 * Alignment
 */

/* Newer kernels say what O_DIRECT needs. */
static bool file_ask_alignment(struct file *f)
{
#ifdef STATX_DIOALIGN
	struct statx sx;

	if (!statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &sx) &&
	    sx.stx_mask & STATX_DIOALIGN && sx.stx_dio_offset_align) {
		f->align = sx.stx_dio_offset_align;
		f->mem_align = MAX(sx.stx_dio_mem_align, 1u);
		return true;
	}
#endif
	return false;
}

/* The smallest length and the smallest alignment of memory with which reads succeed. */
static void file_probe_alignment(struct file *f)
{
	char *buf = NULL;

	f->align = f->mem_align = 4096;
	if (posix_memalign((void **)&buf, ALIGN_PROBE_MAX, 2 * ALIGN_PROBE_MAX))
		return;
	for (f->align = STORAGE_SECTOR; f->align < ALIGN_PROBE_MAX; f->align *= 2) {
		if (pread(f->fd, buf, f->align, 0) >= 0)
			break;
	}
	for (f->mem_align = 1; f->mem_align < f->align; f->mem_align *= 2) {
		if (pread(f->fd, buf + f->mem_align, f->align, 0) >= 0)
			break;
	}
	free(buf);
}

static void file_find_alignment(struct file *f, const struct storage_params *params)
{
	f->align = f->mem_align = 1;
	if (f->direct && !file_ask_alignment(f))
		file_probe_alignment(f);
	f->align = MAX(f->align, params->align);
	f->rmw = !params->read_only && f->align > STORAGE_SECTOR;
}

/*
 * Limits
 */

/* Whether holes can be punched.  Behind the end of the file there is nothing to lose. */
static bool file_can_punch(const struct file *f, uint64_t size)
{
	const uint64_t unit = 65536;

	if (size > INT64_MAX - 2 * unit)
		return false;
	return !fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)ALIGN_UP(size, unit), (off_t)unit);
}

static void file_find_limits(struct file *f, struct storage_info *info,
			     const struct storage_params *params)
{
	info->read_only = params->read_only;
	info->fixed_size = f->block;
	info->volatile_cache = !info->read_only && params->cache != STORAGE_CACHE_WRITETHROUGH;
	info->mem_align = f->mem_align;
	info->block_size = MAX(f->align, STORAGE_SECTOR);
	if (!is_power_of_2(info->physical_block) || info->physical_block > PHYSICAL_MAX)
		info->physical_block = info->block_size;
	info->physical_block = MAX(info->physical_block, info->block_size);
	if (!f->block) {
		f->discard_unit = 1;
		info->discard_align = info->physical_block;
		info->zero_unmap = !info->read_only && file_can_punch(f, info->size);
		info->discard_max = info->zero_unmap ? DISCARD_MAX : 0;
	}
	if (info->read_only) {
		info->zero_unmap = false;
		info->discard_max = 0;
	}
	info->discard_max = MIN(info->discard_max, DISCARD_MAX);
	info->discard_align = MAX(info->discard_align, info->block_size);
	info->zeroes_max = ZEROES_MAX;
}

/*
 * Life
 */

static int file_open_checked(struct file *f, struct storage_info *info,
			     const struct storage_params *params, const struct storage_why *why)
{
	int err;

	err = file_open_path(f, info, params, why);
	if (!err)
		err = file_check_type(f, params->read_only, why);
	if (!err)
		err = file_set_direct(f, why);
	if (!err && !params->shared)
		err = file_lock(f, params->read_only, why);
	if (!err && f->block && (err = blkdev_describe(f, info)))
		err = storage_why(why, err, "%s", strerror(-err));
	if (!err)
		err = file_find_size(f, info, params, why);
	if (err)
		return err;
	file_find_alignment(f, params);
	file_find_limits(f, info, params);
	return 0;
}

static int file_init_rmw_lock(struct file *f)
{
	pthread_rwlockattr_t attr;
	int err;

	err = pthread_rwlockattr_init(&attr);
	if (err)
		return -err;
	/* Small writes must not starve behind a stream of large ones. */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	err = pthread_rwlock_init(&f->rmw_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -err;
}

int file_open(struct file **file, struct storage_info *info, const struct storage_params *params,
	      const struct storage_why *why)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f || file_init_rmw_lock(f)) {
		free(f);
		return storage_why(why, -ENOMEM, "out of memory");
	}
	f->fd = -1;
	f->direct = params->cache == STORAGE_CACHE_NONE;
	*file = f;		/* file_close() is the caller's, also after a failure */
	return file_open_checked(f, info, params, why);
}

void file_close(struct file *f)
{
	close_fd(&f->fd);
	pthread_rwlock_destroy(&f->rmw_lock);
	free(f);
}

int file_start(struct storage *st, const struct storage_params *params,
	       const struct storage_why *why, enum file_inline try_inline, unsigned int threads)
{
	struct file *f = st->file;
	int err;

	if (f->remote)
		threads = MAX(threads, REMOTE_THREADS);
	f->try_inline = f->rmw || f->remote ? FILE_INLINE_NEVER : try_inline;
	err = pool_new(&f->pool, f, params->threads ? params->threads : threads);
	return err ? storage_why(why, err, "cannot start threads: %s", strerror(-err)) : 0;
}

void file_stop(struct storage *st)
{
	pool_free(st->file->pool);
}

int file_resize(struct storage *st, uint64_t *size, const struct storage_why *why)
{
	const struct file *f = st->file;
	int err = 0;

	if (!*size)
		err = file_size(f, size);
	else if (ftruncate(f->fd, (off_t)*size))
		err = -errno;
	return err ? storage_why(why, err, "%s", strerror(-err)) : 0;
}

int file_chan_open(struct file_chan *fc,
		   void (*start)(struct file_chan *fc, struct storage_io *io))
{
	int err;

	fc->file = fc->chan.st->file;
	fc->start = start;
	err = merge_open(&fc->merge);
	if (err)
		return err;
	err = pool_chan_open(&fc->pool, fc->file->pool, &fc->chan);
	if (err)
		merge_close(&fc->merge);
	return err;
}

void file_chan_close(struct file_chan *fc)
{
	pool_chan_close(&fc->pool);
	merge_close(&fc->merge);
}

/*
 * Operations
 */

bool file_fits(const struct file *f, const struct storage_io *io)
{
	uintptr_t bits = 0;
	unsigned int i;

	if (io->iovcnt > IOV_MAX || io->len > FILE_IO_MAX)
		return false;
	if ((io->offset | io->len) & (f->align - 1))
		return false;
	if (f->mem_align == 1)
		return true;
	for (i = 0; i < io->iovcnt; i++)
		bits |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
	return !(bits & (f->mem_align - 1));
}

bool file_begin(struct file *f, struct storage_io *io)
{
	if (f->remote)
		return false;
	if (io->op == STORAGE_FLUSH)
		return !atomic_load_explicit(&f->flush_error, memory_order_relaxed);
	if (io->op > STORAGE_WRITE || !file_fits(f, io))
		return false;
	if (io->op == STORAGE_READ || !f->rmw)
		return true;
	if (pthread_rwlock_tryrdlock(&f->rmw_lock))
		return false;
	io->how |= HOW_LOCKED;
	return true;
}

bool file_end(struct file *f, struct storage_io *io, int64_t res, int *err)
{
	if (io->how & HOW_LOCKED) {
		pthread_rwlock_unlock(&f->rmw_lock);
		io->how &= ~HOW_LOCKED;
	}
	if (res >= 0) {
		*err = 0;
		return (uint64_t)res == io->len;
	}
	/* What the kernel would not do may go by other means. */
	if (res == -EAGAIN || res == -EINTR || res == -EINVAL || res == -EOPNOTSUPP)
		return false;
	*err = (int)res;
	if (io->op == STORAGE_FLUSH || (io->how & STORAGE_FUA && res == -EIO))
		file_lost(f, *err);
	return true;
}

void file_lost(struct file *f, int err)
{
	int none = 0;

	if (!f->direct)
		atomic_compare_exchange_strong(&f->flush_error, &none, err);
}
