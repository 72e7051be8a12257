/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's own state through a pipe: SET_DEVICE_STATE_FD and CHECK_DEVICE_STATE.
 *
 * The device's state is a pattern of a given length; what it is given is kept for a look.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define QUIET_MS 30
#define PIPE_SIZE 65536

/* The device's side. */
static size_t save_len;
static int refuse;			/* errno */
static atomic_uint saves, loads;
static uint8_t *loaded;
static size_t loaded_len;

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static int device_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	uint8_t *state = malloc(save_len + 1);
	size_t i;

	(void)dev;
	for (i = 0; i < save_len; i++)
		state[i] = pattern(i);
	atomic_fetch_add(&saves, 1);
	*buf = state;
	*len = save_len;
	return -refuse;
}

static int device_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	(void)dev;
	free(loaded);
	loaded = malloc(len + 1);
	memcpy(loaded, buf, len);
	loaded_len = len;
	atomic_fetch_add(&loads, 1);
	return -refuse;
}

static void add_state(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->save = device_save;
	ops->load = device_load;
}

/* Nothing runs; the front-end may ask for the state. */
static void up(struct echo *e)
{
	save_len = loaded_len = 0;
	refuse = 0;
	atomic_store(&saves, 0);
	atomic_store(&loads, 0);
	echo_start_tweaked(e, 1, add_state);
	ck_assert_int_eq(fe_negotiate(&e->fe, FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(32),
				      ~UINT64_C(0)), 0);
	ck_assert(e->fe.protocol_features & FE_BIT(VU_PROTOCOL_F_DEVICE_STATE));
}

static void down(struct echo *e)
{
	echo_stop(e);
	free(loaded);
	loaded = NULL;
}

/* Give the device its end of a new pipe; ours is the result. */
static int begin(struct echo *e, uint32_t direction)
{
	int fds[2], other, mine = direction == VU_TRANSFER_SAVE ? 0 : 1;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fe_set_device_state_fd(&e->fe, direction, VU_TRANSFER_STOPPED,
						fds[!mine], &other), 0);
	ck_assert_int_eq(other, -1);
	close(fds[!mine]);
	return fds[mine];
}

static int try(struct echo *e, uint32_t direction, uint32_t phase, int fd)
{
	int other;

	return fe_set_device_state_fd(&e->fe, direction, phase, fd, &other);
}

/* Read until the end. */
static size_t drain(int fd, uint8_t *buf, size_t max)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, max - len)) > 0)
		len += (size_t)n;
	ck_assert_int_eq(n, 0);
	close(fd);
	return len;
}

/* Write as much as is taken. */
static size_t feed(int fd, const uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len && (n = write(fd, buf + done, len - done)) > 0)
		done += (size_t)n;
	close(fd);
	return done;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, timeout_ms) == 1;
}

static const size_t sizes[] = { 0, 1, PIPE_SIZE, PIPE_SIZE + 1, 1000000, VHOST_STATE_MAX };

/* proves: state.transfer, SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE, PROTOCOL_F_DEVICE_STATE */
START_TEST(saved_and_loaded)
{
	uint8_t *buf = malloc(VHOST_STATE_MAX + 1);
	size_t i, len = sizes[_i];
	struct echo e;

	up(&e);
	save_len = len;
	ck_assert_uint_eq(drain(begin(&e, VU_TRANSFER_SAVE), buf, VHOST_STATE_MAX + 1), len);
	ck_assert_int_eq(fe_check_device_state(&e.fe), 0);
	for (i = 0; i < len && buf[i] == pattern(i); i++)
		;
	ck_assert_uint_eq(i, len);
	ck_assert_uint_eq(feed(begin(&e, VU_TRANSFER_LOAD), buf, len), len);
	ck_assert_int_eq(fe_check_device_state(&e.fe), 0);
	ck_assert_uint_eq(loaded_len, len);
	ck_assert_int_eq(memcmp(loaded, buf, len), 0);
	free(buf);
	down(&e);
}
END_TEST

/* proves: state.bounded */
START_TEST(too_long_to_be_saved)
{
	struct echo e;
	int fds[2];

	up(&e);
	save_len = VHOST_STATE_MAX + 1;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, fds[1]), -EIO);
	ck_assert_uint_eq(atomic_load(&saves), 1);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	close(fds[0]);
	close(fds[1]);
	down(&e);
}
END_TEST

/* proves: state.bounded */
START_TEST(too_long_to_be_loaded)
{
	uint8_t *buf = calloc(1, VHOST_STATE_MAX + 2 * PIPE_SIZE);
	struct echo e;

	signal(SIGPIPE, SIG_IGN);
	up(&e);
	feed(begin(&e, VU_TRANSFER_LOAD), buf, VHOST_STATE_MAX + 2 * PIPE_SIZE);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	ck_assert_uint_eq(feed(begin(&e, VU_TRANSFER_LOAD), buf, VHOST_STATE_MAX + 1),
			  VHOST_STATE_MAX + 1);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	free(buf);
	down(&e);
}
END_TEST

/* proves: state.check, reply.honest */
START_TEST(the_device_refuses)
{
	struct echo e;
	int fds[2];

	up(&e);
	refuse = EINVAL;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, fds[1]), -EIO);
	close(fds[0]);
	close(fds[1]);
	feed(begin(&e, VU_TRANSFER_LOAD), (const uint8_t *)"abc", 3);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	ck_assert_uint_eq(loaded_len, 3);
	down(&e);
}
END_TEST

/* proves: state.check, CHECK_DEVICE_STATE */
START_TEST(checked_without_a_transfer)
{
	uint8_t buf[16];
	struct echo e;

	up(&e);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	save_len = 10;
	ck_assert_uint_eq(drain(begin(&e, VU_TRANSFER_SAVE), buf, sizeof(buf)), 10);
	ck_assert_int_eq(fe_check_device_state(&e.fe), 0);
	/* Its outcome is told once. */
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	down(&e);
}
END_TEST

/* proves: SET_DEVICE_STATE_FD */
START_TEST(refused_by_its_arguments)
{
	int fds[2], file, stalled;
	struct echo e;

	up(&e);
	file = memfd_create("state", MFD_CLOEXEC);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(try(&e, 2, 0, fds[1]), -EIO);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 1, fds[1]), -EIO);
	/* What cannot be waited for would block the control worker. */
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, file), -EIO);
	ck_assert_uint_eq(atomic_load(&saves), 0);
	/* One at a time; the first is not harmed. */
	stalled = begin(&e, VU_TRANSFER_LOAD);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, fds[1]), -EIO);
	ck_assert_uint_eq(feed(stalled, (const uint8_t *)"abc", 3), 3);
	ck_assert_int_eq(fe_check_device_state(&e.fe), 0);
	ck_assert_uint_eq(loaded_len, 3);
	close(fds[0]);
	close(fds[1]);
	close(file);
	down(&e);
}
END_TEST

/* The wrong end of a pipe. */
/* proves: state.check */
START_TEST(an_fd_for_the_other_direction)
{
	struct echo e;
	int fds[2];

	up(&e);
	save_len = 10;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	close(fds[1]);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, fds[0]), 0);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	close(fds[0]);
	down(&e);
}
END_TEST

static void rings_up(struct echo *e, struct echo_rings *r)
{
	const struct fe_ring_params params = { .size = 16, .features = e->fe.features };

	memset(r, 0, sizeof(*r));
	r->n = 1;
	r->list[0] = &r->ring[0];
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r->ring[0], &r->mem, &params), 0);
	ck_assert_int_eq(fe_start(&e->fe, &r->mem, r->list, 1), 0);
}

/* proves: state.suspended */
START_TEST(only_while_no_ring_runs)
{
	struct echo_rings r;
	uint8_t buf[16];
	struct echo e;
	int fds[2];

	up(&e);
	rings_up(&e, &r);
	save_len = 10;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(try(&e, VU_TRANSFER_SAVE, 0, fds[1]), -EIO);
	ck_assert_int_eq(try(&e, VU_TRANSFER_LOAD, 0, fds[0]), -EIO);
	ck_assert_uint_eq(atomic_load(&saves), 0);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	ck_assert_uint_eq(drain(begin(&e, VU_TRANSFER_SAVE), buf, sizeof(buf)), 10);
	ck_assert_int_eq(fe_check_device_state(&e.fe), 0);
	close(fds[0]);
	close(fds[1]);
	echo_down(&e, &r);
	down(&e);
}
END_TEST

/* proves: state.suspended */
START_TEST(a_ring_starts_during_a_load)
{
	struct echo_rings r;
	struct echo e;
	int fd;

	up(&e);
	fd = begin(&e, VU_TRANSFER_LOAD);
	rings_up(&e, &r);
	feed(fd, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	down(&e);
}
END_TEST

static void allow_sigpipe(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* With a control worker whose thread would be killed by SIGPIPE. */
/* proves: state.check, msg.process */
START_TEST(the_reader_leaves_early)
{
	uint8_t buf[100];
	struct echo e;
	int fd;

	up(&e);
	vhost_worker_call(e.control, allow_sigpipe, NULL);
	save_len = 1 << 20;
	fd = begin(&e, VU_TRANSFER_SAVE);
	ck_assert_int_eq(read(fd, buf, sizeof(buf)), sizeof(buf));
	close(fd);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	down(&e);
}
END_TEST

/* Odd numbers load: the peer does not write; even ones save: it does not read. */
/* proves: state.transfer, msg.front-end-gone */
START_TEST(a_stalled_peer_costs_its_check_only)
{
	const struct vu_header hdr = { VU_CHECK_DEVICE_STATE, VU_VERSION, 0 };
	struct echo e;
	int fd;

	up(&e);
	save_len = 1 << 20;
	fd = begin(&e, _i % 2 ? VU_TRANSFER_LOAD : VU_TRANSFER_SAVE);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, NULL, 0, NULL, 0), 0);
	ck_assert(!readable(e.fe.fd, QUIET_MS));
	/* The end of the connection ends the transfer, whatever the pipe does. */
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	close(fd);
	down(&e);
}
END_TEST

/* proves: msg.front-end-gone */
START_TEST(disconnected_during_a_transfer)
{
	struct echo e;
	int fd;

	up(&e);
	save_len = 1 << 20;
	fd = begin(&e, _i % 2 ? VU_TRANSFER_LOAD : VU_TRANSFER_SAVE);
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	close(fd);
	down(&e);
}
END_TEST

/* proves: session.stop */
START_TEST(the_device_stops_during_a_check)
{
	const struct vu_header hdr = { VU_CHECK_DEVICE_STATE, VU_VERSION, 0 };
	struct echo e;
	int fd;

	up(&e);
	fd = begin(&e, VU_TRANSFER_LOAD);
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, NULL, 0, NULL, 0), 0);
	ck_assert(!readable(e.fe.fd, QUIET_MS));
	/* Ours stays open beyond the device's end. */
	e.fd_count++;
	down(&e);
	close(fd);
}
END_TEST

/* proves: session.reset-device */
START_TEST(reset_ends_a_transfer)
{
	struct echo e;
	int fd;

	up(&e);
	fd = begin(&e, VU_TRANSFER_LOAD);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	ck_assert_int_eq(fe_check_device_state(&e.fe), -EIO);
	close(fd);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	down(&e);
}
END_TEST

/* proves: PROTOCOL_F_DEVICE_STATE */
START_TEST(not_offered_without_callbacks)
{
	uint64_t features;
	struct echo e;

	echo_start(&e, 1, 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &features), 0);
	ck_assert(!(features & FE_BIT(VU_PROTOCOL_F_DEVICE_STATE)));
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("state");
	TCase *tc = tcase_create("state");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, saved_and_loaded, 0, ARRAY_SIZE(sizes));
	tcase_add_test(tc, too_long_to_be_saved);
	tcase_add_test(tc, too_long_to_be_loaded);
	tcase_add_test(tc, the_device_refuses);
	tcase_add_test(tc, checked_without_a_transfer);
	tcase_add_test(tc, refused_by_its_arguments);
	tcase_add_test(tc, an_fd_for_the_other_direction);
	tcase_add_test(tc, only_while_no_ring_runs);
	tcase_add_test(tc, a_ring_starts_during_a_load);
	tcase_add_test(tc, the_reader_leaves_early);
	tcase_add_loop_test(tc, a_stalled_peer_costs_its_check_only, 0, 2);
	tcase_add_loop_test(tc, disconnected_during_a_transfer, 0, 2);
	tcase_add_test(tc, the_device_stops_during_a_check);
	tcase_add_test(tc, reset_ends_a_transfer);
	tcase_add_test(tc, not_offered_without_callbacks);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
