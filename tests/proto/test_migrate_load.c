/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log under load: what is written while it is switched on and off, replaced and copied.
 *
 * Each test runs with 0, 1 and 2 workers, with split and with packed rings.
 */
#include <pthread.h>
#include <string.h>

#include "tests/proto/logged.h"
#include "tests/tap.h"

/*
 * Under load
 */

#define LOAD_PAGES 64u

struct load {
	struct echo_rings *r;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint done;
	pthread_mutex_t lock;
	/* by lock */
	struct fe_log *log;		/* what is written must be in it; NULL: nothing may be */
	struct fe_log *off;		/* nothing may come into it any more; or NULL */
	bool changing;			/* anything may be logged or not */
	unsigned int generation;	/* of what is said above */
	unsigned int checked[2];	/* requests without and with a log */
};

/* What holds for a request from its start to its end can be judged. */
static void load_judge(struct load *l, uint64_t gpa, unsigned int generation)
{
	if (l->changing || l->generation != generation)
		return;
	if (l->log)
		ck_assert(fe_log_take(l->log, gpa));
	if (l->off)
		ck_assert(!fe_log_is_dirty(l->off, gpa));
	l->checked[!!l->log]++;
}

static void *load_run(void *arg)
{
	struct load *l = arg;
	unsigned int n = 0, generation;

	while (!atomic_load(&l->stop)) {
		uint64_t gpa = BUF1 + n++ % LOAD_PAGES * PAGE;
		struct iovec in = { at(l->r, gpa), 512 };

		pthread_mutex_lock(&l->lock);
		generation = l->generation;
		pthread_mutex_unlock(&l->lock);
		ck_assert_int_ge(fe_ring_add(&l->r->ring[0], NULL, 0, &in, 1, l), 0);
		fe_ring_submit(&l->r->ring[0]);
		get(&l->r->ring[0]);
		atomic_fetch_add(&l->done, 1);
		pthread_mutex_lock(&l->lock);
		load_judge(l, gpa, generation);
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

static void load_start(struct load *l, struct echo_rings *r)
{
	*l = (struct load){ .r = r, .lock = PTHREAD_MUTEX_INITIALIZER };
	ck_assert_int_eq(pthread_create(&l->thread, NULL, load_run, l), 0);
}

static void load_stop(struct load *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

/* The state changes: from now on nothing is certain, and then this is. */
static void load_unsure(struct load *l)
{
	pthread_mutex_lock(&l->lock);
	l->changing = true;
	l->generation++;
	pthread_mutex_unlock(&l->lock);
}

static void load_expect(struct load *l, struct fe_log *log, struct fe_log *off)
{
	pthread_mutex_lock(&l->lock);
	l->log = log;
	l->off = off;
	l->changing = false;
	l->generation++;
	pthread_mutex_unlock(&l->lock);
	/* Some requests under these conditions. */
	echo_wait(&l->done, atomic_load(&l->done) + 5);
}

/* proves: log.toggle, log.order, VHOST_F_LOG_ALL */
START_TEST(switched_on_and_off_under_load)
{
	struct echo_rings r;
	struct fe_log log;
	struct load l;
	struct echo e;
	int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	ck_assert_int_eq(fe_log_init(&log, END, 24), 0);
	load_start(&l, &r);
	load_expect(&l, NULL, &log);
	for (i = 0; i < 20; i++) {
		load_unsure(&l);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		load_expect(&l, &log, NULL);
		load_unsure(&l);
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, r.n), 0);
		fe_log_clear(&log);
		load_expect(&l, NULL, &log);
	}
	load_stop(&l);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	ck_assert_uint_gt(l.checked[0], 0);
	ck_assert_uint_gt(l.checked[1], 0);
	down(&e, &r, &log);
}
END_TEST

/* Larger and smaller logs, at odd offsets; after the answer nobody writes to the old one. */
/* proves: log.replaced, log.order, SET_LOG_BASE */
START_TEST(replaced_under_load)
{
	struct fe_log log[2];
	struct echo_rings r;
	struct load l;
	struct echo e;
	unsigned int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	ck_assert_int_eq(fe_log_init(&log[0], END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e.fe, &log[0], r.list, r.n), 0);
	load_start(&l, &r);
	for (i = 0; i < 20; i++) {
		struct fe_log *old = &log[i % 2], *new = &log[(i + 1) % 2];

		ck_assert_int_eq(fe_log_init(new, END * (1 + i % 3), 8 * 1000 * i), 0);
		load_unsure(&l);
		ck_assert_int_eq(fe_log_set(&e.fe, new), 0);
		fe_log_clear(old);
		load_expect(&l, new, old);
		/* It may not use it any more. */
		load_unsure(&l);
		fe_log_free(old);
	}
	load_stop(&l);
	ck_assert_uint_gt(l.checked[1], 0);
	down(&e, &r, &log[i % 2]);
}
END_TEST

/* A whole migration: copy what is dirty while the device writes, then stop and copy the rest. */
/* proves: log.order, log.writes */
START_TEST(migrated_under_load)
{
	struct fe_mem to = { 0 };
	struct echo_rings r;
	struct fe_log log;
	struct load l;
	struct echo e;
	int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	mem_up(&to);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	load_start(&l, &r);
	load_unsure(&l);
	echo_wait(&l.done, 5);
	ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
	memcpy(fe_mem_ptr(&to, REGION, REGION), at(&r, REGION), REGION);
	for (i = 0; i < 10; i++) {
		echo_wait(&l.done, atomic_load(&l.done) + 10);
		ck_assert_int_ge(fe_log_copy(&log, &r.mem, &to), 0);
	}
	load_stop(&l);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	ck_assert_int_ge(fe_log_copy(&log, &r.mem, &to), 0);
	ck_assert_mem_eq(fe_mem_ptr(&to, REGION, REGION), at(&r, REGION), REGION);
	fe_mem_free(&to);
	down(&e, &r, &log);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("migrate-load");
	TCase *tc = tcase_create("migrate-load");

	tcase_set_timeout(tc, 120);
	ADD(switched_on_and_off_under_load);
	ADD(replaced_under_load);
	ADD(migrated_under_load);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
