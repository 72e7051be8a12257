/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of the control socket who behave badly, while a driver uses the disk on the same thread
 * or on another, and verifies what it reads: each gets an error or is closed, and nobody else
 * notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/daemon/disk_daemon.h"
#include "tests/tap.h"

#define LINE_MAX_SIZE 65536u		/* of a request, as the manual says */
#define CLIENTS_MAX 32			/* likewise */

#define STATUS "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"status\"}\n"

static void ask_status(int fd)
{
	say(fd, STATUS, strlen(STATUS));
	expect(fd, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"name\":\"vhost-user-blk\"");
	ck_assert_ptr_nonnull(strstr(answer, "\"connected\":true"));
}

/*
 * What makes no sense
 */

static const struct {
	const char *line, *answer;
} lines[] = {
	{ "x", "\"id\":null,\"error\":{\"code\":-32700" },
	{ "{", "\"id\":null,\"error\":{\"code\":-32700" },
	{ "{}", "\"id\":null,\"error\":{\"code\":-32600" },
	{ "null", "\"id\":null,\"error\":{\"code\":-32700" },
	{ "1", "\"id\":null,\"error\":{\"code\":-32600" },
	{ "[]", "\"id\":null,\"error\":{\"code\":-32600" },
	{ "[" STATUS, NULL },		/* its newline ends it */
	{ "{} {}", "-32700" },
	{ "\"\xff\"", "-32700" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":\"\xc3\x28\",\"method\":\"help\"}", "-32700" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"help\"}", "-32700" },
	{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"help\"}", "\"id\":1,\"error\":{\"code\":-32600" },
	{ "{\"id\":1,\"method\":\"help\"}", "\"id\":1,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}", "\"id\":1,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":1}", "\"id\":1,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"help\"}", "\"id\":null,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"help\"}", "\"id\":null,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"help\",\"x\":1}", "\"id\":1,\"error\":{\"code\":-32600" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", "\"id\":1,\"error\":{\"code\":-32601" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"lun-add\"}", "\"id\":1,\"error\":{\"code\":-32601" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"help\",\"params\":[]}", "\"id\":1,\"error\":{\"code\":-32602" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"help\",\"params\":{\"a\":1}}", "\"id\":1,\"error\":{\"code\":-32602" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"resize\",\"params\":{\"size\":\"1\\u0000\"}}", "\"id\":1,\"error\":{\"code\":-32602" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"\\u00e9\",\"method\":\"version\"}", "\"id\":\"a\\\"\xc3\xa9\",\"result\"" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"version\"}", "\"id\":null,\"result\"" },
	{ "{\"jsonrpc\":\"2.0\",\"id\":-9223372036854775808,\"method\":\"version\"}",
	  "\"id\":-9223372036854775808,\"result\"" },
};

static const char *const silent[] = {
	"\n\r\n", "{\"jsonrpc\":\"2.0\",\"method\":\"help\"}\n",
	"{\"jsonrpc\":\"2.0\",\"method\":\"foo\"}\r\n",
	"{\"jsonrpc\":\"2.0\",\"method\":\"help\",\"params\":{\"a\":1}}\n",
};

static const char nul[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\0\"method\":\"help\"}\n";

START_TEST(senseless_lines)
{
	unsigned int i;
	int fd;

	disk_up(0);
	fd = client(test.control);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(fd, lines[i].line, strlen(lines[i].line));
		if (lines[i].answer)
			say(fd, "\n", 1);
		expect(fd, lines[i].answer ? lines[i].answer : "-32700");
	}
	/* No id, no answer; and empty lines, and those of other systems. */
	for (i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
		say(fd, silent[i], strlen(silent[i]));
	ask_status(fd);
	/* A NUL within. */
	say(fd, nul, sizeof(nul) - 1);
	expect(fd, "NUL");
	ask_status(fd);
	close(fd);
	disk_down();
}
END_TEST

START_TEST(deep_nesting)
{
	static char line[LINE_MAX_SIZE];
	static const char opens[] = "[{";
	unsigned int i;
	int fd;

	disk_up(0);
	fd = client(test.control);
	for (i = 0; i < 2; i++) {
		memset(line, opens[i], sizeof(line));
		line[sizeof(line) - 2] = '\n';
		say(fd, line, sizeof(line) - 1);
		expect(fd, "-32700");
	}
	ask_status(fd);
	close(fd);
	disk_down();
}
END_TEST

/* As long as may be is answered; one more, and ten million more, are not listened to. */
START_TEST(long_lines)
{
	static char line[10 << 20];
	int fd;

	disk_up(0);
	fd = client(test.control);
	memset(line, ' ', sizeof(line));
	memcpy(line + LINE_MAX_SIZE - strlen(STATUS), STATUS, strlen(STATUS));
	say(fd, line, LINE_MAX_SIZE);
	expect(fd, "\"id\":7,\"result\"");
	ask_status(fd);

	memset(line, ' ', sizeof(line));
	say(fd, line, LINE_MAX_SIZE);
	expect(fd, "\"id\":null,\"error\":{\"code\":-32600,\"message\":\"the line is too long\"");
	ck_assert(!hear(fd));
	close(fd);

	fd = client(test.control);
	say(fd, line, sizeof(line));
	expect(fd, "too long");
	ck_assert(!hear(fd));
	close(fd);
	disk_down();
}
END_TEST

/* A byte at a time, and the end in the middle of a line. */
START_TEST(half_lines)
{
	size_t i;
	int fd;

	disk_up((unsigned int)_i);
	fd = client(test.control);
	for (i = 0; i < strlen(STATUS); i++) {
		say(fd, STATUS + i, 1);
		disk_works();
	}
	expect(fd, "\"id\":7,\"result\"");
	/* What is complete is answered, also to those who say no more. */
	say(fd, STATUS STATUS STATUS, 3 * strlen(STATUS) - 1);
	shutdown(fd, SHUT_WR);
	expect(fd, "\"id\":7,\"result\"");
	expect(fd, "\"id\":7,\"result\"");
	ck_assert(!hear(fd));
	close(fd);
	for (i = 1; i < strlen(STATUS); i++) {
		fd = client(test.control);
		say(fd, STATUS, i);
		close(fd);
	}
	disk_down();
}
END_TEST

/* Many lines in a row, none of whose answers is read before the last is sent, or ever. */
START_TEST(flood)
{
	unsigned int i, sent = 0;
	int fd, deaf;

	disk_up((unsigned int)_i);
	fd = client(test.control);
	deaf = client(test.control);
	fcntl(deaf, F_SETFL, O_NONBLOCK);
	/* Until neither end can take more. */
	while (send(deaf, STATUS, strlen(STATUS), MSG_NOSIGNAL) == (ssize_t)strlen(STATUS))
		sent++;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_uint_gt(sent, 100);
	for (i = 0; i < 200; i++)
		say(fd, STATUS, strlen(STATUS));
	for (i = 0; i < 200; i++) {
		expect(fd, "\"id\":7,\"result\"");
		disk_works();
	}
	close(fd);
	/* In the middle of an answer. */
	close(deaf);
	disk_down();
}
END_TEST

/* Those who come late are served, at the cost of those who are idle longest. */
START_TEST(many_clients)
{
	int fds[1000], i, closed = 0;
	struct rlimit limit = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &limit);
	disk_up((unsigned int)_i);
	for (i = 0; i < 1000; i++) {
		fds[i] = client(test.control);
		if (i % 100 == 99) {
			ask_status(fds[i]);
			disk_works();
		}
	}
	ask_status(fds[999]);
	for (i = 0; i < 1000; i++) {
		struct pollfd pfd = { .fd = fds[i], .events = POLLIN };

		/* The others' ends were noticed before the last one was answered. */
		closed += poll(&pfd, 1, 0) == 1;
	}
	ck_assert_int_eq(closed, 1000 - CLIENTS_MAX);
	for (i = 0; i < 1000; i++)
		close(fds[i]);
	disk_down();
}
END_TEST

/* Descriptors which nobody asked for do not stay. */
START_TEST(unwanted_descriptors)
{
	union {
		char buf[CMSG_SPACE(20 * sizeof(int))];
		struct cmsghdr align;
	} control;
	char text[64];
	struct iovec iov = { text, 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int pipe_fds[2], i, fd;
	size_t n;

	disk_up(0);
	fd = client(test.control);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
		msg.msg_controllen = sizeof(control);
		*cmsg = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(20 * sizeof(int)) };
		for (n = 0; n < 20; n++)
			memcpy(CMSG_DATA(cmsg) + n * sizeof(int), &pipe_fds[1], sizeof(int));
		/* With a whole line; and with half a one, which never ends. */
		iov.iov_len = (size_t)snprintf(text, sizeof(text), "%s", STATUS) - (size_t)i * 5;
		ck_assert_int_eq(sendmsg(fd, &msg, MSG_NOSIGNAL), (int)iov.iov_len);
		if (!i)
			expect(fd, "\"id\":7,\"result\"");
		else
			close(fd);
		close(pipe_fds[1]);
		/* The end of the pipe: the daemon has none either. */
		ck_assert_int_eq(poll(&(struct pollfd){ .fd = pipe_fds[0] }, 1, TIMEOUT_MS), 1);
		close(pipe_fds[0]);
	}
	disk_down();
}
END_TEST

/* Whoever asks to quit gets an answer, and so do those who asked before. */
START_TEST(quit)
{
	static const char text[] = "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"quit\"}\n";
	int fd, status;

	/* Nobody is served to the end here. */
	test.loaded = false;
	disk_up((unsigned int)_i);
	disk_works();
	fd = client(test.control);
	say(fd, text, strlen(text));
	expect(fd, "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":null}");
	ck_assert(!hear(fd));
	close(fd);
	ck_assert_int_eq(waitpid(test.pid, &status, 0), test.pid);
	test.pid = 0;
	ck_assert(WIFEXITED(status) && !WEXITSTATUS(status));
}
END_TEST

/*
 * Pauses, limits, statistics
 */

static void call(int fd, const char *method, const char *params, const char *expected)
{
	char line[512];
	int len = snprintf(line, sizeof(line),
			   "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{%s}}\n",
			   method, params);

	say(fd, line, (size_t)len);
	expect(fd, expected);
}

static void disk_submit(unsigned int n, uint32_t type)
{
	while (n--) {
		struct fe_blk_req *req = fe_blk_get(&test.blk[0]);

		ck_assert_ptr_nonnull(req);
		req->type = type;
		req->len = DATA_SIZE;
		ck_assert_int_eq(fe_blk_submit(&test.blk[0], req), 0);
	}
}

/* How many come back, until there are n, or within that time. */
static unsigned int disk_reap(unsigned int n, int timeout_ms)
{
	struct fe_blk_req *req;
	unsigned int i;

	for (i = 0; i < n && !fe_blk_reap(&test.blk[0], &req, timeout_ms); i++) {
		ck_assert_int_eq(fe_blk_status(req), VIRTIO_BLK_S_OK);
		fe_blk_put(&test.blk[0], req);
	}
	return i;
}

/* Nothing is served, not even by the next front-end, until it is resumed. */
START_TEST(quiesced)
{
	int fd;

	disk_up((unsigned int)_i);
	fd = client(test.control);
	disk_works();
	call(fd, "quiesce", "", "\"result\":null");
	disk_submit(3, VIRTIO_BLK_T_IN);
	/* By the time of the answers it would have seen them. */
	call(fd, "status", "", "\"quiesced\":true");
	call(fd, "stats", "", "\"outstanding\":0,\"requests\":1,");
	ck_assert_uint_eq(disk_reap(3, 100), 0);
	call(fd, "quiesce", "", "\"result\":null");
	call(fd, "resume", "", "\"result\":null");
	ck_assert_uint_eq(disk_reap(3, TIMEOUT_MS), 3);
	call(fd, "resume", "", "\"result\":null");
	call(fd, "status", "", "\"quiesced\":false");
	close(fd);
	disk_down();
}
END_TEST

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const struct {
	const char *params;
	double rate, burst;		/* requests */
} limits[] = {
	{ "\"iops\":100,\"iops-burst\":1", 100, 1 },
	{ "\"iops\":100,\"iops-burst\":4", 100, 4 },
	/* A request has 4096 bytes of data; the first may come at once, whatever its length. */
	{ "\"bps\":\"400K\",\"bps-burst\":1", 100, 1 },
	{ "\"bps\":\"400K\",\"bps-burst\":8192,\"iops\":1000", 100, 3 },
};

/* It is never faster than allowed, and gets on. */
START_TEST(limited)
{
	unsigned int i = (unsigned int)_i >> 1, done = 0;
	double since, most;
	int fd;

	disk_up((unsigned int)_i & 1);
	fd = client(test.control);
	disk_works();
	since = seconds();
	call(fd, "limits", limits[i].params, "\"result\":{\"iops\":");
	disk_submit(4, VIRTIO_BLK_T_OUT);
	while (done < 24) {
		ck_assert_uint_eq(disk_reap(1, TIMEOUT_MS), 1);
		done++;
		most = limits[i].burst + 1 + limits[i].rate * (seconds() - since);
		ck_assert_msg(done <= most, "%u instead of %f", done, most);
		disk_submit(1, VIRTIO_BLK_T_OUT);
	}
	/* So slow that nothing comes any more; and what waits for that hears of the end. */
	call(fd, "limits", "\"iops\":1,\"bps\":1,\"bps-burst\":1", "\"result\":{");
	disk_reap(4, 200);
	disk_submit(test.blk[0].num_free, VIRTIO_BLK_T_OUT);
	call(fd, "limits", "\"iops\":0,\"bps\":0", "{\"iops\":0,");
	ck_assert_uint_eq(disk_reap(4, TIMEOUT_MS), 4);
	call(fd, "limits", "", "\"bps\":0");
	/* The process ends with a limit, too. */
	call(fd, "limits", limits[i].params, "\"result\":{");
	close(fd);
	disk_down();
}
END_TEST

/* Counters count what was done, and nothing else; a reset lets them begin anew. */
START_TEST(counted)
{
	static const char *const before[] = {
		"\"requests\":9,", "\"reads\":4,\"read_bytes\":16384,\"read_errors\":0,",
		"\"writes\":3,\"write_bytes\":12288,", "\"flushes\":2,", "\"outstanding\":0,",
		"\"oldest_ns\":0,",
	};
	static const char *const after[] = {
		"\"requests\":1,", "\"reads\":1,\"read_bytes\":4096,", "\"writes\":0,", "\"kicks\":1,",
	};
	unsigned int i;
	int fd;

	disk_up((unsigned int)_i);
	fd = client(test.control);
	for (i = 0; i < 4; i++) {
		disk_submit(1, VIRTIO_BLK_T_IN);
		ck_assert_uint_eq(disk_reap(1, TIMEOUT_MS), 1);
	}
	disk_submit(3, VIRTIO_BLK_T_OUT);
	ck_assert_uint_eq(disk_reap(3, TIMEOUT_MS), 3);
	ck_assert_int_eq(fe_blk_flush(&test.blk[0]), 0);
	ck_assert_int_eq(fe_blk_flush(&test.blk[0]), 0);
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		call(fd, "stats", "", before[i]);
	call(fd, "metrics", "", "vhost_user_reads_total{queue=\\\"0\\\"} 4\\n");
	ck_assert_ptr_nonnull(strstr(answer, "latency_seconds_count{queue=\\\"0\\\"} 9\\n"));
	ck_assert_ptr_nonnull(strstr(answer, "le=\\\"+Inf\\\"} 9\\n"));
	ck_assert_ptr_nonnull(strstr(answer, "# EOF\\n\""));
	call(fd, "stats-reset", "", "\"result\":null");
	call(fd, "stats", "", "\"requests\":0,");
	disk_works();
	for (i = 0; i < sizeof(after) / sizeof(after[0]); i++)
		call(fd, "stats", "", after[i]);
	call(fd, "metrics", "", "vhost_user_reads_total{queue=\\\"0\\\"} 5\\n");
	close(fd);
	disk_down();
}
END_TEST

/*
 * Front-ends which owe a word
 */

static int raw_front_end(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", test.socket);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* What it has not read yet may come first. */
static void is_dropped(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLRDHUP };
	char bytes[4096];

	ck_assert_int_eq(poll(&pfd, 1, TIMEOUT_MS), 1);
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
}

/* Messages until there is no more room, since the replies are not read. */
static void fill_socket(int fd, const void *message, size_t len)
{
	unsigned int i, idle;

	for (i = idle = 0; i < 1000000 && idle < 50; i++) {
		if (send(fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len) {
			idle = 0;
			continue;
		}
		/* The daemon may just not have come so far. */
		poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 2);
		idle++;
	}
	ck_assert_uint_eq(idle, 50);
}

/* They make room for the next one; one whose driver has nothing to say does not have to. */
START_TEST(owing)
{
	/* GET_FEATURES: request, flags, size. */
	static const uint32_t message[] = { 1, 1, 0 };
	char reply[20];
	int fd;

	test.timeout_option = "--handshake-timeout=1";
	disk_up(0);
	disk_works();
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = test.fe.fd, .events = POLLIN }, 1, 2500), 0);
	disk_works();
	fe_close(&test.fe);

	is_dropped(raw_front_end());
	fd = raw_front_end();
	ck_assert_int_eq(send(fd, message, sizeof(message), 0), sizeof(message));
	ck_assert_int_eq(recv(fd, reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	ck_assert_int_eq(send(fd, message, 5, 0), 5);
	is_dropped(fd);
	fd = raw_front_end();
	fill_socket(fd, message, sizeof(message));
	is_dropped(fd);

	disk_connect();
	fe_close(&test.fe);
}
END_TEST

/* Beside all this, data is written and read back. */
static void loaded(void)
{
	test.loaded = true;
}

static Suite *control_suite(void)
{
	Suite *s = suite_create("control");
	TCase *tc = tcase_create("abuse");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, loaded, NULL);
	tcase_add_test(tc, senseless_lines);
	tcase_add_test(tc, deep_nesting);
	tcase_add_test(tc, long_lines);
	tcase_add_loop_test(tc, half_lines, 0, 2);
	tcase_add_loop_test(tc, flood, 0, 2);
	tcase_add_loop_test(tc, many_clients, 0, 2);
	tcase_add_test(tc, unwanted_descriptors);
	tcase_add_loop_test(tc, quit, 0, 2);
	suite_add_tcase(s, tc);
	tc = tcase_create("work");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, quiesced, 0, 2);
	tcase_add_loop_test(tc, limited, 0, 8);
	tcase_add_loop_test(tc, counted, 0, 2);
	tcase_add_test(tc, owing);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return tap_main(control_suite());
}
