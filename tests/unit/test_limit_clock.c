/* SPDX-License-Identifier: BSD-3-Clause */
/* What a limit lets through in simulated time: exactly its rate, and the burst once. */
#include "limit_clock.h"
#include "tests/tap.h"
#include "util.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN (UINT64_C(12345) * SECOND + 678)

static uint64_t random_state;

static uint64_t next_random(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (random_state >> 33) % below;
}

/* So many of a rate within this time, rounded down. */
static uint64_t share(uint64_t rate, uint64_t ns)
{
	return (uint64_t)((__uint128_t)rate * ns / SECOND);
}

/* How many come through at this time. */
static uint64_t take(struct limit_clock *clock, uint64_t now, bool late)
{
	uint64_t n = 0;

	while (!clock_wait(clock, now)) {
		clock_forget(clock, now, late);
		clock_charge(clock, 1);
		n++;
	}
	return n;
}

static const struct {
	uint64_t rate, seconds;
} rates[] = {
	{ 1, 3600 }, { 3, 3600 }, { 100, 3600 }, { 3333, 600 }, { 1000000, 5 }, { 1000003, 5 },
};

/* Who comes as soon as he may comes at the right time, the last like the first. */
START_TEST(in_time)
{
	const uint64_t rate = rates[_i].rate, end = BEGIN + rates[_i].seconds * SECOND;
	uint64_t now = BEGIN, n = 0, wrong = 0;
	struct limit_clock clock;

	clock_set(&clock, rate, 1, now);
	while (now < end) {
		wrong += take(&clock, now, true) != 1;
		/* That of number n comes when n of them have been paid for; a check costs much. */
		wrong += now - BEGIN - share(SECOND * n, SECOND) / rate > 1;
		n++;
		now += clock_wait(&clock, now);
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(n, rate * rates[_i].seconds);
}
END_TEST

/* Who comes late, by timers and by load, gets what the time was worth; with any burst. */
START_TEST(late)
{
	const uint64_t rate = rates[_i].rate, end = BEGIN + rates[_i].seconds * SECOND;
	static const uint64_t bursts[] = { 0, 1, 7 };
	uint64_t now, n, i, wrong = 0;
	struct limit_clock clock;

	for (i = 0; i < ARRAY_SIZE(bursts); i++) {
		clock_set(&clock, rate, bursts[i], BEGIN);
		for (now = BEGIN, n = 0; now < end;) {
			n += take(&clock, now, now != BEGIN);
			wrong += n > share(rate, now - BEGIN) + 1;
			now += clock_wait(&clock, now) + next_random(20000000);
		}
		ck_assert_uint_eq(n + take(&clock, end, true), rate * rates[_i].seconds + 1);
		ck_assert_uint_eq(wrong, 0);
	}
}
END_TEST

/* After a pause there is the burst, and no more in the seconds that follow but the rate. */
START_TEST(burst)
{
	static const struct {
		uint64_t rate, burst, most;
	} rows[] = {
		{ 100, 0, 11 }, { 100, 1, 1 }, { 100, 4, 4 }, { 3333, 0, 334 }, { 3333, 500, 500 },
		{ 1, 0, 1 }, { 1, 20, 20 }, { 1000000, 0, 100001 }, { 1000000, 3, 3 },
	};
	const uint64_t rate = rows[_i].rate;
	uint64_t now = BEGIN, n;
	struct limit_clock clock;
	unsigned int i;

	clock_set(&clock, rate, rows[_i].burst, now);
	/* It was set just now: there was no pause yet. */
	ck_assert_uint_eq(take(&clock, now, false), 1);
	for (i = 0; i < 3; i++) {
		now += 3600 * SECOND;
		n = take(&clock, now, false);
		ck_assert_uint_eq(n, rows[_i].most);
		while (!take(&clock, now, true))
			now += clock_wait(&clock, now);
		n = take(&clock, now + SECOND, true);
		/* A second is what may be caught up with. */
		ck_assert_uint_le(n, MAX(rows[_i].most, rate + 1));
		now += SECOND;
	}
}
END_TEST

/* The first second and the first ten, of somebody who always wants more after a pause. */
START_TEST(first_seconds)
{
	uint64_t now = BEGIN, n = 0, begin;
	struct limit_clock clock;
	bool waited = false;

	clock_set(&clock, 100, 10, now);
	now = begin = BEGIN + 60 * SECOND;
	for (; now <= begin + 10 * SECOND; now += clock_wait(&clock, now)) {
		n += take(&clock, now, waited);
		waited = true;
		ck_assert_uint_le(n, 10 + share(100, now - begin));
	}
	ck_assert_uint_eq(n, 10 + 1000);
}
END_TEST

/* Sizes which no rate divides, for ten minutes: nothing is lost by rounding. */
START_TEST(bytes)
{
	static const uint64_t bytes_rates[] = {
		1, 4097, 1000003, UINT64_C(7000000001), UINT64_C(399999999999), INT64_MAX,
	};
	const uint64_t rate = bytes_rates[_i];
	struct limit_clock clock;
	uint64_t i, n, charged = 0;

	clock_set(&clock, rate, 1, BEGIN);
	for (i = 0; i < 1000000; i++) {
		n = 1 + next_random(1 << 20);
		if (charged + n > share(rate, 600 * SECOND))
			break;
		clock_charge(&clock, n);
		charged += n;
		if (i % 3 == 0) {
			clock_charge(&clock, n);
			clock_give_back(&clock, n);
		}
	}
	ck_assert_uint_eq(clock.at - BEGIN, (uint64_t)((__uint128_t)charged * SECOND / rate));
}
END_TEST

/* Numbers beyond all measure are as good as never, and nothing wraps. */
START_TEST(never)
{
	struct limit_clock clock;
	unsigned int i;

	clock_set(&clock, 1, UINT64_MAX, BEGIN);
	for (i = 0; i < 100; i++)
		clock_charge(&clock, UINT64_MAX);
	ck_assert_uint_gt(clock_wait(&clock, BEGIN), UINT64_C(1000000) * SECOND);
	clock_set(&clock, 0, 0, BEGIN);
	clock_charge(&clock, UINT64_MAX);
	clock_give_back(&clock, 1);
	ck_assert_uint_eq(clock_wait(&clock, 0), 0);
}
END_TEST

static Suite *limit_clock_suite(void)
{
	Suite *s = suite_create("limit_clock");
	TCase *tc = tcase_create("limit_clock");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, in_time, 0, ARRAY_SIZE(rates));
	tcase_add_loop_test(tc, late, 0, ARRAY_SIZE(rates));
	tcase_add_loop_test(tc, burst, 0, 9);
	tcase_add_test(tc, first_seconds);
	tcase_add_loop_test(tc, bytes, 0, 6);
	tcase_add_test(tc, never);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(limit_clock_suite());
}
