/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log: what the device writes is in it, at any time.
 *
 * Nearly all tests run with 0, 1 and 2 workers, with split and with packed rings.
 */
#include <unistd.h>

#include "tests/proto/logged.h"
#include "tests/tap.h"
#include "util.h"

/*
 * Everything which is written is in the log
 */

/* Pages of [gpa, gpa + len). */
static unsigned int pages_of(uint64_t gpa, uint64_t len)
{
	return (unsigned int)((gpa + len - 1) / PAGE - gpa / PAGE + 1);
}

struct shape {
	uint64_t gpa;
	uint32_t len;
};

/* Within a page, whole pages, all over several, at the very end, across the regions. */
static const struct shape shapes[] = {
	{ BUF + 100, 50 },
	{ BUF, PAGE },
	{ BUF + 4000, 200 },
	{ BUF + 1, 20 * PAGE },
	{ END - 10, 10 },
	{ REGION - 3000, 6000 },
	{ 3 * PAGE * 64 - PAGE, 2 * PAGE },
};

/* proves: log.writes, VHOST_F_LOG_ALL, SET_LOG_BASE, PROTOCOL_F_LOG_SHMFD */
START_TEST(all_that_is_written)
{
	static const enum act whole[] = { ACT_WRITE, ACT_DIRECT, ACT_SILENT };
	unsigned int i, j;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (j = 0; j < ARRAY_SIZE(whole); j++) {
			unsigned int pages = pages_of(shapes[i].gpa, shapes[i].len);

			submit_raw(&r, shapes[i].gpa, shapes[i].len);
			ck_assert_uint_gt(act_and_compare(&e, &r, &log, whole[j], pages), pages);
		}
	}
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(a_status_behind_what_was_not_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	/* All up to the status counts as written; that is allowed. */
	submit(&r, 0, (struct iovec[]){ { at(&r, BUF), 2 * PAGE }, { at(&r, BUF1), 1 } }, 2);
	ck_assert_uint_ge(act_and_compare(&e, &r, &log, ACT_STATUS, 1 + 2), 2);
	ck_assert(fe_log_is_dirty(&log, BUF1));
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(slices_of_a_table)
{
	struct iovec in[8];
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	uint64_t gpa;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	for (i = 0; i < 8; i++)
		in[i] = (struct iovec){ at(&r, (i % 2 ? BUF : BUF1) + 3 * i * PAGE), 900 + i };
	submit(&r, 0, in, 8);
	settle(&e, 0);
	snapshot(&r);
	fe_log_clear(&log);
	act(&e, 0, ACT_SLICE);
	get(&r.ring[0]);
	settle(&e, 0);
	/* The slice covers elements 2 to 6. */
	ck_assert_uint_ge(compare(&r, &log), 5);
	gpa = fe_mem_gpa(&r.mem, in[7].iov_base, 1);
	ck_assert(!fe_log_is_dirty(&log, gpa));
	down(&e, &r, &log);
}
END_TEST

START_TEST(nothing_written_is_nothing_logged)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 4 * PAGE);
	act_and_compare(&e, &r, &log, ACT_NOTHING, 0);
	ck_assert(!fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(given_back_after_it_was_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, PAGE);
	ck_assert_uint_ge(act_and_compare(&e, &r, &log, ACT_UNPOP, 1), 1);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/* The ring's own memory, by the address which the front-end gives for it. */
/* proves: log.writes, ring.addr-while-running, SET_VRING_ADDR */
START_TEST(the_ring_is_logged_where_it_is_said)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, 2 * END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, 0), 0);
	/* Not asked for yet. */
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 1);
	fe_ring_get_addr(&r.ring[0], &addr);
	addr.flags = VU_VRING_ADDR_F_LOG;
	addr.log = END + 10 * PAGE;	/* not even memory */
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	fe_log_clear(&log);
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, END + 10 * PAGE));
	/* And no longer. */
	addr.flags = 0;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	fe_log_clear(&log);
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 1);
	down(&e, &r, &log);
}
END_TEST

/* What the device writes to rings when it stops asking for kicks, asks, starts and stops. */
/* proves: log.writes, GET_VRING_BASE */
START_TEST(rings_at_rest_are_logged)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	settle(&e, 0);
	snapshot(&r);
	fe_log_clear(&log);
	/* Popped and kept: only the wish for kicks was written. */
	submit_raw(&r, BUF, 10);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, fe_mem_gpa(&r.mem, r.ring[0].device_area, 1)));
	fe_log_clear(&log);
	snapshot(&r);
	act(&e, 0, ACT_WRITE);
	/* Before a stop is answered all is in the log. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	ck_assert_uint_ge(compare(&r, &log), 2);
	down(&e, &r, &log);
}
END_TEST

/*
 * A log which comes late
 */

/* proves: log.late */
START_TEST(the_feature_before_the_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	write_raw(&e, &r);
	/* Nobody knows any more which page it was: all of them. */
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), END / PAGE);
	/* From now on it is known. */
	fe_log_clear(&log);
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	ck_assert_uint_eq(fe_log_count(&log), 1);
	down(&e, &r, &log);
}
END_TEST

/* A log which does not reach to the end of the memory gets what it can. */
/* proves: log.late, log.bound */
START_TEST(the_feature_before_a_short_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	write_raw(&e, &r);
	ck_assert_int_eq(fe_log_init(&log, REGION, 0), 0);
	ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), REGION / PAGE);
	ck_assert_uint_eq(log.map[log.size], 0);
	down(&e, &r, &log);
}
END_TEST

START_TEST(nothing_written_before_the_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	down(&e, &r, &log);
}
END_TEST

/* QEMU's order when a device is started again during a migration: rings, then another log. */
/* proves: log.late */
START_TEST(rings_start_again_with_another_log)
{
	struct fe_log first, second;
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &first);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	fe_log_clear(&first);
	for (i = 0; i < r.n; i++) {
		fe_ring_reset(&r.ring[i], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[i]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, i, true), 0);
	}
	write_raw(&e, &r);
	settle(&e, 0);
	/* A front-end which means to go on with it loses nothing either. */
	ck_assert(fe_log_is_dirty(&first, BUF));
	ck_assert_int_eq(fe_log_init(&second, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &second), 0);
	ck_assert_uint_eq(fe_log_count(&second), END / PAGE);
	fe_log_free(&first);
	down(&e, &r, &second);
}
END_TEST

/* proves: log.toggle */
START_TEST(the_log_before_the_feature)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	/* One which was taken before, and is done afterwards. */
	submit_raw(&r, BUF, 10);
	set_log_all(&e, true);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/*
 * The end of a log
 */

/* proves: session.reset-device */
START_TEST(dropped_by_a_reset)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	fe_log_clear(&log);
	fe_ring_reset(&r.ring[0], 0);
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	set_log_all(&e, true);
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes, session.disconnect-drains */
START_TEST(disconnected_while_logging)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 10);
	fe_close(&e.fe);
	/* It is still written, and logged, before the session has ended. */
	act(&e, 0, ACT_WRITE);
	echo_wait(&e.downs, 1);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/* proves: mem.truncated */
START_TEST(a_truncated_log_costs_the_connection)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	echo_catch_sigbus();
	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 10);
	ck_assert_int_eq(ftruncate(log.fd, 0), 0);
	act(&e, 0, ACT_WRITE);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_wait(&e.downs, 1);
	down(&e, &r, &log);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tc = tcase_create("migrate");

	tcase_set_timeout(tc, 120);
	ADD(all_that_is_written);
	ADD(a_status_behind_what_was_not_written);
	ADD(slices_of_a_table);
	ADD(nothing_written_is_nothing_logged);
	ADD(given_back_after_it_was_written);
	ADD(the_ring_is_logged_where_it_is_said);
	ADD(rings_at_rest_are_logged);
	ADD(the_feature_before_the_log);
	ADD(the_feature_before_a_short_log);
	ADD(nothing_written_before_the_log);
	ADD(rings_start_again_with_another_log);
	ADD(the_log_before_the_feature);
	ADD(dropped_by_a_reset);
	ADD(disconnected_while_logging);
	ADD(a_truncated_log_costs_the_connection);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
