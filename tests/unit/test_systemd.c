/* SPDX-License-Identifier: BSD-3-Clause */
/* The service manager's protocols: names of sockets, the environment, and signs of life. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemons/internal.h"
#include "tests/tap.h"

static const char *const variables[] = {
	"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
};

/* Each test has its own process, where these numbers are free to be taken. */
static void pass(unsigned int n, const char *names)
{
	char text[16];
	int null = open("/dev/null", O_RDONLY);
	unsigned int i;

	ck_assert_int_ge(null, 0);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(dup2(null, 3 + (int)i), 3 + (int)i);
	snprintf(text, sizeof(text), "%d", getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%u", n);
	setenv("LISTEN_FDS", text, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	ck_assert_int_eq(daemon_systemd_open(), 0);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

START_TEST(by_name)
{
	pass(3, "disk:control:disk");
	ck_assert_int_eq(daemon_systemd_take("metrics"), -ENOENT);
	ck_assert_int_eq(daemon_systemd_take_only(), -E2BIG);
	ck_assert_int_eq(daemon_systemd_take("control"), 4);
	ck_assert_int_eq(daemon_systemd_take("control"), -ENOENT);
	ck_assert_int_eq(daemon_systemd_take("disk"), 3);
	ck_assert_int_eq(daemon_systemd_take_only(), 5);
	ck_assert_int_eq(daemon_systemd_take_only(), -ENOENT);
	daemon_systemd_close();
	ck_assert(is_open(3) && is_open(4) && is_open(5));
	ck_assert_int_eq(fcntl(5, F_GETFD), FD_CLOEXEC);
}
END_TEST

START_TEST(fewer_names_than_sockets)
{
	pass(2, "disk");
	ck_assert_int_eq(daemon_systemd_take("disk"), 3);
	ck_assert_int_eq(daemon_systemd_take_only(), 4);
	daemon_systemd_close();
}
END_TEST

START_TEST(what_nobody_takes_is_closed)
{
	pass(2, NULL);
	daemon_systemd_close();
	ck_assert(!is_open(3) && !is_open(4));
}
END_TEST

START_TEST(the_environment_is_removed)
{
	size_t i;

	setenv("NOTIFY_SOCKET", "/nowhere", 1);
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	pass(1, "disk");
	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		ck_assert_ptr_null(getenv(variables[i]));
	daemon_systemd_close();
}
END_TEST

/* The socket of a manager; its name goes to the environment. */
static int manager(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	/* The kernel chooses an abstract name. */
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	addr.sun_path[0] = '@';
	setenv("NOTIFY_SOCKET", addr.sun_path, 1);
	return fd;
}

/* The next thing which it hears, "" if nothing. */
static const char *heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

/* A loop which is stuck gives no sign, however late it is. */
START_TEST(signs_of_life_come_from_the_loop)
{
	struct event_base *base = event_base_new();
	int fd = manager();

	setenv("WATCHDOG_USEC", "2", 1);
	ck_assert_int_eq(daemon_systemd_open(), 0);
	ck_assert_int_eq(daemon_systemd_ready(base, "well"), 0);
	ck_assert_str_eq(heard(fd), "READY=1\nSTATUS=well");
	ck_assert_str_eq(heard(fd), "");
	event_base_loop(base, EVLOOP_ONCE);
	ck_assert_str_eq(heard(fd), "WATCHDOG=1");
	daemon_systemd_status("better");
	ck_assert_str_eq(heard(fd), "STATUS=better");
	daemon_systemd_close();
	daemon_systemd_status("nobody hears it");
	ck_assert_str_eq(heard(fd), "");
	event_base_free(base);
	close(fd);
}
END_TEST

START_TEST(no_watchdog_no_wakeups)
{
	struct event_base *base = event_base_new();
	int fd = manager();

	ck_assert_int_eq(daemon_systemd_open(), 0);
	ck_assert_int_eq(daemon_systemd_ready(base, "well"), 0);
	/* There is no event to wait for. */
	ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 1);
	daemon_systemd_close();
	event_base_free(base);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tc = tcase_create("systemd");
	size_t i;

	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	tcase_add_test(tc, by_name);
	tcase_add_test(tc, fewer_names_than_sockets);
	tcase_add_test(tc, what_nobody_takes_is_closed);
	tcase_add_test(tc, the_environment_is_removed);
	tcase_add_test(tc, signs_of_life_come_from_the_loop);
	tcase_add_test(tc, no_watchdog_no_wakeups);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
