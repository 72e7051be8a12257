/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage: images which change their size while they are used. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage_fixture.h"

#define MIB	(UINT64_C(1) << 20)
#define BLOCK	UINT64_C(4096)

static struct fx fx;
static char *page;

/* How a change has ended; 1: not yet. */
static int outcome;
static unsigned int outcomes;

static void resized(void *arg, int err)
{
	ck_assert_ptr_eq(arg, &fx);
	outcome = err;
	outcomes++;
}

static int resize(uint64_t size, char *why, size_t why_size)
{
	const struct storage_resize how = {
		.size = size, .control = fx.worker, .done = resized, .arg = &fx,
	};

	outcome = 1;
	return storage_resize(fx.st, &how, why, why_size);
}

/* Change the size, and wait; what becomes of it. */
static int resize_done(uint64_t size)
{
	char why[200] = "";

	ck_assert_msg(!resize(size, why, sizeof(why)), "%s", why);
	while (outcome == 1)
		fx_step(&fx);
	return outcome;
}

static void refused(uint64_t size, int err, const char *text)
{
	char why[200] = "";

	ck_assert_int_eq(resize(size, why, sizeof(why)), err);
	ck_assert_msg(strstr(why, text), "\"%s\" does not contain \"%s\"", why, text);
	ck_assert_int_eq(outcome, 1);
}

static uint64_t told(void)
{
	struct storage_info info;

	storage_info(fx.st, &info);
	ck_assert_uint_eq(storage_chan_size(fx.chan), info.size);
	return info.size;
}

static uint64_t file_size(void)
{
	struct stat sb;

	ck_assert_int_eq(stat(fx.path, &sb), 0);
	return (uint64_t)sb.st_size;
}

static int write_block(uint64_t off)
{
	return fx_do(&fx, STORAGE_WRITE, 0, off, BLOCK, page);
}

static int read_block(uint64_t off)
{
	return fx_do(&fx, STORAGE_READ, 0, off, BLOCK, page);
}

static bool open_way(int i)
{
	struct storage_params p = { 0 };

	page = fx_pages(BLOCK);
	return fx_open_way(&fx, i, MIB, &p);
}

/* On one that has a queue of its own for what is not done at once. */
static void open_threads(unsigned int depth)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_THREADS, .align = 4096,
				    .depth = depth };

	page = fx_pages(BLOCK);
	fx_image(&fx, FX_MEMORY, MIB, &p);
	fx_open(&fx, &p);
}

START_TEST(grows)
{
	if (!open_way(_i))
		return;
	ck_assert_int_eq(write_block(MIB), -ERANGE);
	ck_assert_int_eq(resize_done(2 * MIB), 0);
	ck_assert_uint_eq(told(), 2 * MIB);
	ck_assert_uint_eq(file_size(), 2 * MIB);
	ck_assert_int_eq(write_block(MIB), 0);
	ck_assert_int_eq(read_block(2 * MIB - BLOCK), 0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE_ZEROES, 0, MIB, MIB, NULL), 0);
	ck_assert_int_eq(write_block(2 * MIB), -ERANGE);
	ck_assert_int_eq(write_block(2 * MIB - 512), -ERANGE);
	fx_close(&fx);
}
END_TEST

START_TEST(shrinks)
{
	if (!open_way(_i))
		return;
	ck_assert_int_eq(write_block(MIB - BLOCK), 0);
	ck_assert_int_eq(resize_done(MIB / 2), 0);
	ck_assert_uint_eq(told(), MIB / 2);
	ck_assert_uint_eq(file_size(), MIB / 2);
	ck_assert_int_eq(write_block(MIB / 2), -ERANGE);
	ck_assert_int_eq(read_block(MIB - BLOCK), -ERANGE);
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, 0, MIB / 2, BLOCK, NULL), -ERANGE);
	ck_assert_int_eq(write_block(MIB / 2 - BLOCK), 0);
	ck_assert_uint_eq(file_size(), MIB / 2);
	fx_close(&fx);
}
END_TEST

/* Somebody else has made the file longer, or shorter; nothing happens until we are told. */
START_TEST(somebody_else)
{
	if (!open_way(_i))
		return;
	ck_assert_int_eq(truncate(fx.path, 3 * MIB), 0);
	ck_assert_int_eq(write_block(MIB), -ERANGE);
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_uint_eq(told(), 3 * MIB);
	ck_assert_int_eq(write_block(3 * MIB - BLOCK), 0);

	ck_assert_int_eq(truncate(fx.path, MIB), 0);
	ck_assert_int_eq(read_block(2 * MIB), -EIO);
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_uint_eq(told(), MIB);
	ck_assert_int_eq(read_block(2 * MIB), -ERANGE);
	ck_assert_int_eq(read_block(MIB - BLOCK), 0);

	/* Nothing has changed. */
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_int_eq(resize_done(MIB), 0);
	ck_assert_uint_eq(told(), MIB);
	ck_assert_uint_eq(file_size(), MIB);
	fx_close(&fx);
}
END_TEST

START_TEST(refusals)
{
	struct storage_params p = { .block_size = 4096 };

	fx_image(&fx, FX_DISK, MIB, &p);
	fx_open(&fx, &p);
	refused(MIB + 512, -EINVAL, "multiple");
	refused(UINT64_MAX - 4095, -EINVAL, "cannot have");
	ck_assert_int_eq(truncate(fx.path, (off_t)MIB + 100), 0);
	refused(0, -EINVAL, "multiple");
	ck_assert_uint_eq(told(), MIB);
	ck_assert_int_eq(resize_done(2 * MIB), 0);
	fx_close(&fx);

	fx_image(&fx, FX_DISK, MIB, &p);
	p.read_only = true;
	fx_open(&fx, &p);
	refused(2 * MIB, -EROFS, "read-only");
	ck_assert_uint_eq(file_size(), MIB);
	ck_assert_int_eq(truncate(fx.path, 2 * MIB), 0);
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_uint_eq(told(), 2 * MIB);
	fx_close(&fx);
}
END_TEST

START_TEST(null_engine)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_NULL, .size = MIB };

	page = fx_pages(BLOCK);
	fx.path[0] = '\0';
	fx_open(&fx, &p);
	ck_assert_int_eq(resize_done(2 * MIB), 0);
	ck_assert_int_eq(write_block(MIB), 0);
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_uint_eq(told(), 2 * MIB);
	ck_assert_int_eq(resize_done(MIB / 2), 0);
	ck_assert_int_eq(write_block(MIB / 2), -ERANGE);
	fx_close(&fx);
}
END_TEST

/* A filter lets it through. */
START_TEST(filter)
{
	struct storage_params p = { .fault = "write@1572864:ENOSPC" };

	page = fx_pages(BLOCK);
	fx_image(&fx, FX_MEMORY, MIB, &p);
	fx_open(&fx, &p);
	ck_assert_int_eq(resize_done(2 * MIB), 0);
	ck_assert_uint_eq(file_size(), 2 * MIB);
	ck_assert_int_eq(write_block(MIB), 0);
	ck_assert_int_eq(write_block(MIB + MIB / 2), -ENOSPC);
	fx_close(&fx);
}
END_TEST

START_TEST(device)
{
	struct storage_params p = { 0 };
	char path[FX_PATH_MAX];

	fx_path(path, FX_DISK, 1);
	fx_create(path, MIB);
	p.path = fx.path;
	if (!fx_loop(fx.path, path, 512)) {
		unlink(path);
		return;
	}
	page = fx_pages(BLOCK);
	fx_open(&fx, &p);
	refused(2 * MIB, -EINVAL, "cannot be changed");
	refused(MIB / 2, -EINVAL, "cannot be changed");
	ck_assert_int_eq(resize_done(MIB), 0);
	ck_assert_int_eq(resize_done(0), 0);
	ck_assert_uint_eq(told(), MIB);
	/* fx_close() unlinks. */
	strcpy(fx.path, path);
	fx_close(&fx);
}
END_TEST

/*
 * What is in work.  Operations on parts of 4 KiB go to helper threads, but not before commit.
 */

static void steps(void)
{
	unsigned int i;

	for (i = 0; i < 20; i++)
		event_base_loop(fx.base, EVLOOP_NONBLOCK);
}

/* The file is cut after what was submitted before has ended; what comes meanwhile waits. */
START_TEST(drains)
{
	struct fx_op before[2], meanwhile[3];
	char why[200];

	open_threads(_i ? 1 : 0);
	fx_start(&fx, &before[0], STORAGE_WRITE, 0, MIB - 512, 512, page);
	/* With a depth of one this waits, and is judged by the new size. */
	fx_start(&fx, &before[1], STORAGE_WRITE, 0, MIB - 1024, 512, page);
	ck_assert_int_eq(resize(MIB / 2, why, sizeof(why)), 0);
	steps();
	ck_assert_int_eq(outcome, 1);
	ck_assert_uint_eq(file_size(), MIB);
	fx_start(&fx, &meanwhile[0], STORAGE_WRITE, 0, 512, 512, page);
	fx_start(&fx, &meanwhile[1], STORAGE_WRITE, 0, MIB / 2, 512, page);
	fx_start(&fx, &meanwhile[2], STORAGE_FLUSH, 0, 0, 0, NULL);
	refused(0, -EBUSY, "already");
	steps();
	ck_assert(!before[0].ended && !meanwhile[0].ended && !meanwhile[1].ended);
	ck_assert_int_eq(fx_wait(&fx, &before[0]), 0);
	ck_assert_int_eq(fx_wait(&fx, &before[1]), _i ? -ERANGE : 0);
	ck_assert_int_eq(fx_wait(&fx, &meanwhile[0]), 0);
	ck_assert_int_eq(fx_wait(&fx, &meanwhile[1]), -ERANGE);
	ck_assert_int_eq(fx_wait(&fx, &meanwhile[2]), 0);
	while (outcome == 1)
		fx_step(&fx);
	ck_assert_int_eq(outcome, 0);
	ck_assert_uint_eq(outcomes, 1);
	ck_assert_uint_eq(file_size(), MIB / 2);
	fx_close(&fx);
}
END_TEST

/* What is in work does not hinder an image which grows. */
START_TEST(grows_in_work)
{
	struct fx_op op;

	open_threads(0);
	fx_start(&fx, &op, STORAGE_WRITE, 0, 512, 512, page);
	ck_assert_int_eq(resize_done(2 * MIB), 0);
	ck_assert(!op.ended);
	ck_assert_int_eq(fx_wait(&fx, &op), 0);
	fx_close(&fx);
}
END_TEST

/* A channel which opens or closes while the change is on its way. */
START_TEST(channels_come_and_go)
{
	struct storage_chan *second;
	char why[200];

	open_threads(0);
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &second), 0);
	ck_assert_int_eq(resize(2 * MIB, why, sizeof(why)), 0);
	storage_chan_close(second);
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &second), 0);
	ck_assert_uint_eq(storage_chan_size(second), 2 * MIB);
	while (outcome == 1)
		fx_step(&fx);
	ck_assert_int_eq(outcome, 0);
	ck_assert_int_eq(resize_done(MIB), 0);
	ck_assert_uint_eq(storage_chan_size(second), MIB);
	storage_chan_close(second);
	fx_close(&fx);
}
END_TEST

/* Who does not want to wait is told so at once, once. */
START_TEST(cancelled)
{
	char why[200];

	open_threads(0);
	storage_resize_cancel(fx.st);
	ck_assert_int_eq(resize(2 * MIB, why, sizeof(why)), 0);
	storage_resize_cancel(fx.st);
	ck_assert_int_eq(outcome, -ECANCELED);
	steps();
	ck_assert_uint_eq(outcomes, 1);
	ck_assert_uint_eq(told(), 2 * MIB);

	/* By the end of the image, too. */
	ck_assert_int_eq(resize(MIB, why, sizeof(why)), 0);
	storage_chan_close(fx.chan);
	storage_close(fx.st);
	ck_assert_int_eq(outcome, -ECANCELED);
	steps();
	ck_assert_uint_eq(outcomes, 2);
	vhost_worker_free(fx.worker);
	event_base_free(fx.base);
	unlink(fx.path);
}
END_TEST

/* No channel at all: it is done within the call. */
START_TEST(nobody)
{
	char why[200];

	open_threads(0);
	storage_chan_close(fx.chan);
	ck_assert_int_eq(resize(2 * MIB, why, sizeof(why)), 0);
	ck_assert_int_eq(outcome, 0);
	ck_assert_int_eq(storage_chan_open(fx.st, fx.worker, &fx.chan), 0);
	ck_assert_uint_eq(told(), 2 * MIB);
	fx_close(&fx);
}
END_TEST

/*
 * Workers of their own, which write blocks before and behind the end all the time
 */

struct writer {
	struct vhost_worker *worker;
	struct storage_chan *chan;
	struct storage_io io;
	struct iovec iov;
	unsigned int n;
	atomic_uint good, bad;		/* ends of writes at MIB - BLOCK and MIB */
	atomic_bool stop, stopped;
};

static void writer_next(struct writer *w)
{
	static const uint64_t offsets[] = { 0, MIB - BLOCK, MIB };

	w->io.offset = offsets[w->n++ % 3];
	storage_submit(w->chan, &w->io);
}

static void writer_done(struct storage_io *io, int err)
{
	struct writer *w = container_of(io, struct writer, io);

	if (err && err != -ERANGE)
		ck_abort_msg("%s", strerror(-err));
	if (io->offset)
		atomic_fetch_add(err ? &w->bad : &w->good, 1);
	if (atomic_load(&w->stop))
		atomic_store(&w->stopped, true);
	else
		writer_next(w);
}

static void writer_start(void *arg)
{
	struct writer *w = arg;

	ck_assert_int_eq(storage_chan_open(fx.st, w->worker, &w->chan), 0);
	writer_next(w);
	storage_commit(w->chan);
}

static void writer_end(void *arg)
{
	storage_chan_close(((struct writer *)arg)->chan);
}

/* Until so many more writes have been refused. */
static void wait_for_bad(struct writer *w, unsigned int more)
{
	const unsigned int bad = atomic_load(&w->bad);

	while (atomic_load(&w->bad) - bad < more)
		;
}

START_TEST(workers)
{
	struct writer writers[2] = { 0 };
	unsigned int i, round, good;

	open_threads(0);
	for (i = 0; i < 2; i++) {
		struct writer *w = &writers[i];

		w->iov = (struct iovec){ page, 512 };
		w->io = (struct storage_io){ .op = STORAGE_WRITE, .len = 512, .iov = &w->iov,
					     .iovcnt = 1, .done = writer_done };
		ck_assert_int_eq(vhost_worker_new(&w->worker, NULL), 0);
		ck_assert_int_eq(vhost_worker_start(w->worker, "writer"), 0);
		vhost_worker_call(w->worker, writer_start, w);
	}
	for (round = 0; round < TAP_TIMES(100); round++) {
		/* Cut it off before both blocks, between them, and behind both. */
		static const uint64_t sizes[] = { MIB - BLOCK, MIB, MIB + BLOCK };
		const uint64_t size = sizes[round % 3];

		ck_assert_int_eq(resize_done(size), 0);
		ck_assert_uint_eq(file_size(), size);
		ck_assert_uint_eq(told(), size);
		/*
		 * Everybody has seen it: no write comes in which the old size allows.  The last
		 * one of those has been made but is perhaps not counted until the next has ended.
		 */
		if (size < MIB) {
			wait_for_bad(&writers[0], 1);
			good = atomic_load(&writers[0].good);
			wait_for_bad(&writers[0], 4);
			ck_assert_uint_eq(atomic_load(&writers[0].good), good);
			ck_assert_uint_eq(file_size(), size);
		}
	}
	ck_assert_int_eq(resize_done(MIB), 0);
	for (i = 0; i < 2; i++) {
		atomic_store(&writers[i].stop, true);
		while (!atomic_load(&writers[i].stopped))
			;
		vhost_worker_call(writers[i].worker, writer_end, &writers[i]);
		vhost_worker_stop(writers[i].worker);
		vhost_worker_free(writers[i].worker);
	}
	fx_close(&fx);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("storage_resize");
	TCase *tc = tcase_create("storage_resize");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, grows, 0, FX_WAYS);
	tcase_add_loop_test(tc, shrinks, 0, FX_WAYS);
	tcase_add_loop_test(tc, somebody_else, 0, FX_WAYS);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, null_engine);
	tcase_add_test(tc, filter);
	tcase_add_test(tc, device);
	tcase_add_loop_test(tc, drains, 0, 2);
	tcase_add_test(tc, grows_in_work);
	tcase_add_test(tc, channels_come_and_go);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, nobody);
	tcase_add_test(tc, workers);
	suite_add_tcase(suite, tc);
	return fx_main(suite);
}
