/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Storage against a model: random operations on an image and on a copy of it in memory.
 *
 * Several operations are in flight, on ranges which do not overlap.  Buffers are made of
 * pieces of odd lengths at odd addresses, with gaps between them which nobody may touch.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iov.h"
#include "storage_fixture.h"

#define SECTOR		512u
#define SECTORS		4096u		/* of the image */
#define LEN_MAX		1200u		/* sectors of one operation; more than any copy takes */
#define IN_FLIGHT	8
#define OPS		600
#define PIECES		24
#define GAP		64u
#define ARENA		ALIGN_UP(LEN_MAX * SECTOR + PIECES * 4096 + 2 * GAP, 4096)

struct model_op {
	struct storage_io io;
	struct model *model;
	bool busy;
	uint32_t start, count;		/* sectors */
	struct iovec iov[PIECES], want_iov[PIECES];
	char *arena;			/* where iov points to */
	size_t used;			/* bytes of it, a gap at the end included */
	char *want;			/* what arena must look like in the end */
};

struct model {
	struct fx fx;
	char *image;			/* what must be in the image */
	bool unknown[SECTORS];		/* discarded: may hold anything */
	struct model_op ops[IN_FLIGHT];
	unsigned int busy, started;
	unsigned int seed;
};

static uint32_t model_random(struct model *m, uint32_t below)
{
	return (uint32_t)rand_r(&m->seed) % below;
}

/*
 * Buffers
 */

static void model_fill(struct model *m, struct model_op *op)
{
	uint64_t x = (uint64_t)rand_r(&m->seed) + 1;
	size_t i;

	/* a Weyl sequence: no two sectors are alike */
	for (i = 0; i < op->used; i += sizeof(x)) {
		x += UINT64_C(0x9e3779b97f4a7c15);
		memcpy(op->arena + i, &x, sizeof(x));
	}
	memcpy(op->want, op->arena, op->used);
}

/* Cut len bytes into pieces; a third of the buffers is aligned as the kernel likes it. */
static unsigned int model_cut(struct model *m, struct model_op *op, size_t len)
{
	const bool neat = model_random(m, 3) == 0;
	const unsigned int pieces = 1 + model_random(m, PIECES);
	unsigned int n;
	size_t pos = 0, part;

	for (n = 0; n < pieces && (len || n == 0); n++) {
		part = n == pieces - 1 ? len : MIN(len, model_random(m, (uint32_t)len + 1));
		if (neat && part != len)
			part = ALIGN_DOWN(part, 4096);
		pos = neat ? ALIGN_UP(pos, 4096) : pos + model_random(m, GAP);
		op->iov[n] = (struct iovec){ op->arena + pos, part };
		op->want_iov[n] = (struct iovec){ op->want + pos, part };
		pos += part;
		len -= part;
	}
	op->used = ALIGN_UP(pos + GAP, sizeof(uint64_t));
	return n;
}

static void model_check_arena(const struct model *m, const struct model_op *op)
{
	uint32_t i;

	if (op->io.op == STORAGE_READ) {
		/* what is unknown is taken as it has come */
		for (i = 0; i < op->count; i++) {
			char sector[SECTOR];
			const bool unknown = m->unknown[op->start + i];
			const char *src = m->image + (op->start + i) * SECTOR;

			iov_read(op->io.iov, op->io.iovcnt, i * SECTOR, sector, SECTOR);
			iov_write(op->want_iov, op->io.iovcnt, i * SECTOR,
				  unknown ? sector : src, SECTOR);
		}
	}
	ck_assert_msg(!memcmp(op->arena, op->want, op->used), "op %d, sectors %u + %u", op->io.op,
		      op->start, op->count);
}

/*
 * Operations
 */

static void model_done(struct storage_io *io, int err)
{
	struct model_op *op = container_of(io, struct model_op, io);
	struct model *m = op->model;

	ck_assert_msg(!err, "op %d, sectors %u + %u: %s", io->op, op->start, op->count,
		      strerror(-err));
	ck_assert(op->busy);
	if (io->op == STORAGE_READ || io->op == STORAGE_WRITE)
		model_check_arena(m, op);
	op->busy = false;
	m->busy--;
}

/* Whether the range goes together with those in flight: only reads may overlap. */
static bool model_free(const struct model *m, enum storage_op kind, uint32_t start, uint32_t count)
{
	unsigned int i;

	for (i = 0; i < IN_FLIGHT; i++) {
		const struct model_op *op = &m->ops[i];

		if (op->busy && start < op->start + op->count && op->start < start + count &&
		    !(kind == STORAGE_READ && op->io.op == STORAGE_READ))
			return false;
	}
	return true;
}

static enum storage_op model_kind(struct model *m)
{
	static const enum storage_op kinds[] = {
		STORAGE_READ, STORAGE_READ, STORAGE_READ, STORAGE_READ,
		STORAGE_WRITE, STORAGE_WRITE, STORAGE_WRITE, STORAGE_WRITE,
		STORAGE_WRITE, STORAGE_FLUSH, STORAGE_DISCARD, STORAGE_WRITE_ZEROES,
	};

	return kinds[model_random(m, ARRAY_SIZE(kinds))];
}

static uint32_t model_count(struct model *m)
{
	static const uint32_t most[] = { 1, 8, 8, 32, 256, LEN_MAX };
	const uint32_t max = most[model_random(m, ARRAY_SIZE(most))];
	const uint32_t count = 1 + model_random(m, max);

	return max >= 8 && model_random(m, 2) ? ALIGN_UP(count, 8) : count;
}

/* What the operation changes in the model. */
static void model_apply(struct model *m, const struct model_op *op)
{
	const size_t off = op->start * (size_t)SECTOR, len = op->count * (size_t)SECTOR;
	uint32_t i;

	for (i = 0; i < op->count && op->io.op != STORAGE_READ; i++)
		m->unknown[op->start + i] = op->io.op == STORAGE_DISCARD;
	if (op->io.op == STORAGE_WRITE_ZEROES)
		memset(m->image + off, 0, len);
	else if (op->io.op == STORAGE_WRITE)
		iov_read(op->io.iov, op->io.iovcnt, 0, m->image + off, len);
}

static unsigned int model_flags(struct model *m, enum storage_op kind)
{
	unsigned int flags = 0;

	if (kind == STORAGE_WRITE || kind == STORAGE_WRITE_ZEROES || kind == STORAGE_DISCARD)
		flags |= model_random(m, 8) ? 0 : STORAGE_FUA;
	if (kind == STORAGE_WRITE_ZEROES)
		flags |= model_random(m, 2) ? STORAGE_UNMAP : 0;
	return flags;
}

static void model_submit(struct model *m, struct model_op *op, enum storage_op kind,
			 uint32_t start, uint32_t count)
{
	op->busy = true;
	m->busy++;
	m->started++;
	op->start = start;
	op->count = kind == STORAGE_FLUSH ? 0 : count;
	op->io = (struct storage_io){
		.op = kind, .flags = model_flags(m, kind), .done = model_done,
		.offset = kind == STORAGE_FLUSH ? 0 : start * (uint64_t)SECTOR,
		.len = op->count * (uint64_t)SECTOR,
	};
	if (kind == STORAGE_READ || kind == STORAGE_WRITE) {
		op->io.iov = op->iov;
		op->io.iovcnt = model_cut(m, op, op->io.len);
		model_fill(m, op);
	}
	if (kind != STORAGE_FLUSH)
		model_apply(m, op);
	storage_submit(m->fx.chan, &op->io);
}

/* Start one operation, if the dice give one which goes together with the others. */
static void model_try(struct model *m, bool discard)
{
	enum storage_op kind = model_kind(m);
	uint32_t count = model_count(m), start = model_random(m, SECTORS - count + 1);
	unsigned int i = 0;

	if (model_random(m, 2) && count % 8 == 0)
		start = ALIGN_DOWN(start, 8);
	if (kind == STORAGE_DISCARD && !discard)
		kind = STORAGE_WRITE_ZEROES;
	if (!model_free(m, kind, start, count))
		return;
	while (m->ops[i].busy)
		i++;
	model_submit(m, &m->ops[i], kind, start, count);
}

static void model_run(struct model *m, bool discard)
{
	while (m->started < OPS || m->busy) {
		if (m->started < OPS && m->busy < IN_FLIGHT) {
			model_try(m, discard);
			if (model_random(m, 2))
				continue;
		}
		storage_commit(m->fx.chan);
		if (m->busy)
			fx_step(&m->fx);
	}
}

/* Read back: by the engine, and, with all closed, from the file. */
static void model_compare(const struct model *m, const char *got)
{
	uint32_t i;

	for (i = 0; i < SECTORS; i++) {
		ck_assert_msg(m->unknown[i] ||
			      !memcmp(got + i * SECTOR, m->image + i * SECTOR, SECTOR),
			      "sector %u", i);
	}
}

static void model_check_file(const struct model *m, const char *path, char *got)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, got, SECTORS * SECTOR, 0), SECTORS * SECTOR);
	close(fd);
	model_compare(m, got);
}

/* A whole test on what params open; file is where the data must be in the end. */
static void model_test(const struct storage_params *params, const char *file, int seed)
{
	struct model *m = calloc(1, sizeof(*m));
	char *got = malloc(SECTORS * SECTOR);
	struct storage_info info;
	unsigned int i;

	ck_assert(m && got);
	m->seed = (unsigned int)seed + 1;
	m->image = calloc(SECTORS, SECTOR);
	for (i = 0; i < IN_FLIGHT; i++) {
		m->ops[i].model = m;
		m->ops[i].arena = aligned_alloc(4096, ARENA);
		m->ops[i].want = malloc(ARENA);
		ck_assert(m->ops[i].arena && m->ops[i].want);
	}
	fx_open(&m->fx, params);
	storage_info(m->fx.st, &info);
	model_run(m, info.discard_max > 0);
	ck_assert_int_eq(fx_do(&m->fx, STORAGE_READ, 0, 0, SECTORS * SECTOR, got), 0);
	model_compare(m, got);
	ck_assert_int_eq(fx_do(&m->fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
	fx_close(&m->fx);
	model_check_file(m, file, got);
	for (i = 0; i < IN_FLIGHT; i++) {
		free(m->ops[i].arena);
		free(m->ops[i].want);
	}
	free(m->image);
	free(m);
	free(got);
}

/*
 * Tests
 */

static void model_on_file(int i, unsigned int align)
{
	struct storage_params p = { .align = align, .depth = i % 2 ? 4 : 0 };
	struct fx_way way = fx_way(i);
	char path[FX_PATH_MAX];

	if (!fx_can(way))
		return;
	fx_path(path, way.place, 0);
	fx_create(path, SECTORS * SECTOR);
	p.path = path;
	p.engine = way.engine;
	p.cache = way.cache;
	model_test(&p, path, i);
	unlink(path);
}

START_TEST(files)
{
	model_on_file(_i, 0);
}
END_TEST

/* Everything which is no multiple of 4096 is a read-modify-write. */
START_TEST(files_with_large_blocks)
{
	model_on_file(_i, 4096);
}
END_TEST

/* Block devices of both block sizes. */
START_TEST(block_devices)
{
	struct fx_way way = fx_way(_i / 2);
	struct storage_params p = { .engine = way.engine, .cache = way.cache };
	char file[FX_PATH_MAX], dev[FX_PATH_MAX];

	if (!fx_can(way))
		return;
	fx_path(file, way.place, 0);
	fx_create(file, SECTORS * SECTOR);
	p.path = dev;
	if (fx_loop(dev, file, _i % 2 ? 4096 : 512))
		model_test(&p, file, _i);
	unlink(file);
}
END_TEST

/* More elements than the kernel takes at once. */
START_TEST(many_elements)
{
	enum { CNT = 6000, EACH = 64, LEN = CNT * EACH };
	static struct iovec iov[CNT];
	struct storage_params p = { 0 };
	char *out = malloc(LEN), *in = calloc(1, LEN);
	struct fx_op op;
	struct fx fx;
	unsigned int i;

	if (!fx_open_way(&fx, _i, 4 * LEN, &p))
		return;
	for (i = 0; i < LEN; i++)
		out[i] = (char)(i * 7 / 3);
	for (i = 0; i < CNT; i++)
		iov[i] = (struct iovec){ out + i * EACH, EACH };
	memset(&op, 0, sizeof(op));
	fx_start(&fx, &op, STORAGE_WRITE, 0, 0, LEN, out);
	ck_assert_int_eq(fx_wait(&fx, &op), 0);
	for (i = 0; i < 2; i++) {
		op.ended = false;
		op.io.op = i ? STORAGE_READ : STORAGE_WRITE;
		op.io.offset = LEN;
		op.io.iov = iov;
		op.io.iovcnt = CNT;
		storage_submit(fx.chan, &op.io);
		ck_assert_int_eq(fx_wait(&fx, &op), 0);
	}
	ck_assert_int_eq(fx_do(&fx, STORAGE_READ, 0, LEN, LEN, in), 0);
	ck_assert(!memcmp(out, in, LEN));
	fx_close(&fx);
	free(in);
	free(out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage");
	TCase *tc = tcase_create("model");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, files, 0, FX_ENGINE_WAYS);
	tcase_add_loop_test(tc, files_with_large_blocks, 0, FX_ENGINE_WAYS);
	tcase_add_loop_test(tc, block_devices, 0, 2 * FX_ENGINE_WAYS);
	tcase_add_loop_test(tc, many_elements, 0, FX_ENGINE_WAYS);
	suite_add_tcase(s, tc);
	return fx_main(s);
}
