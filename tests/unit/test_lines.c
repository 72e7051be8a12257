/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients who send lines, when there are as many as there may be. */
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemons/lines.h"
#include "tests/tap.h"

static struct event_base *base;
static struct lines_server *server;
static struct sockaddr_un addr;
static socklen_t addr_len;

/* Those whose answer takes time, in the order in which they asked. */
static struct lines_client *waiting[2 * LINES_CLIENTS_MAX];
static unsigned int num_waiting;

static void line(struct lines_client *client, char *text, size_t len)
{
	(void)len;
	if (!strcmp(text, "later")) {
		waiting[num_waiting++] = client;
		lines_wait(client);
		return;
	}
	lines_write(client, "now\n", 4);
}

static const struct lines_ops ops = { .line = line };

static int stream(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	return fd;
}

static void up(void)
{
	const struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
	int fd = stream();

	addr_len = sizeof(addr);
	ck_assert(!bind(fd, (const struct sockaddr *)&unnamed, sizeof(unnamed.sun_family)));
	ck_assert(!listen(fd, 100));
	ck_assert(!getsockname(fd, (struct sockaddr *)&addr, &addr_len));
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	ck_assert_int_eq(lines_server_new(&server, base, fd, &ops, NULL), 0);
}

static void down(void)
{
	lines_server_free(server);
	event_base_free(base);
}

/* Until there is nothing more to do; for ever, if something is done again and again. */
static void work(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* A client who asks. */
static int ask(const char *text)
{
	int fd = stream();

	ck_assert(!connect(fd, (const struct sockaddr *)&addr, addr_len));
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	return fd;
}

static bool has_heard(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0);
}

static void hears(int fd, const char *text)
{
	char buf[16] = "";

	ck_assert(has_heard(fd));
	ck_assert_int_eq(recv(fd, buf, strlen(text), MSG_DONTWAIT), strlen(text));
	ck_assert_str_eq(buf, text);
}

static void answer(unsigned int i)
{
	lines_write(waiting[i], "then\n", 5);
	lines_go_on(waiting[i]);
}

/* All places are taken by clients whose lines are in work; and one more has come. */
static int fill(int fds[LINES_CLIENTS_MAX])
{
	unsigned int i;
	int late;

	up();
	for (i = 0; i < LINES_CLIENTS_MAX; i++)
		fds[i] = ask("later\n");
	work();
	ck_assert_uint_eq(num_waiting, LINES_CLIENTS_MAX);
	late = ask("x\n");
	work();
	return late;
}

/* Nobody whose line is in work is sent away, and nobody who comes meanwhile; nor is the loop busy. */
START_TEST(who_comes_while_all_wait_waits)
{
	int fds[LINES_CLIENTS_MAX], late;
	unsigned int i;

	late = fill(fds);
	ck_assert(!has_heard(late));
	answer(3);
	work();
	/* His place is taken now, but he has his answer. */
	hears(fds[3], "then\n");
	ck_assert_int_eq(recv(fds[3], &i, 1, MSG_DONTWAIT), 0);
	hears(late, "now\n");
	for (i = 0; i < LINES_CLIENTS_MAX; i++) {
		if (i != 3)
			answer(i);
	}
	work();
	for (i = 0; i < LINES_CLIENTS_MAX; i++) {
		if (i != 3)
			hears(fds[i], "then\n");
		close(fds[i]);
	}
	close(late);
	down();
}
END_TEST

/* As who has been answered, one who leaves makes room. */
START_TEST(who_leaves_makes_room)
{
	int fds[LINES_CLIENTS_MAX], late;
	unsigned int i;

	late = fill(fds);
	close(fds[0]);
	/* That is seen when his line has been done. */
	answer(0);
	work();
	hears(late, "now\n");
	for (i = 1; i < LINES_CLIENTS_MAX; i++)
		close(fds[i]);
	close(late);
	down();
}
END_TEST

/* Of those who have nothing in work the one goes who was idle longest. */
START_TEST(idle_ones_go)
{
	int fds[LINES_CLIENTS_MAX + 1];
	unsigned int i;

	up();
	for (i = 0; i < LINES_CLIENTS_MAX; i++) {
		fds[i] = ask(i == 0 ? "later\n" : "x\n");
		work();
	}
	ck_assert_int_eq(send(fds[1], "x\n", 2, MSG_NOSIGNAL), 2);
	work();
	fds[i] = ask("x\n");
	work();
	hears(fds[1], "now\nnow\n");
	for (i = 1; i <= LINES_CLIENTS_MAX; i++) {
		if (i != 1)
			hears(fds[i], "now\n");
		ck_assert_int_eq(has_heard(fds[i]), i == 2);
	}
	ck_assert(!has_heard(fds[0]));
	for (i = 0; i <= LINES_CLIENTS_MAX; i++)
		close(fds[i]);
	down();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lines");
	TCase *tc = tcase_create("lines");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, who_comes_while_all_wait_waits);
	tcase_add_test(tc, who_leaves_makes_room);
	tcase_add_test(tc, idle_ones_go);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
