/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage: operations which are neighbours become one, and come apart when it fails. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage_fixture.h"

#define MIB	(UINT64_C(1) << 20)
#define BLOCK	4096u
#define OPS	32u

static struct fx_op ops[OPS];

static uint64_t merged(const struct fx *fx)
{
	struct storage_stats stats;

	storage_chan_stats(fx->chan, &stats);
	return stats.merged;
}

/* Each block has a content of its own. */
static char *blocks(unsigned int n)
{
	char *buf = fx_pages(n * BLOCK);
	unsigned int i;

	for (i = 0; i < n * BLOCK; i++)
		buf[i] = (char)(i / BLOCK * 7 + i % 251);
	return buf;
}

/* n neighbours, a block each, from offset on; all have ended when it returns. */
static void run(struct fx *fx, enum storage_op kind, uint64_t offset, unsigned int n, char *buf)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		fx_start(fx, &ops[i], kind, 0, offset + i * BLOCK, BLOCK, buf + i * BLOCK);
	for (i = 0; i < n; i++)
		fx_wait(fx, &ops[i]);
}

/* Which of n operations have failed with err, as bits; the others have not. */
static unsigned int failed(unsigned int n, int err)
{
	unsigned int i, bits = 0;

	for (i = 0; i < n; i++) {
		if (ops[i].err)
			ck_assert_int_eq(ops[i].err, err);
		bits |= (unsigned int)!!ops[i].err << i;
	}
	return bits;
}

/*
 * What becomes one
 */

START_TEST(neighbours)
{
	struct storage_params p = { 0 };
	char *out = blocks(OPS), *in = fx_pages(OPS * BLOCK);
	struct storage_stats stats;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	run(&fx, STORAGE_WRITE, 0, OPS, out);
	ck_assert_uint_eq(failed(OPS, 0), 0);
	/* The first one could not know that others follow. */
	ck_assert_uint_eq(merged(&fx), OPS - 1);
	run(&fx, STORAGE_READ, 0, OPS, in);
	ck_assert_uint_eq(failed(OPS, 0), 0);
	ck_assert_int_eq(memcmp(in, out, OPS * BLOCK), 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.merged, 2 * (OPS - 1));
	ck_assert_uint_eq(stats.ops[STORAGE_READ], OPS);
	ck_assert_uint_eq(stats.bytes[STORAGE_READ], OPS * BLOCK);
	/* Goes on where the latest ended, in another batch. */
	run(&fx, STORAGE_READ, OPS * BLOCK, 4, in);
	ck_assert_uint_eq(merged(&fx), 2 * (OPS - 1) + 4);
	fx_close(&fx);
}
END_TEST

struct step {
	enum storage_op op;
	unsigned int flags, start, count;	/* in blocks; count 0: commit */
};

#define STEPS 5

/* What is no neighbour, after two which are, of which the second one was held. */
static const struct {
	const char *what;
	struct step steps[STEPS];
	unsigned int merged;		/* but for writethrough */
} others[] = {
	{ "neighbours", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 },
			  { STORAGE_WRITE, 0, 2, 3 } }, 2 },
	{ "a gap", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 },
		     { STORAGE_WRITE, 0, 3, 1 } }, 0 },
	{ "an overlap", { { STORAGE_READ, 0, 0, 2 }, { STORAGE_READ, 0, 2, 2 },
			  { STORAGE_READ, 0, 3, 2 } }, 0 },
	{ "the same again", { { STORAGE_READ, 0, 0, 2 }, { STORAGE_READ, 0, 2, 2 },
			      { STORAGE_READ, 0, 2, 2 } }, 0 },
	{ "backwards", { { STORAGE_WRITE, 0, 3, 1 }, { STORAGE_WRITE, 0, 2, 1 },
			 { STORAGE_WRITE, 0, 1, 1 } }, 0 },
	{ "another kind", { { STORAGE_READ, 0, 0, 1 }, { STORAGE_READ, 0, 1, 1 },
			    { STORAGE_WRITE, 0, 2, 1 } }, 0 },
	{ "FUA", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 },
		   { STORAGE_WRITE, STORAGE_FUA, 2, 1 }, { STORAGE_WRITE, STORAGE_FUA, 3, 1 } }, 2 },
	{ "a flush", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 },
		       { STORAGE_FLUSH, 0, 0, 1 }, { STORAGE_WRITE, 0, 2, 1 } }, 0 },
	{ "zeroes", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 },
		      { STORAGE_WRITE_ZEROES, 0, 2, 1 }, { STORAGE_WRITE, 0, 3, 1 } }, 0 },
	{ "a commit", { { STORAGE_WRITE, 0, 0, 1 }, { STORAGE_WRITE, 0, 1, 1 }, { 0 },
			{ STORAGE_WRITE, 0, 2, 1 } }, 0 },
};

static void take_step(struct fx *fx, struct fx_op *op, const struct step *step, char *buf)
{
	const bool flush = step->op == STORAGE_FLUSH;

	if (!step->count) {
		storage_commit(fx->chan);
		op->ended = true;
		return;
	}
	fx_start(fx, op, step->op, step->flags, flush ? 0 : step->start * (uint64_t)BLOCK,
		 flush ? 0 : step->count * (uint64_t)BLOCK, buf);
}

START_TEST(no_neighbours)
{
	struct storage_params p = { 0 };
	char *buf = blocks(4 * STEPS);
	uint64_t before = 0;
	unsigned int i, k;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		/* far away from all others, whose place may be held */
		fx_do(&fx, STORAGE_READ, 0, MIB / 2, BLOCK, buf);
		for (k = 0; k < STEPS; k++)
			take_step(&fx, &ops[k], &others[i].steps[k], buf + k * 4 * BLOCK);
		for (k = 0; k < STEPS; k++)
			ck_assert_int_eq(fx_wait(&fx, &ops[k]), 0);
		/* With writethrough all writes are FUA writes. */
		if (p.cache != STORAGE_CACHE_WRITETHROUGH || strcmp(others[i].what, "FUA"))
			ck_assert_msg(merged(&fx) - before == others[i].merged, "%s: %u merged",
				      others[i].what, (unsigned int)(merged(&fx) - before));
		before = merged(&fx);
	}
	fx_close(&fx);
}
END_TEST

/* Three neighbours of so many buffers each; the first one is not held. */
static void buffers(struct fx *fx, char *buf, const unsigned int cnt[3])
{
	static struct iovec iov[3][64];
	unsigned int i, k;

	/* All filled in, and the latest place is far away. */
	for (i = 0; i < 3; i++) {
		fx_start(fx, &ops[i], STORAGE_READ, 0, MIB / 2, BLOCK, buf);
		fx_wait(fx, &ops[i]);
	}
	for (i = 0; i < 3; i++) {
		for (k = 0; k < cnt[i]; k++)
			iov[i][k] = (struct iovec){ buf + (i * 64 + k) * 512, 512 };
		ops[i].ended = false;
		ops[i].io.op = STORAGE_READ;
		ops[i].io.offset = i ? ops[i - 1].io.offset + ops[i - 1].io.len : 0;
		ops[i].io.len = cnt[i] * (uint64_t)512;
		ops[i].io.iov = iov[i];
		ops[i].io.iovcnt = cnt[i];
		storage_submit(fx->chan, &ops[i].io);
	}
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(fx_wait(fx, &ops[i]), 0);
}

START_TEST(limits)
{
	static const struct {
		unsigned int cnt[3], merged;
	} cases[] = {
		{ { 1, 16, 16 }, 2 }, { { 1, 16, 17 }, 0 }, { { 1, 31, 1 }, 2 }, { { 1, 32, 1 }, 0 },
		{ { 1, 60, 1 }, 0 }, { { 1, 1, 60 }, 0 }, { { 60, 60, 60 }, 0 },
	};
	struct storage_params p = { 0 };
	char *buf = fx_pages(256u << 10);
	uint64_t before;
	unsigned int i;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		before = merged(&fx);
		buffers(&fx, buf, cases[i].cnt);
		ck_assert_msg(merged(&fx) - before == cases[i].merged, "%u: %u merged", i,
			      (unsigned int)(merged(&fx) - before));
	}
	/* 128 KiB are the most: first alone, then 64 and 64, and one of which nobody is left */
	before = merged(&fx);
	for (i = 0; i < 4; i++)
		fx_start(&fx, &ops[i], STORAGE_READ, 0, i * (uint64_t)65536, 65536,
			 buf + i * 65536);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(fx_wait(&fx, &ops[i]), 0);
	ck_assert_uint_eq(merged(&fx) - before, 2);
	fx_close(&fx);
}
END_TEST

/* More runs at once than can be joint. */
START_TEST(many_runs)
{
	enum { RUNS = 100, EACH = 3, GAP = 4 };
	static struct fx_op many[RUNS * EACH];
	struct storage_params p = { .depth = 512 };
	char *out = blocks(RUNS * EACH), *in = fx_pages(RUNS * EACH * BLOCK);
	unsigned int i, round;
	struct fx fx;

	if (!fx_open_way(&fx, _i, 2 * MIB, &p))
		return;
	for (round = 0; round < 2; round++) {
		for (i = 0; i < RUNS * EACH; i++)
			fx_start(&fx, &many[i], round ? STORAGE_READ : STORAGE_WRITE, 0,
				 (i / EACH * GAP + i % EACH) * (uint64_t)BLOCK, BLOCK,
				 (round ? in : out) + i * BLOCK);
		for (i = 0; i < RUNS * EACH; i++)
			ck_assert_int_eq(fx_wait(&fx, &many[i]), 0);
	}
	ck_assert_int_eq(memcmp(in, out, RUNS * EACH * BLOCK), 0);
	fx_close(&fx);
}
END_TEST

/* What done() submits needs no commit, held or not. */
#define CHAIN 400u

static uint64_t chain_next;
static unsigned int chain_ended;

static void chain_done(struct storage_io *io, int err)
{
	ck_assert_int_eq(err, 0);
	chain_ended++;
	if (chain_next == CHAIN)
		return;
	io->offset = chain_next++ % 128 * BLOCK;
	storage_submit(io->chan, io);
}

START_TEST(from_done)
{
	static struct fx_op chains[8];
	struct storage_params p = { .depth = _i % 2 ? 5 : 0 };
	char *buf = fx_pages(ARRAY_SIZE(chains) * BLOCK);
	unsigned int i;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(chains); i++) {
		struct fx_op *op = &chains[i];

		op->iov = (struct iovec){ buf + i * BLOCK, BLOCK };
		op->io = (struct storage_io){
			.op = STORAGE_READ, .offset = chain_next++ * BLOCK, .len = BLOCK,
			.iov = &op->iov, .iovcnt = 1, .done = chain_done,
		};
		storage_submit(fx.chan, &op->io);
	}
	storage_commit(fx.chan);
	while (chain_ended < CHAIN)
		fx_step(&fx);
	ck_assert_uint_ge(merged(&fx), 4);
	fx_close(&fx);
}
END_TEST

/*
 * Failures: each has its own outcome
 */

START_TEST(end_of_file)
{
	struct storage_params p = { 0 };
	char *out = blocks(8), *in = fx_pages(8 * BLOCK);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, STORAGE_FUA, 65536, 8 * BLOCK, out), 0);
	ck_assert_int_eq(truncate(fx.path, 65536 + 5 * BLOCK), 0);
	run(&fx, STORAGE_READ, 65536, 8, in);
	ck_assert_uint_eq(failed(8, -EIO), 0xe0);
	ck_assert_int_eq(memcmp(in, out, 5 * BLOCK), 0);
	fx_close(&fx);
}
END_TEST

START_TEST(bad_memory)
{
	struct storage_params p = { 0 };
	char *out = blocks(8), *in = fx_pages(8 * BLOCK);
	struct storage_stats stats;
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	ck_assert_int_eq(mprotect(out + 3 * BLOCK, BLOCK, PROT_NONE), 0);
	run(&fx, STORAGE_WRITE, 0, 8, out);
	ck_assert_uint_eq(failed(8, -EFAULT), 1u << 3);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, 0, 8 * BLOCK, in), 0);
	ck_assert_int_eq(mprotect(out + 3 * BLOCK, BLOCK, PROT_READ), 0);
	ck_assert_int_eq(memcmp(in, out, 3 * BLOCK), 0);
	ck_assert_int_eq(memcmp(in + 4 * BLOCK, out + 4 * BLOCK, 4 * BLOCK), 0);
	ck_assert_int_eq(in[3 * BLOCK], 0);
	storage_chan_stats(fx.chan, &stats);
	ck_assert_uint_eq(stats.merged, 0);
	ck_assert_uint_eq(stats.ops[STORAGE_WRITE], 8);
	ck_assert_uint_eq(stats.errors[STORAGE_WRITE], 1);
	ck_assert_uint_eq(stats.bytes[STORAGE_WRITE], 7 * BLOCK);
	fx_close(&fx);
}
END_TEST

/* The kernel refuses to write behind a limit of the process. */
START_TEST(write_limit)
{
	const struct rlimit limit = { MIB / 2, RLIM_INFINITY };
	struct storage_params p = { 0 };
	char *out = blocks(8), *in = fx_pages(4 * BLOCK);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	run(&fx, STORAGE_WRITE, MIB / 2 - 4 * BLOCK, 8, out);
	ck_assert_uint_eq(failed(8, -EFBIG), 0xf0);
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, MIB / 2 - 4 * BLOCK, 4 * BLOCK, in), 0);
	ck_assert_int_eq(memcmp(in, out, 4 * BLOCK), 0);
	fx_close(&fx);
}
END_TEST

START_TEST(injected)
{
	struct storage_params p = { .fault = "write@20480:EIO,write@32768:ENOSPC*1" };
	char *out = blocks(OPS);
	struct fx fx;

	if (!fx_open_way(&fx, _i, MIB, &p))
		return;
	run(&fx, STORAGE_WRITE, 0, 8, out);
	ck_assert_uint_eq(failed(8, -EIO), 1u << 5);
	/* 0 alone, 1 to 4; 6 alone */
	ck_assert_uint_eq(merged(&fx), 4);
	run(&fx, STORAGE_WRITE, 32768, 8, out);
	ck_assert_uint_eq(failed(8, -ENOSPC), 1);
	fx_close(&fx);
}
END_TEST

static Suite *suite(void)
{
	const int n = FX_ENGINE_WAYS;
	Suite *s = suite_create("storage");
	TCase *tc;

	tc = tcase_create("merge");
	tcase_add_loop_test(tc, neighbours, 0, n);
	tcase_add_loop_test(tc, no_neighbours, 0, n);
	tcase_add_loop_test(tc, limits, 0, n);
	tcase_add_loop_test(tc, many_runs, 0, n);
	tcase_add_loop_test(tc, from_done, 0, n);
	suite_add_tcase(s, tc);

	tc = tcase_create("split");
	tcase_add_loop_test(tc, end_of_file, 0, n);
	tcase_add_loop_test(tc, bad_memory, 0, n);
	tcase_add_loop_test(tc, write_limit, 0, n);
	tcase_add_loop_test(tc, injected, 0, n);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return fx_main(suite());
}
