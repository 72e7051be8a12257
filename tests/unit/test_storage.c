/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage: opening images, locks, what is found out about them, checks of operations. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage_fixture.h"

#define MIB (UINT64_C(1) << 20)

static unsigned int count_fds(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < 1024; i++)
		n += fcntl((int)i, F_GETFD) >= 0;
	return n;
}

/*
 * Opening
 */

START_TEST(params_out_of_range)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_NULL };

	fx_refused(&p, -EINVAL, "size");
	p = (struct storage_params){ .engine = STORAGE_ENGINE_NULL, .size = MIB, .path = "x" };
	fx_refused(&p, -EINVAL, "file");
	p = (struct storage_params){ .engine = STORAGE_ENGINE_THREADS };
	fx_refused(&p, -EINVAL, "file");
	p = (struct storage_params){ .engine = STORAGE_ENGINE_NULL, .size = MIB };
	p.block_size = 1024;
	fx_refused(&p, -EINVAL, "block size");
	p.block_size = 0;
	p.depth = 4097;
	fx_refused(&p, -EINVAL, "depth");
	p.depth = 0;
	p.threads = 257;
	fx_refused(&p, -EINVAL, "threads");
	p.threads = 0;
	p.align = 513;
	fx_refused(&p, -EINVAL, "alignment");
	p.align = 0;
	p.fault = "write@x:EIO";
	fx_refused(&p, -EINVAL, "fault");
}
END_TEST

START_TEST(files_which_cannot_be_opened)
{
	struct storage_params p = { .path = "/nonexistent/file" };
	char path[FX_PATH_MAX];

	fx_refused(&p, -ENOENT, "No such file");
	p.path = "/";
	p.read_only = true;
	fx_refused(&p, -EINVAL, "neither");
	p.path = "/dev/null";
	p.read_only = false;
	fx_refused(&p, -EINVAL, "neither");
	fx_path(path, FX_DISK, 1);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	p.path = path;
	fx_refused(&p, -EINVAL, "neither");
	p.read_only = true;
	fx_refused(&p, -EINVAL, "neither");
	unlink(path);
}
END_TEST

START_TEST(device_in_use)
{
	struct storage_params p = { 0 };
	char file[FX_PATH_MAX], dev[FX_PATH_MAX];
	struct fx fx = { 0 };
	int fd;

	fx_path(file, FX_DISK, 0);
	fx_create(file, MIB);
	p.path = dev;
	if (fx_loop(dev, file, 512)) {
		/* as a mounted file system would */
		fd = open(dev, O_RDONLY | O_EXCL | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		fx_refused(&p, -EBUSY, "in use by the host");
		p.read_only = true;
		fx_open(&fx, &p);
		fx_close(&fx);
		close(fd);
	}
	unlink(file);
}
END_TEST

/* What the image can do is found out without changing it. */
START_TEST(opening_leaves_no_trace)
{
	struct storage_params p = { 0 };
	struct stat before, after;
	char why[100];
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	storage_chan_close(fx.chan);
	storage_close(fx.st);
	ck_assert_int_eq(truncate(fx.path, 2 * MIB), 0);
	ck_assert_int_eq(stat(fx.path, &before), 0);
	ck_assert_int_eq(storage_open(&fx.st, &p, why, sizeof(why)), 0);
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &fx.chan), 0);
	ck_assert_int_eq(stat(fx.path, &after), 0);
	ck_assert_int_eq(before.st_size, after.st_size);
	ck_assert_int_eq(before.st_blocks, after.st_blocks);
	fx_close(&fx);
}
END_TEST

START_TEST(size_must_be_made_of_blocks)
{
	struct storage_params p = { 0 };
	struct storage_info info;
	struct fx fx;

	fx_image(&fx, FX_DISK, MIB + 100, &p);
	fx_refused(&p, -EINVAL, "1048676");
	ck_assert_int_eq(truncate(fx.path, MIB + 512), 0);
	p.block_size = 4096;
	fx_refused(&p, -EINVAL, "4096");
	p.block_size = 512;
	p.align = 4096;
	fx_refused(&p, -EINVAL, "O_DIRECT");
	p.align = 0;
	fx_open(&fx, &p);
	storage_info(fx.st, &info);
	ck_assert_uint_eq(info.size, MIB + 512);
	fx_close(&fx);
}
END_TEST

START_TEST(empty_image)
{
	struct storage_params p = { 0 };
	char buf[512];
	struct fx fx;

	if (!fx_open_way(&fx, _i, 0, &p))
		return;
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 512, buf), -ERANGE);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 0, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
}
END_TEST

START_TEST(missing_file_is_created)
{
	struct storage_params p = { .size = MIB };
	char path[FX_PATH_MAX];
	struct storage_info info;
	struct fx fx = { 0 };

	fx_path(path, FX_DISK, 0);
	p.path = path;
	/* what fails leaves nothing behind */
	p.fault = "nonsense";
	fx_refused(&p, -EINVAL, "fault");
	ck_assert_int_eq(access(path, F_OK), -1);
	p.fault = NULL;
	p.size = MIB + 1;
	fx_refused(&p, -EINVAL, "multiple");
	ck_assert_int_eq(access(path, F_OK), -1);
	p.size = MIB;
	p.read_only = true;
	fx_refused(&p, -ENOENT, "No such file");
	p.read_only = false;
	fx_open(&fx, &p);
	storage_info(fx.st, &info);
	ck_assert(info.created && info.size == MIB);
	fx_close(&fx);
	/* now it exists: the size must agree, and it stays when opening fails */
	p.size = 2 * MIB;
	fx_refused(&p, -EINVAL, "1048576");
	ck_assert_int_eq(access(path, F_OK), 0);
	p.size = MIB;
	fx_open(&fx, &p);
	storage_info(fx.st, &info);
	ck_assert(!info.created);
	fx_close(&fx);
	unlink(path);
}
END_TEST

/* Whether somebody holds locks on the file. */
static bool is_locked(const char *path)
{
	struct flock fl = { .l_type = F_WRLCK, .l_start = 0, .l_len = 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &fl), 0);
	close(fd);
	return fl.l_type != F_UNLCK;
}

/* ramfs has no O_DIRECT; nothing is left behind. */
START_TEST(no_direct_io)
{
	struct storage_params p = { .cache = STORAGE_CACHE_NONE, .size = MIB };
	char dir[FX_PATH_MAX], path[FX_PATH_MAX];

	if (!fx_mount(dir, "ramfs", NULL))
		return;
	snprintf(path, sizeof(path), "%.*s/image", FX_PATH_MAX - 16, dir);
	p.path = path;
	fx_refused(&p, -EINVAL, "O_DIRECT");
	ck_assert_int_eq(access(path, F_OK), -1);
	fx_unmount(dir);
}
END_TEST

START_TEST(locks)
{
	struct storage_params p = { 0 }, ro = { .read_only = true };
	struct storage *st;
	char why[100];
	struct fx fx;

	fx_image(&fx, FX_DISK, MIB, &p);
	fx_open(&fx, &p);
	ro.path = p.path;
	fx_refused(&p, -EBUSY, "in use by another process");
	fx_refused(&ro, -EBUSY, "in use by another process");
	storage_chan_close(fx.chan);
	storage_close(fx.st);
	ck_assert_int_eq(storage_open(&fx.st, &ro, why, sizeof(why)), 0);
	ck_assert_int_eq(storage_open(&st, &ro, why, sizeof(why)), 0);
	fx_refused(&p, -EBUSY, "in use by another process");
	storage_close(st);
	fx_refused(&p, -EBUSY, "in use by another process");
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &fx.chan), 0);
	fx_close(&fx);
}
END_TEST

/* Who shares the image neither heeds locks nor takes any. */
START_TEST(no_locks)
{
	struct storage_params p = { 0 }, shared = { .shared = true };
	struct storage *st;
	char why[100];
	struct fx fx;

	fx_image(&fx, FX_DISK, MIB, &p);
	fx_open(&fx, &p);
	shared.path = p.path;
	ck_assert_int_eq(storage_open(&st, &shared, why, sizeof(why)), 0);
	storage_chan_close(fx.chan);
	storage_close(fx.st);
	ck_assert(!is_locked(p.path));
	storage_close(st);
	vhost_worker_free(fx.worker);
	event_base_free(fx.base);
	fx_open(&fx, &shared);
	fx_close(&fx);
}
END_TEST

/* A closed image is free at once, also if a ring has used it. */
START_TEST(locks_end)
{
	struct storage_params p = { 0 };
	char *buf = fx_pages(4096), why[100];
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 4096, buf), 0);
	ck_assert(is_locked(p.path));
	storage_chan_close(fx.chan);
	storage_close(fx.st);
	ck_assert(!is_locked(p.path));
	ck_assert_int_eq(storage_open(&fx.st, &p, why, sizeof(why)), 0);
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &fx.chan), 0);
	fx_close(&fx);
}
END_TEST

/* Writes without end, in a process of its own. */
static void write_until_killed(const struct storage_params *p, int ready)
{
	static struct fx_op ops[64];
	char *buf = fx_pages(65536);
	struct fx fx = { 0 };
	unsigned int i;

	fx_open(&fx, p);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		ops[i].ended = true;
	for (;;) {
		for (i = 0; i < ARRAY_SIZE(ops); i++) {
			if (ops[i].ended)
				fx_start(&fx, &ops[i], STORAGE_WRITE, 0, i * 4096, 4096, buf);
		}
		storage_commit(fx.chan);
		if (write(ready, "", 1) != 1)
			return;
		fx_step(&fx);
	}
}

/* A process which was killed with operations in work does not keep its successor out. */
START_TEST(locks_end_with_the_process)
{
	struct storage_params p = { 0 };
	struct fx_way way = fx_way(_i);
	char byte, why[100];
	int ready[2];
	struct fx fx;
	pid_t pid;

	if (!fx_can(way))
		return;
	p.engine = way.engine;
	p.cache = way.cache;
	fx_image(&fx, way.place, MIB, &p);
	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		write_until_killed(&p, ready[1]);
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	close(ready[1]);
	ck_assert_msg(!storage_open(&fx.st, &p, why, sizeof(why)), "%s", why);
	storage_close(fx.st);
	unlink(fx.path);
}
END_TEST

/* A writer in QEMU's scheme holds a read lock on byte 101, one who bears no writer on 201. */
START_TEST(locks_of_qemu)
{
	struct flock fl = { .l_type = F_RDLCK, .l_start = 101, .l_len = 1 };
	struct storage_params p = { 0 };
	struct fx fx;
	int fd;

	fx_image(&fx, FX_DISK, MIB, &p);
	fd = open(fx.path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	p.read_only = true;
	fx_refused(&p, -EBUSY, "in use");
	fl.l_type = F_UNLCK;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	fl.l_type = F_RDLCK;
	fl.l_start = 201;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	p.read_only = false;
	fx_refused(&p, -EBUSY, "in use");
	p.read_only = true;
	fx_open(&fx, &p);
	fx_close(&fx);
	close(fd);
}
END_TEST

/* Without file descriptors to spare there is no ring: auto takes another engine. */
START_TEST(engine_which_does_not_work)
{
	struct storage_params p = { .cache = STORAGE_CACHE_NONE };
	struct storage_info info;
	struct rlimit old, one;
	struct storage *st;
	char why[100];
	struct fx fx;

	if (!fx_can((struct fx_way){ FX_DISK, STORAGE_ENGINE_URING, STORAGE_CACHE_NONE }))
		return;
	fx_image(&fx, FX_DISK, MIB, &p);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	one = old;
	one.rlim_cur = (rlim_t)open("/dev/null", O_RDONLY | O_CLOEXEC) + 1;
	close((int)one.rlim_cur - 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &one), 0);
	p.engine = STORAGE_ENGINE_URING;
	fx_refused(&p, -EMFILE, "io_uring");
	p.engine = STORAGE_ENGINE_AUTO;
	ck_assert_int_eq(storage_open(&st, &p, why, sizeof(why)), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	storage_info(st, &info);
	ck_assert_str_eq(info.engine, "aio");
	storage_close(st);
	unlink(fx.path);
}
END_TEST

START_TEST(no_fds_leak)
{
	struct storage_params p = { 0 };
	const unsigned int before = count_fds();
	char buf[512] = "";
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_uint_gt(count_fds(), before);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 512, 512, buf), 0);
	fx_close(&fx);
	/* nor when the last step of opening fails */
	fx_create(fx.path, MIB);
	p.fault = "nonsense";
	fx_refused(&p, -EINVAL, "fault");
	unlink(fx.path);
	ck_assert_uint_eq(count_fds(), before);
}
END_TEST

START_TEST(description)
{
	static const char *const names[] = {
		[STORAGE_ENGINE_URING] = "uring", [STORAGE_ENGINE_AIO] = "aio",
		[STORAGE_ENGINE_THREADS] = "threads",
	};
	struct storage_params p = { 0 };
	struct storage_info info;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	storage_info(fx.st, &info);
	if (p.engine != STORAGE_ENGINE_AUTO)
		ck_assert_str_eq(info.engine, names[p.engine]);
	else if (fx_way(_i).place == FX_MEMORY)
		ck_assert_str_eq(info.engine, "threads");
	else if (fx_can((struct fx_way){ .engine = STORAGE_ENGINE_URING }))
		ck_assert_str_eq(info.engine, "uring");
	ck_assert_uint_eq(info.size, MIB);
	ck_assert(is_power_of_2(info.block_size) && info.block_size >= 512);
	ck_assert(is_power_of_2(info.physical_block) && info.physical_block >= info.block_size);
	ck_assert_uint_ge(info.mem_align, 1);
	ck_assert(info.volatile_cache == (p.cache != STORAGE_CACHE_WRITETHROUGH));
	ck_assert(!info.read_only && !info.created);
	fx_close(&fx);
}
END_TEST

/*
 * Checks
 */

START_TEST(ranges)
{
	static const struct {
		uint64_t offset, len;
		int err;
	} cases[] = {
		{ MIB - 512, 512, 0 },
		{ MIB, 0, 0 },
		{ MIB, 512, -ERANGE },
		{ MIB - 512, 1024, -ERANGE },
		{ MIB + 512, 0, -ERANGE },
		{ 0, MIB + 512, -ERANGE },
		{ 0, UINT64_MAX - 511, -ERANGE },
		{ 512, UINT64_MAX - 511, -ERANGE },
		{ UINT64_MAX - 511, 512, -ERANGE },
		{ UINT64_MAX - 511, 1024, -ERANGE },
		{ UINT64_MAX - 511, UINT64_MAX - 511, -ERANGE },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63, -ERANGE },
		{ 100, 512, -EINVAL },
		{ 0, 100, -EINVAL },
		{ UINT64_MAX, 1, -EINVAL },
	};
	static char buf[1024];
	struct storage_params p = { 0 };
	unsigned int i, op;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (op = 0; op < STORAGE_OPS; op++) {
			if (op == STORAGE_FLUSH)
				continue;
			ck_assert_msg(fx_do(&fx, op, 0, cases[i].offset, cases[i].len, buf) ==
				      cases[i].err, "case %u, op %u", i, op);
		}
	}
	fx_close(&fx);
}
END_TEST

START_TEST(callers_mistakes)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_NULL, .size = MIB };
	struct iovec iov[2] = { { NULL, SIZE_MAX - 511 }, { NULL, 1024 } };
	struct fx fx = { 0 };
	char buf[512];
	struct fx_op op;

	fx_open(&fx, &p);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, STORAGE_FUA, 0, 512, buf), -EINVAL);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_UNMAP, 0, 512, buf), -EINVAL);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 1u << 8, 0, 512, buf), -EINVAL);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, STORAGE_FUA, 0, 0, NULL), -EINVAL);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 512, NULL), -EINVAL);
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, STORAGE_UNMAP, 0, 512, NULL), -EINVAL);
	/* the elements hold another length; and their sum is the length, modulo 2^64 */
	fx_start(&fx, &op, STORAGE_WRITE, 0, 0, 1024, buf);
	ck_assert_int_eq(fx_wait(&fx, &op), 0);
	op.ended = false;
	op.io.len = 512;
	storage_submit(fx.chan, &op.io);
	ck_assert_int_eq(fx_wait(&fx, &op), -EINVAL);
	op.ended = false;
	op.io.iov = iov;
	op.io.iovcnt = 2;
	storage_submit(fx.chan, &op.io);
	ck_assert_int_eq(fx_wait(&fx, &op), -EINVAL);
	fx_close(&fx);
}
END_TEST

START_TEST(read_only)
{
	struct storage_params p = { .read_only = true };
	struct storage_info info;
	char buf[512];
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	storage_info(fx.st, &info);
	ck_assert(info.read_only && !info.discard_max && !info.zero_unmap);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 512, buf), -EROFS);
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, 0, 0, 512, NULL), -EROFS);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, 0, 0, 512, NULL), -EROFS);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 0, buf), -EROFS);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 512, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
}
END_TEST

static Suite *suite(void)
{
	const int n = FX_WAYS;
	Suite *s = suite_create("storage");
	TCase *tc;

	tc = tcase_create("open");
	tcase_add_test(tc, params_out_of_range);
	tcase_add_test(tc, files_which_cannot_be_opened);
	tcase_add_test(tc, device_in_use);
	tcase_add_loop_test(tc, opening_leaves_no_trace, 0, n);
	tcase_add_test(tc, size_must_be_made_of_blocks);
	tcase_add_loop_test(tc, empty_image, 0, n);
	tcase_add_test(tc, missing_file_is_created);
	tcase_add_test(tc, no_direct_io);
	tcase_add_test(tc, locks);
	tcase_add_test(tc, no_locks);
	tcase_add_loop_test(tc, locks_end, 0, n);
	tcase_add_loop_test(tc, locks_end_with_the_process, 0, n);
	tcase_add_test(tc, locks_of_qemu);
	tcase_add_test(tc, engine_which_does_not_work);
	tcase_add_loop_test(tc, no_fds_leak, 0, n);
	tcase_add_loop_test(tc, description, 0, n);
	suite_add_tcase(s, tc);

	tc = tcase_create("checks");
	tcase_add_loop_test(tc, ranges, 0, n);
	tcase_add_test(tc, callers_mistakes);
	tcase_add_loop_test(tc, read_only, 0, n);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return fx_main(suite());
}
