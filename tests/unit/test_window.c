/* SPDX-License-Identifier: BSD-3-Clause */
/* The law of the polling window, in a time of its own. */
#include "libvhost/window.h"
#include "tests/tap.h"
#include "util.h"

#define MAX_NS	50000u

static const uint64_t gaps[] = { 500, 3000, 12000, 49000 };	/* ns */

/* A worker whose work comes gap ns after it has been busy, if that is what polls can see. */
struct sleeper {
	struct poll_window window;
	uint64_t gap;			/* ns */
	bool alone;			/* nobody else runs while it polls: it polls in vain */
	uint64_t polled;		/* ns, in all */
	unsigned int hits, misses, sleeps;
};

static void sleeper_init(struct sleeper *s, uint64_t gap)
{
	*s = (struct sleeper){ .gap = gap };
	poll_set(&s->window, MAX_NS);
}

/* One piece of work, as worker.c does it. */
static void sleeper_step(struct sleeper *s)
{
	uint64_t asleep = s->gap;

	if (s->window.len && !s->alone && s->gap < s->window.len) {
		s->polled += s->gap;
		s->hits++;
		poll_hit(&s->window);
		return;
	}
	if (s->window.len) {
		s->polled += s->window.len;
		if (s->alone)
			asleep += s->window.len;
		s->misses++;
		poll_miss(&s->window);
	}
	s->sleeps++;
	poll_wake(&s->window, asleep);
}

static void sleeper_run(struct sleeper *s, unsigned int steps)
{
	while (steps--)
		sleeper_step(s);
}

START_TEST(without_a_maximum_there_is_no_polling)
{
	struct sleeper s;

	sleeper_init(&s, 1000);
	poll_set(&s.window, 0);
	sleeper_run(&s, 1000);
	ck_assert_uint_eq(s.sleeps, 1000);
	ck_assert_uint_eq(s.polled, 0);
}
END_TEST

START_TEST(work_which_comes_soon_is_found)
{
	struct sleeper s;

	sleeper_init(&s, gaps[_i]);
	sleeper_run(&s, 1000);
	ck_assert_uint_le(s.misses, 1);
	ck_assert_uint_ge(s.hits, 997);
	/* The window has become as long as it may be. */
	ck_assert_uint_eq(s.window.len, MAX_NS);
}
END_TEST

START_TEST(misses_shrink_it_to_nothing)
{
	struct sleeper s;
	unsigned int steps;

	sleeper_init(&s, 1000);
	sleeper_run(&s, 1000);
	/* Now work comes rarely. */
	s.gap = 1000000000;
	s.polled = 0;
	for (steps = 0; s.window.len; steps++) {
		const uint64_t len = s.window.len;

		ck_assert_uint_lt(steps, 5);
		sleeper_step(&s);
		ck_assert_uint_le(s.window.len, len / 2);
	}
	ck_assert_uint_le(s.polled, 2 * MAX_NS);
	/* And there it stays. */
	s.polled = 0;
	sleeper_run(&s, 10000);
	ck_assert_uint_eq(s.polled, 0);
}
END_TEST

/* Within reach of an attempt, but too late for any window. */
START_TEST(attempts_in_vain_become_rare)
{
	struct sleeper s;

	sleeper_init(&s, 2 * MAX_NS);
	sleeper_run(&s, 2000);
	s.polled = 0;
	sleeper_run(&s, 100000);
	/* A window or so in 512 sleeps of two windows each. */
	ck_assert_uint_gt(s.polled, 0);
	ck_assert_uint_lt(s.polled, 100000 / 512 * 2 * (uint64_t)MAX_NS);
}
END_TEST

/* The driver is on the same processor: work comes soon, but only to those who sleep. */
START_TEST(who_is_alone_leaves_the_processor_to_others)
{
	struct sleeper s;

	sleeper_init(&s, gaps[_i]);
	s.alone = true;
	sleeper_run(&s, 2000);
	s.polled = 0;
	sleeper_run(&s, 100000);
	ck_assert_uint_lt(s.polled, 100000 / 512 * 2 * (uint64_t)MAX_NS);
}
END_TEST

START_TEST(it_recovers_when_work_comes_soon_again)
{
	struct sleeper s;

	sleeper_init(&s, 2 * MAX_NS);
	sleeper_run(&s, 100000);
	s.gap = 3000;
	s.hits = 0;
	sleeper_run(&s, 2000);
	ck_assert_uint_ge(s.hits, 1400);
	ck_assert_uint_eq(s.window.len, MAX_NS);
	/* Findings have forgiven what went before. */
	ck_assert_uint_eq(s.window.wanted, 1);
}
END_TEST

START_TEST(a_short_pause_costs_no_more_than_a_part_of_it)
{
	struct sleeper s;

	sleeper_init(&s, 3000);
	sleeper_run(&s, 1000);
	s.gap = 10 * MAX_NS;
	sleeper_step(&s);
	s.gap = 3000;
	s.hits = 0;
	sleeper_run(&s, 10);
	/* Still long enough: nothing is missed. */
	ck_assert_uint_eq(s.hits, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("window");
	TCase *tc = tcase_create("window");

	tcase_add_test(tc, without_a_maximum_there_is_no_polling);
	tcase_add_loop_test(tc, work_which_comes_soon_is_found, 0, ARRAY_SIZE(gaps));
	tcase_add_test(tc, misses_shrink_it_to_nothing);
	tcase_add_test(tc, attempts_in_vain_become_rare);
	tcase_add_loop_test(tc, who_is_alone_leaves_the_processor_to_others, 0, ARRAY_SIZE(gaps));
	tcase_add_test(tc, it_recovers_when_work_comes_soon_again);
	tcase_add_test(tc, a_short_pause_costs_no_more_than_a_part_of_it);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
