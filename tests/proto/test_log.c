/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: what a front-end or a driver does again and again is told a few times, and afterwards how
 * often it was, so that nothing is lost of the numbers; and each line says what it is about.
 */
#include <check.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"

/* Of each kind, so many at once; libvhost/log.h. */
#define BURST 10
#define INTERVAL 5
#define TIMES 10000u
#define LINES_MAX 4096

static struct {
	pthread_mutex_t lock;
	char *line[LINES_MAX];
	enum vhost_log_level level[LINES_MAX];
	unsigned int n;
} logged = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void keep_line(void *arg, enum vhost_log_level level, const char *line)
{
	(void)arg;
	if (level == VHOST_LOG_DEBUG)
		return;
	pthread_mutex_lock(&logged.lock);
	if (logged.n < LINES_MAX) {
		logged.level[logged.n] = level;
		logged.line[logged.n++] = strdup(line);
	}
	pthread_mutex_unlock(&logged.lock);
}

/*
 * How many lines have this in them, *lines; and how many there would have been, by what those
 * say which tell of others.
 */
static unsigned int count(const char *text, unsigned int *lines)
{
	unsigned int i, more, sum = 0;

	*lines = 0;
	pthread_mutex_lock(&logged.lock);
	for (i = 0; i < logged.n; i++) {
		if (!strstr(logged.line[i], text))
			continue;
		++*lines;
		sum += sscanf(logged.line[i], "echo: %u more of these, the last one: ", &more) == 1 ?
		       more : 1;
	}
	pthread_mutex_unlock(&logged.lock);
	return sum;
}

static bool said(const char *text)
{
	unsigned int lines;

	return count(text, &lines) > 0;
}

static long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* All n of them are told, in as few lines as it takes. */
static void expect_told(const char *text, unsigned int n, long since)
{
	const struct timespec pause = { 0, 20000000 };
	long deadline = now() + 60;
	unsigned int lines, most;

	while (count(text, &lines) < n && now() < deadline)
		nanosleep(&pause, NULL);
	ck_assert_uint_eq(count(text, &lines), n);
	most = (unsigned int)((now() - since) / INTERVAL + 2) * (BURST + 1);
	ck_assert_msg(lines <= most, "%s: %u lines, at most %u wanted", text, lines, most);
	ck_assert_uint_lt(lines, n);
}

static char path[64];

static void begin(struct echo *e, unsigned int nworkers, echo_tweak *tweak)
{
	struct echo first;

	/* It sets its own log once, before its first device. */
	echo_start(&first, 0, 0);
	echo_stop(&first);
	vhost_set_log(keep_line, NULL);
	snprintf(path, sizeof(path), "/tmp/libvhost-log-%d.sock", getpid());
	echo_start_listen(e, nworkers, path, tweak);
}

/* Up to the point where a front-end has chosen what to use. */
static void begin_session(struct echo *e)
{
	begin(e, 0, NULL);
	ck_assert_int_eq(fe_negotiate(&e->fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1), ~UINT64_C(0)), 0);
}

static void end(struct echo *e)
{
	unlink(path);
	echo_stop(e);
}

/* A message which is refused, and can be told. */
START_TEST(refused_messages)
{
	long since = now();
	unsigned int i;
	struct echo e;

	begin_session(&e);
	for (i = 0; i < TIMES; i++)
		ck_assert_int_eq(fe_set_vring_num(&e.fe, 1, 0), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 100, 16), -EIO);
	expect_told("refused: ", TIMES + 1, since);
	ck_assert(said("echo: queue 1: SET_VRING_NUM (8) refused: "));
	end(&e);
}
END_TEST

/* A front-end which comes, talks nonsense, and comes again. */
START_TEST(short_connections)
{
	static const uint8_t nonsense[12] = { 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	long since = now();
	unsigned int i;
	struct echo e;

	begin(&e, 0, NULL);
	for (i = 0; i < TIMES; i++) {
		ck_assert_int_eq(fe_send_bytes(&e.fe, nonsense, sizeof(nonsense), NULL, 0), 0);
		ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
		fe_close(&e.fe);
		ck_assert_int_eq(fe_connect(&e.fe, path), 0);
	}
	expect_told("connection closed: ", TIMES, since);
	expect_told("front-end disconnected after ", TIMES, since);
	/* The next one may be there already. */
	echo_wait(&e.ups, TIMES + 1);
	expect_told("front-end connected", TIMES + 1, since);
	end(&e);
}
END_TEST

/* A driver whose ring breaks again and again; on another thread than the front-end's messages. */
START_TEST(broken_queues)
{
	long since = now();
	struct echo_rings r;
	unsigned int i;
	uint32_t base;
	struct echo e;

	begin(&e, (unsigned int)_i, NULL);
	echo_up(&e, &r, 2, 16, 0);
	for (i = 0; i < TIMES; i++) {
		fe_split_set_avail_idx(&r.ring[1], 100);
		fe_ring_kick_always(&r.ring[1]);
		ck_assert_int_eq(fe_ring_wait_err(&r.ring[1], FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_get_vring_base(&e.fe, 1, &base), 0);
		ck_assert_int_eq(read(r.ring[1].err_fd, &(uint64_t){ 0 }, 8), 8);
		fe_ring_reset(&r.ring[1], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[1]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 1, true), 0);
	}
	echo_check(&r.ring[0], 10);
	expect_told("queue 1: broken: ", TIMES, since);
	echo_down(&e, &r);
	end(&e);
}
END_TEST

/* A channel for our own messages at whose other end nobody is. */
START_TEST(dead_channels)
{
	long since = now();
	unsigned int i;
	struct echo e;

	begin_session(&e);
	for (i = 0; i < TIMES; i++) {
		static const uint8_t nonsense[12] = { 255, 255, 255, 255, 255, 255, 255, 255 };

		ck_assert_int_eq(fe_set_backend_req_fd(&e.fe), 0);
		ck_assert_int_eq(write(e.fe.backend_fd, nonsense, sizeof(nonsense)),
				 sizeof(nonsense));
		ck_assert(echo_readable(e.fe.backend_fd, FE_TIMEOUT_MS));
	}
	expect_told("back-end channel closed: ", TIMES, since);
	end(&e);
}
END_TEST

/*
 * What the program says itself
 */

struct saying {
	struct echo *e;
	unsigned int n;
};

static void say_dev(void *arg)
{
	struct saying *s = arg;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		vhost_dev_log(s->e->dev, VHOST_LOG_WARN, "word %u of the device", i);
}

static void say_queue(void *arg)
{
	struct saying *s = arg;
	unsigned int i;

	for (i = 0; i < s->n; i++)
		vhost_queue_log(vhost_dev_queue(s->e->dev, 2), VHOST_LOG_ERR, "word %u", i);
}

START_TEST(own_lines)
{
	long since = now();
	struct saying s;
	struct echo e;

	begin(&e, 1, NULL);
	/* The device has its control worker. */
	ck_assert_int_eq(fe_negotiate(&e.fe, FE_BIT(VU_F_PROTOCOL_FEATURES), ~UINT64_C(0)), 0);
	s = (struct saying){ &e, TIMES };
	vhost_worker_call(e.control, say_dev, &s);
	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(e.dev, 2)), say_queue, &s);
	expect_told(" of the device", TIMES, since);
	expect_told("queue 2: word ", TIMES, since);
	ck_assert(said("echo: word 0 of the device"));
	ck_assert(said("echo: queue 2: word 0"));
	end(&e);
}
END_TEST

/* Beginning, what was negotiated, and end: one line each, with what was done. */
START_TEST(life_of_a_connection)
{
	struct echo_rings r;
	unsigned int lines;
	uint64_t bytes;
	struct echo e;
	char text[128];

	begin(&e, echo_run_workers(_i), NULL);
	echo_up(&e, &r, 2, 16, echo_run_format(_i) | FE_BIT(VIRTIO_RING_F_EVENT_IDX));
	echo_check(&r.ring[0], 100);
	echo_check(&r.ring[0], 50);
	echo_check(&r.ring[1], 7);
	/* The same once more, which is not counted for the next one. */
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	ck_assert_int_eq(fe_connect(&e.fe, path), 0);
	echo_wait(&e.ups, 2);
	fe_close(&e.fe);
	echo_wait(&e.downs, 2);
	bytes = 2 * (100 + 50 + 7);
	snprintf(text, sizeof(text), " messages, 3 requests, %u bytes", (unsigned int)bytes);
	ck_assert_uint_eq(count(text, &lines), 1);
	ck_assert_uint_eq(count(" s: 0 messages, 0 requests, 0 bytes", &lines), 1);
	ck_assert_uint_eq(count("echo: front-end connected", &lines), 2);
	ck_assert_uint_eq(count("echo: front-end uses ", &lines), 1);
	ck_assert(said(echo_run_format(_i) ? "uses packed rings, event index" :
					     "uses split rings, event index"));
	ck_assert_uint_eq(logged.n, 5);
	echo_down(&e, &r);
	end(&e);
}
END_TEST

static Suite *log_suite(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("floods");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, refused_messages);
	tcase_add_test(tc, short_connections);
	tcase_add_loop_test(tc, broken_queues, 0, 2);
	tcase_add_test(tc, dead_channels);
	tcase_add_test(tc, own_lines);
	suite_add_tcase(s, tc);
	tc = tcase_create("life");
	tcase_add_loop_test(tc, life_of_a_connection, 0, ECHO_RUNS);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(log_suite());
}
