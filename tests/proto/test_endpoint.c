/* SPDX-License-Identifier: BSD-3-Clause */
/* A device which calls at the front-end's socket. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"

static void temp_socket(char path[static 64])
{
	snprintf(path, 64, "/tmp/libvhost-test-%d.sock", getpid());
	unlink(path);
}

static int listen_at(const char *path)
{
	int fd = vhost_listen_unix(path, 0600);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The device's next call. */
static void answer(struct echo *e, int listen_fd)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	int fd;

	ck_assert_int_eq(poll(&p, 1, FE_TIMEOUT_MS), 1);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	fe_attach(&e->fe, fd);
}

static void check_session(struct echo *e)
{
	struct echo_rings r;

	echo_up(e, &r, 2, 16, 0);
	echo_check(&r.ring[0], 10);
	echo_check(&r.ring[1], 10);
	echo_down(e, &r);
}

/* proves: session.client */
START_TEST(calls_again_after_each_session)
{
	char path[64];
	struct echo e;
	int fd, i;

	temp_socket(path);
	fd = listen_at(path);
	echo_start_connect(&e, (unsigned int)_i, path);
	for (i = 0; i < 3; i++) {
		answer(&e, fd);
		check_session(&e);
		fe_close(&e.fe);
	}
	close(fd);
	unlink(path);
	e.fd_count--;	/* fd was open before */
	echo_stop(&e);
}
END_TEST

/* proves: session.client */
START_TEST(waits_for_a_front_end_which_is_late)
{
	char path[64];
	struct echo e;
	int fd, dead;

	/* First there is no socket, then one on which nobody listens. */
	temp_socket(path);
	echo_start_connect(&e, (unsigned int)_i, path);
	dead = listen_at(path);
	close(dead);
	fd = listen_at(path);
	answer(&e, fd);
	check_session(&e);
	close(fd);
	unlink(path);
	echo_stop(&e);
}
END_TEST

/* proves: session.client */
START_TEST(calls_again_when_hung_up_on)
{
	char path[64];
	struct echo e;
	int fd, i;

	/* Without a message in between, the calls get rarer; none is the last. */
	temp_socket(path);
	fd = listen_at(path);
	echo_start_connect(&e, (unsigned int)_i, path);
	for (i = 0; i < 3; i++) {
		answer(&e, fd);
		fe_close(&e.fe);
	}
	answer(&e, fd);
	check_session(&e);
	close(fd);
	unlink(path);
	e.fd_count--;
	echo_stop(&e);
}
END_TEST

/* proves: session.client, session.stop */
START_TEST(stops_while_it_waits)
{
	char path[64];
	struct echo e;

	temp_socket(path);
	echo_start_connect(&e, (unsigned int)_i, path);
	echo_stop(&e);
}
END_TEST

START_TEST(path_too_long)
{
	const struct vhost_dev_ops ops = { .kick = vhost_queue_again };
	const struct vhost_dev_params params = { 0 };
	struct vhost_worker *w;
	struct vhost_dev *dev;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
	ck_assert_int_eq(vhost_dev_new(&dev, &ops, &params, NULL), 0);
	ck_assert_int_eq(vhost_dev_connect(dev, w, path), -ENAMETOOLONG);
	vhost_dev_free(dev);
	vhost_worker_free(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("endpoint");
	TCase *t = tcase_create("connect");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, calls_again_after_each_session, 0, 2);
	tcase_add_loop_test(t, waits_for_a_front_end_which_is_late, 0, 2);
	tcase_add_loop_test(t, calls_again_when_hung_up_on, 0, 2);
	tcase_add_loop_test(t, stops_while_it_waits, 0, 2);
	tcase_add_test(t, path_too_long);
	suite_add_tcase(s, t);
	return tap_main(s);
}
