/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log's messages, and what lies beyond the log.
 *
 * Each test runs with 0, 1 and 2 workers, with split and with packed rings.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/proto/logged.h"
#include "tests/tap.h"
#include "util.h"

/*
 * Beyond the log
 */

struct beyond {
	uint64_t gpa;
	uint32_t len;
};

/* A log for 128 pages: just behind, across its end, far away. */
#define SHORT_END (128 * PAGE)
static const struct beyond beyonds[] = {
	{ SHORT_END, 1 },
	{ SHORT_END - 10, 20 },
	{ SHORT_END - PAGE, 8 * PAGE },
	{ END - PAGE, PAGE },
};

/* Regressions: kernel CVE-2019-14835; libvhost-user asserts. */
/* proves: log.bound, queue.one-breaks, queue.restart */
START_TEST(a_page_beyond_the_log_breaks_the_queue)
{
	struct echo_rings r;
	struct fe_log log;
	unsigned int i, j;
	struct echo e;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(beyonds); i++) {
		ck_assert_int_eq(fe_log_init(&log, SHORT_END, 64), 0);
		ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		submit_raw(&r, beyonds[i].gpa, beyonds[i].len);
		act(&e, 0, ACT_WRITE);
		wait_broken(&r.ring[0]);
		/* What is before and behind the bitmap in its page is as it was. */
		for (j = 0; j < 4096; j++)
			ck_assert(j - 64 < log.size || !log.map[j]);
		/* The other queue is served. */
		submit(&r, 1, &(struct iovec){ at(&r, BUF / 2), 10 }, 1);
		act(&e, 1, ACT_WRITE);
		get(&r.ring[1]);
		/* And this one is after a restart. */
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, r.n), 0);
		ck_assert_int_eq(fe_stop_ring(&e.fe, &r.ring[0], NULL), 0);
		fe_ring_reset(&r.ring[0], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		write_raw(&e, &r);
		fe_log_free(&log);
	}
	down(&e, &r, NULL);
}
END_TEST

/* proves: log.bound */
START_TEST(a_ring_beyond_the_log_breaks_its_queue)
{
	static const uint64_t where[] = { END, END - 1, UINT64_MAX, UINT64_MAX - 3, 1ull << 63 };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
	for (i = 0; i < ARRAY_SIZE(where); i++) {
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, 0), 0);
		fe_ring_get_addr(&r.ring[0], &addr);
		addr.flags = VU_VRING_ADDR_F_LOG;
		addr.log = where[i];
		ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
		submit_raw(&r, BUF, 10);
		act(&e, 0, ACT_WRITE);
		wait_broken(&r.ring[0]);
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, 1), 0);
		ck_assert_int_eq(fe_stop_ring(&e.fe, &r.ring[0], NULL), 0);
		fe_ring_reset(&r.ring[0], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		/* Bits of the page END - 1 aside, nothing behind the bitmap. */
		ck_assert_uint_eq(log.map[log.size], 0);
	}
	down(&e, &r, &log);
}
END_TEST

struct place {
	uint64_t size, offset;
};

/* In a file of 3 pages.  Regression: DPDK CVE-2020-10722. */
static const struct place wrong_places[] = {
	{ 0, 0 },
	{ 0, 4096 },
	{ 3 * 4096 + 1, 0 },
	{ 4096, 3 * 4096 },
	{ 8, 3 * 4096 - 7 },
	{ UINT64_MAX, 0 },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - 4095, 4096 },
	{ 4096, UINT64_MAX - 4095 },
	{ 1, UINT64_MAX },
	{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
	{ (UINT64_C(1) << 63) - 4096, 4096 },
};

/* Asks for an acknowledgement, as QEMU does not. */
static int ask_log_base(struct fe *fe, const struct place *place, int fd)
{
	const struct vu_log log = { .size = place->size, .offset = place->offset };

	return fe_request(fe, VU_SET_LOG_BASE, &log, sizeof(log), &fd, 1);
}

/* proves: log.mapping, reply.honest, SET_LOG_BASE */
START_TEST(wrong_place_of_a_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	ck_assert_int_eq(ftruncate(log.fd, 3 * 4096), 0);
	for (i = 0; i < ARRAY_SIZE(wrong_places); i++)
		ck_assert_int_eq(ask_log_base(&e.fe, &wrong_places[i], log.fd), -EIO);
	/* What cannot be mapped. */
	ck_assert_int_eq(ask_log_base(&e.fe, &(struct place){ 8, 0 }, r.ring[0].err_fd), -EIO);
	/* The log from before is as good as ever. */
	write_raw(&e, &r);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	/* A front-end which does not care for the answer would migrate without it. */
	ck_assert_int_eq(fe_set_log_base(&e.fe, 0, 0, log.fd), -ECONNRESET);
	down(&e, &r, &log);
}
END_TEST

/* The last byte of a file; a byte in the middle of a page. */
/* proves: SET_LOG_BASE */
START_TEST(odd_places_of_a_log)
{
	static const uint64_t offsets[] = { 1, 4095, 4096, 4097, 12345 };
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		ck_assert_int_eq(fe_log_init(&log, END, offsets[i]), 0);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		write_raw(&e, &r);
		settle(&e, 0);
		ck_assert(fe_log_is_dirty(&log, BUF));
		fe_log_free(&log);
	}
	down(&e, &r, NULL);
}
END_TEST

/*
 * Messages
 */

/* proves: SET_LOG_BASE, PROTOCOL_F_LOG_SHMFD */
START_TEST(without_shmfd_the_message_is_ignored)
{
	const struct vu_log place = { 4096, 0 };
	const uint64_t one = 0;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up_with(&e, &r, _i, ALL & ~FE_BIT(VU_PROTOCOL_F_LOG_SHMFD), keep);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &one, 8, NULL, 0), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &place, 16, NULL, 0), 0);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &place, 16, &log.fd, 1), -EIO);
	down(&e, &r, &log);
}
END_TEST

/* proves: log.eventfd, SET_LOG_FD */
START_TEST(the_log_s_fd_is_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	uint64_t count;
	int fd, other;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	fd = eventfd(0, EFD_CLOEXEC);
	other = eventfd(0, EFD_CLOEXEC);
	settle(&e, 0);
	settle(&e, 1);
	ck_assert_int_eq(fe_set_log_fd(&e.fe, fd), 0);
	ck_assert(!echo_readable(fd, ECHO_QUIET_MS));
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	ck_assert(echo_readable(fd, FE_TIMEOUT_MS));
	get(&r.ring[0]);
	/* Another one instead, and the first is silent. */
	ck_assert_int_eq(fe_set_log_fd(&e.fe, other), 0);
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	ck_assert(echo_readable(other, FE_TIMEOUT_MS));
	settle(&e, 0);
	ck_assert(!echo_readable(fd, 0));
	/* A file could block. */
	ck_assert_int_eq(fe_set_log_fd(&e.fe, log.fd), -EIO);
	close(fd);
	close(other);
	down(&e, &r, &log);
}
END_TEST

/* proves: features.while-running, ring.addr-while-running, VHOST_F_LOG_ALL */
START_TEST(only_logging_changes_while_rings_run)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	uint64_t features;
	struct echo e;

	up(&e, &r, _i);
	features = e.fe.features;
	set_log_all(&e, true);
	ck_assert_int_eq(fe_set_features(&e.fe, features ^ FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)),
			 -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, features | F_LOG | FE_BIT(0)), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, features), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	addr.flags = 2;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	addr.flags = VU_VRING_ADDR_F_LOG;
	addr.used += 64;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	down(&e, &r, NULL);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("migrate-log");
	TCase *tc = tcase_create("migrate-log");

	tcase_set_timeout(tc, 120);
	ADD(a_page_beyond_the_log_breaks_the_queue);
	ADD(a_ring_beyond_the_log_breaks_its_queue);
	ADD(wrong_place_of_a_log);
	ADD(odd_places_of_a_log);
	ADD(without_shmfd_the_message_is_ignored);
	ADD(the_log_s_fd_is_written);
	ADD(only_logging_changes_while_rings_run);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
