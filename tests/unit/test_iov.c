/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes at an offset of an iovec array: every offset and length of some vectors. */
#include <string.h>

#include "iov.h"
#include "tests/tap.h"
#include "util.h"

static char text[] = "0123456789abcdefghij";

/* The same 20 bytes, cut in different ways. */
static const struct iovec whole[] = { { text, 20 } };
static const struct iovec bytes[] = {
	{ text, 1 }, { text + 1, 1 }, { text + 2, 1 }, { text + 3, 1 }, { text + 4, 16 },
};
static const struct iovec gaps[] = {
	{ text, 0 }, { text, 7 }, { NULL, 0 }, { NULL, 0 }, { text + 7, 6 }, { text + 13, 7 },
	{ NULL, 0 },
};

static const struct {
	const struct iovec *iov;
	unsigned int cnt;
} vectors[] = {
	{ whole, ARRAY_SIZE(whole) }, { bytes, ARRAY_SIZE(bytes) }, { gaps, ARRAY_SIZE(gaps) },
};

START_TEST(size)
{
	ck_assert_uint_eq(iov_size(vectors[_i].iov, vectors[_i].cnt), 20);
	ck_assert_uint_eq(iov_size(vectors[_i].iov, 0), 0);
}
END_TEST

START_TEST(read_at_every_offset)
{
	char buf[40];
	size_t off, n, got;

	for (off = 0; off <= 22; off++) {
		for (n = 0; n <= 24; n++) {
			size_t want = off < 20 ? MIN(n, 20 - off) : 0;

			got = iov_read(vectors[_i].iov, vectors[_i].cnt, off, buf, n);
			ck_assert_uint_eq(got, want);
			ck_assert(!memcmp(buf, text + off, got));
		}
	}
}
END_TEST

START_TEST(write_at_every_offset)
{
	char before[sizeof(text)], data[40];
	size_t off, n, i;

	memset(data, '#', sizeof(data));
	memcpy(before, text, sizeof(text));
	for (off = 0; off <= 22; off++) {
		for (n = 0; n <= 24; n++) {
			size_t want = off < 20 ? MIN(n, 20 - off) : 0;

			ck_assert_uint_eq(iov_write(vectors[_i].iov, vectors[_i].cnt, off, data, n),
					  want);
			for (i = 0; i < 20; i++)
				ck_assert_int_eq(text[i],
						 i >= off && i < off + want ? '#' : before[i]);
			memcpy(text, before, sizeof(text));
		}
	}
}
END_TEST

START_TEST(slice_of_every_range)
{
	struct iovec dst[8];
	unsigned int cnt;
	char buf[40];
	size_t off, n;

	for (off = 0; off <= 22; off++) {
		for (n = 1; n <= 24; n++) {
			cnt = iov_slice(dst, 8, vectors[_i].iov, vectors[_i].cnt, off, n);
			if (off + n > 20) {
				ck_assert_uint_eq(cnt, 0);
				continue;
			}
			ck_assert_uint_eq(iov_size(dst, cnt), n);
			ck_assert_uint_eq(iov_read(dst, cnt, 0, buf, n), n);
			ck_assert(!memcmp(buf, text + off, n));
			/* One element fewer is too small. */
			ck_assert_uint_eq(iov_slice(dst, cnt - 1, vectors[_i].iov, vectors[_i].cnt,
						    off, n), 0);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("iov");
	TCase *tc = tcase_create("iov");

	tcase_add_loop_test(tc, size, 0, ARRAY_SIZE(vectors));
	tcase_add_loop_test(tc, read_at_every_offset, 0, ARRAY_SIZE(vectors));
	tcase_add_loop_test(tc, write_at_every_offset, 0, ARRAY_SIZE(vectors));
	tcase_add_loop_test(tc, slice_of_every_range, 0, ARRAY_SIZE(vectors));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
