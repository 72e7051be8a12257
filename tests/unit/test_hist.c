/* SPDX-License-Identifier: BSD-3-Clause */
/* The histogram of latencies, against a sorted list of the same values. */
#include <stdlib.h>

#include "tests/tap.h"
#include "tools/hist.h"

#define VALUES 20000u

static struct hist hist;
static uint64_t values[VALUES];

/* Each value lies in its bucket, and the buckets follow each other without a gap. */
START_TEST(buckets)
{
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS; i++) {
		uint64_t bound = hist_bound(i);

		ck_assert_uint_eq(hist_bucket(bound), i);
		if (bound != UINT64_MAX)
			ck_assert_uint_eq(hist_bucket(bound + 1), i + 1);
	}
	ck_assert_uint_eq(hist_bound(HIST_BUCKETS - 1), UINT64_MAX);
	ck_assert_uint_eq(hist_bucket(0), 0);
}
END_TEST

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Values of all magnitudes. */
static void fill(void)
{
	uint64_t x = 88172645463325252u;
	unsigned int i;

	hist_reset(&hist);
	for (i = 0; i < VALUES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		values[i] = x >> (20 + x % 44);
		hist_add(&hist, values[i]);
	}
	qsort(values, VALUES, sizeof(*values), compare);
}

START_TEST(percentiles)
{
	static const double percents[] = { 0, 1, 50, 90, 99, 99.9, 99.99, 100 };
	unsigned int i, at;
	uint64_t found;

	fill();
	for (i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		at = (unsigned int)(VALUES * percents[i] / 100);
		at = at ? at - 1 : 0;
		found = hist_percentile(&hist, percents[i]);
		ck_assert_uint_ge(found, values[at]);
		ck_assert_uint_le(found, values[at] + values[at] / HIST_SUB);
	}
	ck_assert_uint_eq(hist_percentile(&hist, 100), values[VALUES - 1]);
}
END_TEST

START_TEST(sums)
{
	uint64_t sum = 0;
	unsigned int i;

	fill();
	for (i = 0; i < VALUES; i++)
		sum += values[i];
	ck_assert_uint_eq(hist.total, VALUES);
	ck_assert_uint_eq(hist.min, values[0]);
	ck_assert_uint_eq(hist.max, values[VALUES - 1]);
	ck_assert_uint_eq(hist_mean(&hist), sum / VALUES);
}
END_TEST

START_TEST(empty)
{
	hist_reset(&hist);
	ck_assert_uint_eq(hist_percentile(&hist, 50), 0);
	ck_assert_uint_eq(hist_mean(&hist), 0);
	hist_add(&hist, 7);
	ck_assert_uint_eq(hist_percentile(&hist, 0), 7);
	ck_assert_uint_eq(hist_percentile(&hist, 99.99), 7);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("hist");
	TCase *tc = tcase_create("hist");

	tcase_add_test(tc, buckets);
	tcase_add_test(tc, percentiles);
	tcase_add_test(tc, sums);
	tcase_add_test(tc, empty);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
