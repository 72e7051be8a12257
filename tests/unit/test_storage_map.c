/* SPDX-License-Identifier: BSD-3-Clause */
/* Storage: where an image has holes, told by every engine. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage_fixture.h"

#define PIECE		(UINT64_C(64) << 10)	/* no file system has larger blocks */
#define PIECES		12u

/* The image is full of data. */
static void map_fill(struct fx *fx, uint64_t size)
{
	void *buf = fx_pages(size);

	memset(buf, 0x5a, size);
	ck_assert_int_eq(fx_do(fx, STORAGE_WRITE, 0, 0, size, buf), 0);
	ck_assert_int_eq(fx_do(fx, STORAGE_FLUSH, 0, 0, 0, NULL), 0);
}

/* A full image with holes in its pieces 2 and 3, 5, and the last one; false: it has none. */
static bool map_open(struct fx *fx, int way, struct storage_params *p)
{
	struct storage_info info;
	bool holes;
	int fd;

	if (!fx_open_way(fx, way, PIECES * PIECE, p))
		return false;
	storage_info(fx->st, &info);
	map_fill(fx, PIECES * PIECE);
	if (info.discard_max) {
		fx_do(fx, STORAGE_DISCARD, 0, 2 * PIECE, 2 * PIECE, NULL);
		fx_do(fx, STORAGE_DISCARD, 0, 5 * PIECE, PIECE, NULL);
		fx_do(fx, STORAGE_DISCARD, 0, (PIECES - 1) * PIECE, PIECE, NULL);
	}
	fd = open(fx->path, O_RDONLY | O_CLOEXEC);
	holes = info.discard_max && lseek(fd, 0, SEEK_HOLE) == (off_t)(2 * PIECE);
	close(fd);
	if (!holes) {
		fx_skip("%s: the file system tells of no holes", fx->path);
		fx_close(fx);
	}
	return holes;
}

/* Ask for the holes of [offset, offset + len), with room for so many runs, of such units. */
struct ask {
	struct storage_io io;
	struct storage_map map;
	struct storage_run runs[PIECES];
	bool ended;
	int err;
};

static void ask_done(struct storage_io *io, int err)
{
	struct ask *ask = container_of(io, struct ask, io);

	ask->ended = true;
	ask->err = err;
}

static int ask(struct fx *fx, struct ask *ask, uint64_t offset, uint64_t len)
{
	ask->map.runs = ask->runs;
	ask->map.cnt = 77;
	ask->io = (struct storage_io){ .op = STORAGE_MAP, .offset = offset, .len = len,
				       .map = &ask->map, .done = ask_done };
	ask->ended = false;
	storage_submit(fx->chan, &ask->io);
	storage_commit(fx->chan);
	while (!ask->ended)
		fx_step(fx);
	return ask->err;
}

/* The runs are these, as numbers of units, 0 behind the last one; holes are negative. */
static void ask_is(struct fx *fx, struct ask *a, uint64_t offset, uint64_t len, const int *runs)
{
	uint64_t unit = a->map.unit == 4 * PIECE ? 4 * PIECE : PIECE;
	unsigned int i;

	ck_assert_int_eq(ask(fx, a, offset, len), 0);
	for (i = 0; i < a->map.cnt; i++) {
		ck_assert_msg(a->runs[i].hole == (runs[i] < 0) &&
			      a->runs[i].len == (uint64_t)abs(runs[i]) * unit,
			      "run %u: %llu bytes, hole %d; not %d", i,
			      (unsigned long long)a->runs[i].len, a->runs[i].hole, runs[i]);
	}
	ck_assert_int_eq(runs[i], 0);
}

START_TEST(holes)
{
	struct storage_params p = { 0 };
	struct ask a = { .map = { .unit = 4096, .room = PIECES } };
	struct fx fx;

	if (!map_open(&fx, _i, &p))
		return;
	ask_is(&fx, &a, 0, PIECES * PIECE, (const int[]){ 2, -2, 1, -1, 5, -1, 0 });
	ask_is(&fx, &a, 3 * PIECE, 2 * PIECE, (const int[]){ -1, 1, 0 });
	ask_is(&fx, &a, 2 * PIECE, 2 * PIECE, (const int[]){ -2, 0 });
	ask_is(&fx, &a, PIECE, 0, (const int[]){ 0 });
	a.map.room = 3;
	ask_is(&fx, &a, 0, PIECES * PIECE, (const int[]){ 2, -2, 1, 0 });
	a.map.room = 1;
	ask_is(&fx, &a, 11 * PIECE, PIECE, (const int[]){ -1, 0 });
	/* A unit is a hole only if all of it is: pieces 2 and 3 are half of one, 8 to 11 a quarter. */
	a.map = (struct storage_map){ .unit = 4 * PIECE, .room = PIECES };
	ask_is(&fx, &a, 0, PIECES * PIECE, (const int[]){ 3, 0 });
	ck_assert_int_eq(fx_do(&fx, STORAGE_DISCARD, 0, 3 * PIECE, 6 * PIECE, NULL), 0);
	ask_is(&fx, &a, 0, PIECES * PIECE, (const int[]){ 1, -1, 1, 0 });
	fx_close(&fx);
}
END_TEST

/* Judged like every operation; and asked with bad questions. */
START_TEST(judged)
{
	static const struct {
		uint64_t offset, len;
		unsigned int unit, room;
		int err;
	} cases[] = {
		{ 0, 4096, 4096, 1, 0 },
		{ 0, PIECES * PIECE + 4096, 4096, 1, -ERANGE },
		{ 512, 4096, 4096, 1, -EINVAL },
		{ 0, 512, 4096, 1, -EINVAL },
		{ 0, 4096, 768, 1, -EINVAL },
		{ 0, 4096, 4096, 0, -EINVAL },
	};
	struct storage_params p = { 0 };
	struct ask a = { 0 };
	struct fx fx;
	size_t i;

	if (!fx_open_way(&fx, _i, PIECES * PIECE, &p))
		return;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		a.map.unit = cases[i].unit;
		a.map.room = cases[i].room;
		ck_assert_int_eq(ask(&fx, &a, cases[i].offset, cases[i].len), cases[i].err);
	}
	fx_close(&fx);
}
END_TEST

/* There are no limits to how many small holes there can be, but to the work of an operation. */
START_TEST(many_holes)
{
	const uint64_t size = 2400 * 8192;
	struct ask a = { .map = { .unit = 1u << 16, .room = PIECES } };
	struct storage_params p = { 0 };
	uint64_t at, questions = 0;
	struct fx fx;

	fx_image(&fx, FX_MEMORY, size, &p);
	fx_open(&fx, &p);
	for (at = 0; at < size; at += 8192)
		ck_assert_int_eq(fx_do(&fx, STORAGE_WRITE, 0, at, 512, fx_pages(512)), 0);
	for (at = 0; at < size; at += a.runs[0].len, questions++) {
		ck_assert_int_eq(ask(&fx, &a, at, size - at), 0);
		ck_assert_uint_eq(a.map.cnt, 1);
		ck_assert(!a.runs[0].hole && a.runs[0].len && a.runs[0].len % (1u << 16) == 0);
	}
	ck_assert_uint_eq(at, size);
	ck_assert_uint_eq(questions, 3);
	fx_close(&fx);
}
END_TEST

/* Who cannot tell says: data. */
START_TEST(nothing_is_known)
{
	struct storage_params p = { .engine = STORAGE_ENGINE_NULL, .size = PIECES * PIECE };
	struct ask a = { .map = { .unit = 4096, .room = PIECES } };
	struct fx fx = { 0 };

	fx_open(&fx, &p);
	ask_is(&fx, &a, PIECE, 3 * PIECE, (const int[]){ 3, 0 });
	fx_close(&fx);
}
END_TEST

START_TEST(block_device)
{
	struct ask a = { .map = { .unit = 4096, .room = PIECES } };
	struct storage_params p = { 0 };
	char file[FX_PATH_MAX], device[FX_PATH_MAX];
	struct fx fx = { 0 };

	fx_path(file, FX_DISK, 1);
	fx_create(file, PIECES * PIECE);
	if (fx_loop(device, file, 512)) {
		p.path = device;
		fx_open(&fx, &p);
		ask_is(&fx, &a, 0, PIECES * PIECE, (const int[]){ PIECES, 0 });
		fx_close(&fx);
	}
	unlink(file);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("storage_map");
	TCase *tc = tcase_create("map");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, holes, 0, FX_WAYS);
	tcase_add_loop_test(tc, judged, 0, FX_WAYS);
	tcase_add_test(tc, many_holes);
	tcase_add_test(tc, nothing_is_known);
	tcase_add_test(tc, block_device);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return fx_main(suite());
}
