/* SPDX-License-Identifier: BSD-3-Clause */
/* The channel to the front-end: whatever becomes of it, the connection goes on. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"

#define CHANGES 20000

static void change_config(void *arg)
{
	static uint8_t n;

	n++;
	ck_assert_int_eq(vhost_dev_update_config(arg, 10, &n, 1), 0);
}

static void expect_change(struct echo *e)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_backend_recv(&e->fe, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, VU_BACKEND_CONFIG_CHANGE_MSG);
}

/* proves: backend.no-wait, backend.bounded, BACKEND_CONFIG_CHANGE_MSG */
START_TEST(front_end_which_does_not_read_the_channel)
{
	uint8_t now, first;
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	/* More than a socket holds: none of them waits, and the last one is not lost. */
	for (i = 0; i < CHANGES; i++)
		vhost_worker_call(e.control, change_config, e.dev);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_get_config(&e.fe, 10, &now, 1), 0);
	expect_change(&e);
	ck_assert_int_eq(fe_get_config(&e.fe, 10, &first, 1), 0);
	ck_assert_uint_eq(first, now);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: backend.replaced, SET_BACKEND_REQ_FD, PROTOCOL_F_BACKEND_REQ */
START_TEST(channel_replaced)
{
	struct pollfd old = { .events = POLLIN };
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	for (i = 0; i < 10; i++) {
		old.fd = e.fe.backend_fd;
		ck_assert_int_ge(old.fd, 0);
		e.fe.backend_fd = -1;
		ck_assert_int_eq(fe_set_backend_req_fd(&e.fe), 0);
		ck_assert_int_eq(fe_sync(&e.fe), 0);
		/* The device has closed its end of the old one. */
		ck_assert_int_eq(poll(&old, 1, FE_TIMEOUT_MS), 1);
		ck_assert(old.revents & POLLHUP);
		close(old.fd);
		vhost_worker_call(e.control, change_config, e.dev);
		expect_change(&e);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("channel");
	TCase *tc = tcase_create("channel");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, front_end_which_does_not_read_the_channel, 0, 3);
	tcase_add_loop_test(tc, channel_replaced, 0, 3);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
