/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of storage share: places for images, one channel, waiting. */
#include "storage_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FX_DEADLINE_S	30

static char fx_dirs[FX_PLACES][FX_PATH_MAX];
static bool fx_direct[FX_PLACES], fx_uring;

void fx_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	printf("# skip: ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	fflush(stdout);
}

/*
 * Places
 */

static bool fx_try_direct(enum fx_place place)
{
	char path[FX_PATH_MAX];
	int fd;

	fx_path(path, place, 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600);
	unlink(path);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool fx_try_uring(void)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_URING, .size = 512 };
	char path[FX_PATH_MAX], why[200];
	struct storage *st;

	fx_path(path, FX_DISK, 0);
	p.path = path;
	if (storage_open(&st, &p, why, sizeof(why))) {
		fx_skip("io_uring: %s", why);
		return false;
	}
	storage_close(st);
	unlink(path);
	return true;
}

/* Where files usually are, unless that is in memory, as /tmp may be. */
static const char *fx_disk_dir(void)
{
	const char *const dirs[] = { getenv("TMPDIR"), "/tmp", "/var/tmp", "." };
	struct statfs fs;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (dirs[i] && !statfs(dirs[i], &fs) && fs.f_type != TMPFS_MAGIC)
			return dirs[i];
	fx_skip("a disk: files are in memory everywhere");
	return "/tmp";
}

static void fx_init(void)
{
	unsigned int i;

	snprintf(fx_dirs[FX_DISK], FX_PATH_MAX - 32, "%s/storage-XXXXXX", fx_disk_dir());
	snprintf(fx_dirs[FX_MEMORY], FX_PATH_MAX - 32, "/dev/shm/storage-XXXXXX");
	for (i = 0; i < FX_PLACES; i++) {
		if (!mkdtemp(fx_dirs[i])) {
			perror(fx_dirs[i]);
			exit(EXIT_FAILURE);
		}
		fx_direct[i] = fx_try_direct(i);
		if (!fx_direct[i])
			fx_skip("O_DIRECT: files in %s do not support it", fx_dirs[i]);
	}
	fx_uring = fx_try_uring();
}

static void fx_remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] != '.' && unlinkat(dirfd(dir), e->d_name, 0))
			unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

int fx_main(Suite *suite)
{
	unsigned int i;
	int status;

	fx_init();
	status = tap_main(suite);
	for (i = 0; i < FX_PLACES; i++)
		fx_remove_dir(fx_dirs[i]);
	return status;
}

struct fx_way fx_way(int i)
{
	static const enum storage_engine engines[] = {
		STORAGE_ENGINE_URING, STORAGE_ENGINE_AIO, STORAGE_ENGINE_THREADS,
		STORAGE_ENGINE_AUTO,
	};
	static const enum storage_cache caches[] = {
		STORAGE_CACHE_WRITEBACK, STORAGE_CACHE_NONE, STORAGE_CACHE_WRITETHROUGH,
	};
	const size_t n = (size_t)i;

	return (struct fx_way){ n % FX_PLACES, engines[n / FX_PLACES / ARRAY_SIZE(caches)],
				caches[n / FX_PLACES % ARRAY_SIZE(caches)] };
}

bool fx_can(struct fx_way way)
{
	if (way.cache == STORAGE_CACHE_NONE && !fx_direct[way.place])
		return false;
	return fx_uring || way.engine != STORAGE_ENGINE_URING;
}

void fx_path(char path[FX_PATH_MAX], enum fx_place place, unsigned int n)
{
	snprintf(path, FX_PATH_MAX, "%.*s/%d.%u", FX_PATH_MAX - 32, fx_dirs[place], getpid(), n);
}

void fx_create(const char *path, uint64_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/*
 * One channel
 */

void fx_image(struct fx *fx, enum fx_place place, uint64_t size, struct storage_params *params)
{
	fx_path(fx->path, place, 0);
	fx_create(fx->path, size);
	params->path = fx->path;
}

void fx_open(struct fx *fx, const struct storage_params *params)
{
	char why[200] = "";
	int err;

	err = storage_open(&fx->st, params, why, sizeof(why));
	ck_assert_msg(!err, "%s", why);
	fx->base = event_base_new();
	ck_assert_ptr_nonnull(fx->base);
	ck_assert_int_eq(vhost_worker_new(&fx->worker, fx->base), 0);
	ck_assert_int_eq(storage_chan_open(fx->st, fx->worker, &fx->chan), 0);
}

bool fx_open_way(struct fx *fx, int i, uint64_t size, struct storage_params *params)
{
	struct fx_way way = fx_way(i);

	if (!fx_can(way))
		return false;
	params->engine = way.engine;
	params->cache = way.cache;
	fx_image(fx, way.place, size, params);
	fx_open(fx, params);
	return true;
}

void fx_close(struct fx *fx)
{
	storage_chan_close(fx->chan);
	storage_close(fx->st);
	vhost_worker_free(fx->worker);
	event_base_free(fx->base);
	unlink(fx->path);
}

static void fx_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	ck_abort_msg("nothing has happened for %d seconds", FX_DEADLINE_S);
}

void fx_step(struct fx *fx)
{
	const struct timeval deadline = { FX_DEADLINE_S, 0 };
	struct event *late = evtimer_new(fx->base, fx_late, NULL);

	ck_assert_ptr_nonnull(late);
	evtimer_add(late, &deadline);
	event_base_loop(fx->base, EVLOOP_ONCE);
	event_free(late);
}

/*
 * Operations
 */

static void fx_done(struct storage_io *io, int err)
{
	struct fx_op *op = container_of(io, struct fx_op, io);

	ck_assert(!op->ended);
	op->ended = true;
	op->err = err;
}

void fx_start(struct fx *fx, struct fx_op *op, enum storage_op kind, unsigned int flags,
	      uint64_t offset, uint64_t len, void *buf)
{
	memset(op, 0, sizeof(*op));
	op->iov = (struct iovec){ buf, len };
	op->io = (struct storage_io){
		.op = kind, .flags = flags, .offset = offset, .len = len,
		.iov = &op->iov, .iovcnt = 1, .map = &op->map, .done = fx_done,
	};
	op->map = (struct storage_map){ STORAGE_SECTOR, ARRAY_SIZE(op->runs), op->runs, 77 };
	storage_submit(fx->chan, &op->io);
}

int fx_wait(struct fx *fx, struct fx_op *op)
{
	storage_commit(fx->chan);
	while (!op->ended)
		fx_step(fx);
	return op->err;
}

int fx_do(struct fx *fx, enum storage_op kind, unsigned int flags, uint64_t offset, uint64_t len,
	  void *buf)
{
	struct fx_op op;

	fx_start(fx, &op, kind, flags, offset, len, buf);
	return fx_wait(fx, &op);
}

void fx_refused(const struct storage_params *params, int err, const char *text)
{
	struct storage *st;
	char why[200] = "";

	ck_assert_int_eq(storage_open(&st, params, why, sizeof(why)), err);
	ck_assert_msg(strstr(why, text), "\"%s\" does not contain \"%s\"", why, text);
	ck_assert_msg(!strchr(why, '\n'), "\"%s\" has more than one line", why);
}

void *fx_pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(p != MAP_FAILED);
	return p;
}

/*
 * File systems and block devices
 */

bool fx_mount(char dir[FX_PATH_MAX], const char *type, const char *options)
{
	fx_path(dir, FX_DISK, 0);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mkdir(dir, 0700) || mount("own", dir, type, 0, options)) {
		fx_skip("%s of our own: cannot mount it: %s", type, strerror(errno));
		return false;
	}
	return true;
}

void fx_unmount(const char *dir)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

/* Ask for a free one until one is still free when we come to it. */
static int fx_loop_attach(int control, const struct loop_config *cfg, char path[FX_PATH_MAX])
{
	int tries, n, fd;

	for (tries = 0; tries < 20; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		if (n < 0)
			return -1;
		snprintf(path, FX_PATH_MAX, "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -1;
		if (!ioctl(fd, LOOP_CONFIGURE, cfg))
			return fd;
		close(fd);
		if (errno != EBUSY)
			return -1;
	}
	return -1;
}

bool fx_loop(char path[FX_PATH_MAX], const char *file, unsigned int block_size)
{
	/* The device goes when its last user closes it; we keep it until the test ends. */
	struct loop_config cfg = {
		.block_size = block_size,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = -1;

	if (control >= 0) {
		cfg.fd = (uint32_t)open(file, O_RDWR | O_CLOEXEC);
		fd = fx_loop_attach(control, &cfg, path);
		close((int)cfg.fd);
		close(control);
	}
	if (fd < 0)
		fx_skip("block devices: no loop device to be had: %s", strerror(errno));
	return fd >= 0;
}
