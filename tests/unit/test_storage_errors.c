/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage: errors of the kernel, injected errors, depth and order, statistics. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage_fixture.h"

#define MIB (UINT64_C(1) << 20)

/*
 * Errors of the kernel
 */

START_TEST(truncated_image)
{
	struct storage_params p = { 0 };
	char *buf = fx_pages(8192);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(truncate(fx.path, 100000), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 65536, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 98304, 4096, buf), -EIO);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 98304, 4096, buf + 1), -EIO);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, MIB / 2, 8192, buf), -EIO);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, MIB / 2, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, MIB / 2, 4096, buf), 0);
	fx_close(&fx);
}
END_TEST

START_TEST(bad_memory)
{
	struct storage_params p = { 0 };
	char *buf = fx_pages(8192);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(mprotect(buf + 4096, 4096, PROT_NONE), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 4096, buf + 4096), -EFAULT);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 8192, buf), -EFAULT);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 4096, buf + 4096), -EFAULT);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, 0, 4096, buf + 4096), -EFAULT);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
}
END_TEST

/* The kernel refuses to write behind a limit of the process. */
START_TEST(write_error)
{
	const struct rlimit limit = { MIB / 2, RLIM_INFINITY };
	struct storage_params p = { 0 };
	char *buf = fx_pages(4096);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, MIB / 2 - 4096, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, MIB / 2, 4096, buf), -EFBIG);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, MIB / 2, 4096, buf), -EFBIG);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, MIB / 2, 4096, buf), -EFBIG);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 4096, buf), 0);
	fx_close(&fx);
}
END_TEST

START_TEST(full_file_system)
{
	static const enum storage_engine engines[] = {
		STORAGE_ENGINE_URING, STORAGE_ENGINE_AIO, STORAGE_ENGINE_THREADS,
	};
	struct storage_params p = { .engine = engines[_i] };
	char dir[FX_PATH_MAX], *buf = fx_pages(4096);
	uint64_t off = 0;
	struct fx fx;
	int err = 0;

	if (!fx_can((struct fx_way){ .engine = p.engine }) || !fx_mount(dir, "tmpfs", "size=64k"))
		return;
	snprintf(fx.path, sizeof(fx.path), "%.*s/image", FX_PATH_MAX - 16, dir);
	fx_create(fx.path, MIB);
	p.path = fx.path;
	fx_open(&fx, &p);
	memset(buf, 1, 4096);
	for (off = 0; off < MIB && !err; off += 4096)
		err = fx_do(&fx, STORAGE_WRITE, 0, off, 4096, buf);
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, 0, off, 65536, NULL), -ENOSPC);
	/* discard makes room */
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, 0, 0, 8192, NULL), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, off, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
	fx_unmount(dir);
}
END_TEST

/* Leave no room in the file system of dir. */
static void fill_fs(const char *dir)
{
	char path[FX_PATH_MAX + 8], *buf = fx_pages(4096);
	int fd;

	snprintf(path, sizeof(path), "%s/filler", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	while (write(fd, buf, 4096) > 0)
		;
	ck_assert_int_eq(errno, ENOSPC);
	close(fd);
}

/*
 * A loop device on a full file system: the page cache takes writes, which then cannot be
 * written back.  With the engine number i.
 */
static bool open_lossy(struct fx *fx, int i, enum storage_cache cache, char dir[FX_PATH_MAX])
{
	static const enum storage_engine engines[] = {
		STORAGE_ENGINE_URING, STORAGE_ENGINE_AIO, STORAGE_ENGINE_THREADS,
	};
	struct storage_params p = { .engine = engines[i], .cache = cache };
	char file[FX_PATH_MAX], dev[FX_PATH_MAX];

	if (!fx_can((struct fx_way){ .engine = p.engine }) || !fx_mount(dir, "tmpfs", "size=64k"))
		return false;
	snprintf(file, sizeof(file), "%.*s/image", FX_PATH_MAX - 16, dir);
	fx_create(file, MIB);
	fill_fs(dir);
	if (!fx_loop(dev, file, 512)) {
		fx_unmount(dir);
		return false;
	}
	memset(fx, 0, sizeof(*fx));
	p.path = dev;
	fx_open(fx, &p);
	return true;
}

START_TEST(failed_flush)
{
	char dir[FX_PATH_MAX], *buf = fx_pages(8192);
	struct fx fx;

	if (!open_lossy(&fx, _i, STORAGE_CACHE_WRITEBACK, dir))
		return;
	memset(buf, 1, 8192);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 8192, buf), 0);
	ck_assert_int_lt(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	/* the kernel would call this one a success */
	ck_assert_int_lt(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
	fx_unmount(dir);
}
END_TEST

/* FUA means that the data have reached the disk, and so do all writes with writethrough. */
START_TEST(failed_fua)
{
	const enum storage_cache cache = _i / 3 ? STORAGE_CACHE_WRITETHROUGH
						: STORAGE_CACHE_WRITEBACK;
	const unsigned int fua = _i / 3 ? 0 : STORAGE_FUA;
	char dir[FX_PATH_MAX], *buf = fx_pages(8192);
	struct fx fx;

	if (!open_lossy(&fx, _i % 3, cache, dir))
		return;
	memset(buf, 1, 8192);
	if (fua)
		ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 8192, buf), 0);
	ck_assert_int_lt(fx_do(&fx, STORAGE_WRITE, fua, 65536, 8192, buf), 0);
	ck_assert_int_lt(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&fx);
	fx_unmount(dir);
}
END_TEST

/*
 * Faults
 */

START_TEST(faults)
{
	struct storage_params p = { .fault = "write@65536:EIO,flush:ENOSPC*2,discard:28" };
	char *buf = fx_pages(8192);
	struct storage_stats stats;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 61440, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 61440, 8192, buf), -EIO);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 65536, 512, buf + 1), -EIO);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 66048, 512, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 65536, 512, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), -ENOSPC);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), -ENOSPC);
	ck_assert_int_eq(fx_do(&fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, 0, 0, 4096, NULL), -ENOSPC);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.ops[STORAGE_WRITE], 4);
	ck_assert_uint_eq(stats.errors[STORAGE_WRITE], 2);
	ck_assert_uint_eq(stats.bytes[STORAGE_WRITE], 4096 + 512);
	ck_assert_uint_eq(stats.errors[STORAGE_FLUSH], 2);
	ck_assert_uint_eq(stats.errors[STORAGE_DISCARD], 1);
	ck_assert_uint_eq(stats.errors[STORAGE_READ], 0);
	fx_close(&fx);
}
END_TEST

/*
 * Order, depth and recursion
 */

static unsigned int order[64], order_cnt;

struct ordered_op {
	struct storage_io io;
	struct iovec iov;
	unsigned int n;
};

static void ordered_done(struct storage_io *io, int err)
{
	ck_assert_int_eq(err, 0);
	order[order_cnt++] = container_of(io, struct ordered_op, io)->n;
}

/* At a depth of one, operations end in the order in which they came, whoever does them. */
START_TEST(depth)
{
	static const enum storage_op kinds[] = {
		STORAGE_WRITE, STORAGE_WRITE_ZEROES, STORAGE_READ, STORAGE_FLUSH, STORAGE_READ,
	};
	struct storage_params p = { .depth = 1 };
	static struct ordered_op ops[ARRAY_SIZE(order)];
	char *buf = fx_pages(65536);
	unsigned int i;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		struct ordered_op *op = &ops[i];

		/* the larger ones first: they would be overtaken */
		op->n = i;
		op->io.op = kinds[i % ARRAY_SIZE(kinds)];
		op->io.len = op->io.op == STORAGE_FLUSH ? 0 : (ARRAY_SIZE(ops) - i) * 512;
		op->iov = (struct iovec){ buf + i % 2, op->io.len };
		op->io.iov = &op->iov;
		op->io.iovcnt = 1;
		op->io.done = ordered_done;
		storage_submit(fx.chan, &op->io);
	}
	storage_commit(fx.chan);
	while (order_cnt < ARRAY_SIZE(ops))
		fx_step(&fx);
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		ck_assert_uint_eq(order[i], i);
	fx_close(&fx);
}
END_TEST

#define CHAIN 20000

static char *chain_low, *chain_high;	/* addresses on the stack within done() */
static unsigned int chain_left = CHAIN;

/* Each submits the next. */
static void chain_done(struct storage_io *io, int err)
{
	char here;

	ck_assert_int_eq(err, 0);
	chain_low = chain_low && chain_low < &here ? chain_low : &here;
	chain_high = chain_high > &here ? chain_high : &here;
	if (--chain_left)
		storage_submit(io->chan, io);
}

START_TEST(no_recursion)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_NULL, .size = MIB };
	char *buf = fx_pages(512);
	struct iovec iov = { buf, 512 };
	struct storage_io io = { .op = STORAGE_READ, .len = 512, .iov = &iov, .iovcnt = 1,
				 .done = chain_done };
	struct fx fx = { 0 };

	if (_i) {
		p = (struct storage_params){ 0 };
		fx_image(&fx, FX_MEMORY, MIB, &p);
	}
	fx_open(&fx, &p);
	storage_submit(fx.chan, &io);
	ck_assert_uint_eq(chain_left, 0);
	ck_assert_int_lt(chain_high - chain_low, 4096);
	fx_close(&fx);
}
END_TEST

/*
 * The way of an operation, seen in the statistics
 */

START_TEST(inline_reads)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_THREADS };
	struct storage_stats stats;
	char *buf = fx_pages(4096);
	struct fx fx;

	fx_image(&fx, FX_MEMORY, MIB, &p);
	fx_open(&fx, &p);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 0, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, 0, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 512, buf + 1), 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.inlined, 4);
	ck_assert_uint_eq(stats.helped + stats.bounced, 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, 0, 0, 4096, NULL), 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.helped, 1);
	fx_close(&fx);
}
END_TEST

START_TEST(bounces)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_AIO, .align = 4096 };
	struct storage_stats stats;
	char *buf = fx_pages(8192);
	struct fx fx;

	fx_image(&fx, FX_DISK, MIB, &p);
	fx_open(&fx, &p);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 4096, 8192, buf), 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.bounced, 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 512, 4096, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, 512, 512, buf), 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.bounced, 2);
	ck_assert_uint_eq(stats.helped, 2);
	fx_close(&fx);
}
END_TEST

/* Blocks which are discarded, or unmapped zeroes, take no room any more. */
START_TEST(blocks_come_back)
{
	struct storage_params p = { 0 };
	struct storage_info info;
	char *buf = fx_pages(65536);
	blkcnt_t full, less;
	struct stat sb;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	storage_info(fx.st, &info);
	memset(buf, 1, 65536);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, 0, 65536, buf), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, 65536, 65536, buf), 0);
	ck_assert_int_eq(stat(fx.path, &sb), 0);
	full = sb.st_blocks;
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, 0, 0, 65536, NULL), 0);
	ck_assert_int_eq(stat(fx.path, &sb), 0);
	ck_assert_int_ge(sb.st_blocks, full);
	if (!info.discard_max) {
		fx_skip("discard: the file system cannot punch holes");
	} else {
		ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, STORAGE_UNMAP | STORAGE_FUA, 0,
				       65536, NULL), 0);
		ck_assert_int_eq(stat(fx.path, &sb), 0);
		less = sb.st_blocks;
		ck_assert_int_lt(less, full);
		ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, STORAGE_FUA, 65536, 65536, NULL), 0);
		ck_assert_int_eq(stat(fx.path, &sb), 0);
		ck_assert_int_lt(sb.st_blocks, less);
	}
	fx_close(&fx);
}
END_TEST

static Suite *suite(void)
{
	const int n = FX_WAYS;
	Suite *s = suite_create("storage");
	TCase *tc;

	tc = tcase_create("errors");
	tcase_add_loop_test(tc, truncated_image, 0, n);
	tcase_add_loop_test(tc, bad_memory, 0, n);
	tcase_add_loop_test(tc, write_error, 0, n);
	tcase_add_loop_test(tc, full_file_system, 0, 3);
	tcase_add_loop_test(tc, failed_flush, 0, 3);
	tcase_add_loop_test(tc, failed_fua, 0, 6);
	tcase_add_loop_test(tc, faults, 0, n);
	suite_add_tcase(s, tc);

	tc = tcase_create("ways");
	tcase_add_loop_test(tc, depth, 0, n);
	tcase_add_loop_test(tc, no_recursion, 0, 2);
	tcase_add_test(tc, inline_reads);
	tcase_add_test(tc, bounces);
	tcase_add_loop_test(tc, blocks_come_back, 0, n);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return fx_main(suite());
}
