/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a service manager such as systemd and we say to each other.
 *
 * It hands over sockets that are open already, from file descriptor 3 on (LISTEN_FDS, LISTEN_PID,
 * LISTEN_FDNAMES), and we tell it, by datagrams to NOTIFY_SOCKET, when we are ready, what we are
 * doing, that the loop still turns (WATCHDOG_USEC), and that we are about to end.  Both protocols
 * are a few lines each, so no library is needed.
 *
 * The environment is read once, when nothing has been opened yet, and removed: it was
 * for this process alone.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"
#include "util.h"

#define SYSTEMD_FD 3
#define SYSTEMD_FDS_MAX 64

/* There is one service manager and one environment, so there is one of it. */
static struct {
	const char *names[SYSTEMD_FDS_MAX];	/* within text; NULL: taken, or none */
	unsigned int num_fds;
	char *text;
	int notify_fd;			/* -1: nobody wants to hear of us */
	struct sockaddr_un notify;
	socklen_t notify_len;
	uint64_t watchdog_us;		/* 0: nobody waits for signs of life */
	struct event *watchdog;
} systemd = { .notify_fd = -1 };

/*
 * Environment
 */

/* A decimal number from the environment, at most max; 0: there is none, or it is no good. */
static uint64_t systemd_number(const char *name, uint64_t max)
{
	const char *text = getenv(name);
	unsigned long long n;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	return errno || *end || n > max ? 0 : n;
}

/* Whether what is said is for this process; a variable which is missing: is it, then? */
static bool systemd_is_for_us(const char *pid_name, bool missing)
{
	if (!getenv(pid_name))
		return missing;
	return systemd_number(pid_name, INT32_MAX) == (uint64_t)getpid();
}

/*
 * The names of the sockets, in their order, with colons between; all are unnamed if there are
 * none.
 */
static int systemd_read_names(void)
{
	const char *value = getenv("LISTEN_FDNAMES");
	unsigned int i;
	char *p;

	p = systemd.text = strdup(value ? value : "");
	if (!p)
		return -ENOMEM;
	for (i = 0; i < systemd.num_fds; i++)
		systemd.names[i] = p ? strsep(&p, ":") : "";
	return 0;
}

static int systemd_read_sockets(void)
{
	unsigned int i, n = (unsigned int)systemd_number("LISTEN_FDS", SYSTEMD_FDS_MAX);
	int ret;

	if (!getenv("LISTEN_FDS") || !systemd_is_for_us("LISTEN_PID", false))
		return 0;
	if (!n) {
		daemon_err("LISTEN_FDS=%s: not a number from 1 to %d", getenv("LISTEN_FDS"),
			   SYSTEMD_FDS_MAX);
		return -EINVAL;
	}
	systemd.num_fds = n;
	ret = systemd_read_names();
	for (i = 0; !ret && i < n; i++)
		if (fcntl(SYSTEMD_FD + (int)i, F_SETFD, FD_CLOEXEC))
			ret = -errno;
	if (ret)
		daemon_err("LISTEN_FDS=%u: %s", n, strerror(-ret));
	return ret;
}

/* A path, or the name of an abstract socket with an @ in the place of its first byte. */
static void systemd_read_notify(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un *sun = &systemd.notify;
	size_t len = name ? strlen(name) : 0;

	if (!len)
		return;
	if ((*name != '/' && *name != '@') || len >= sizeof(sun->sun_path)) {
		daemon_err("NOTIFY_SOCKET=%s: not the name of a socket", name);
		return;
	}
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, name, len);
	systemd.notify_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (*name == '@')
		sun->sun_path[0] = '\0';
	else
		systemd.notify_len++;
	systemd.notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (systemd.notify_fd < 0)
		daemon_err("NOTIFY_SOCKET=%s: %s", name, strerror(errno));
	else if (systemd_is_for_us("WATCHDOG_PID", true))
		systemd.watchdog_us = systemd_number("WATCHDOG_USEC", INT64_MAX);
}

int daemon_systemd_open(void)
{
	static const char *const variables[] = {
		"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC",
		"WATCHDOG_PID",
	};
	int ret = systemd_read_sockets();
	size_t i;

	if (!ret)
		systemd_read_notify();
	for (i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	return ret;
}

void daemon_systemd_close(void)
{
	unsigned int i;

	for (i = 0; i < systemd.num_fds; i++)
		if (systemd.names[i])
			close(SYSTEMD_FD + (int)i);
	systemd.num_fds = 0;
	free(systemd.text);
	systemd.text = NULL;
	if (systemd.watchdog)
		event_free(systemd.watchdog);
	systemd.watchdog = NULL;
	close_fd(&systemd.notify_fd);
}

/*
 * Sockets
 */

static int systemd_take(unsigned int i)
{
	systemd.names[i] = NULL;
	return SYSTEMD_FD + (int)i;
}

int daemon_systemd_take(const char *name)
{
	unsigned int i;

	for (i = 0; i < systemd.num_fds; i++)
		if (systemd.names[i] && !strcmp(systemd.names[i], name))
			return systemd_take(i);
	return -ENOENT;
}

int daemon_systemd_take_only(void)
{
	unsigned int i, n = 0, found = 0;

	for (i = 0; i < systemd.num_fds; i++) {
		if (!systemd.names[i])
			continue;
		found = i;
		n++;
	}
	if (!n)
		return -ENOENT;
	return n > 1 ? -E2BIG : systemd_take(found);
}

/*
 * Notification
 */

/* The manager may be slow: only what it must not miss is worth waiting for. */
static void systemd_send(const char *text, int flags)
{
	if (systemd.notify_fd < 0)
		return;
	while (sendto(systemd.notify_fd, text, strlen(text), flags | MSG_NOSIGNAL,
		      (struct sockaddr *)&systemd.notify, systemd.notify_len) < 0) {
		if (errno == EINTR)
			continue;
		daemon_log(VHOST_LOG_DEBUG, "service manager: %s", strerror(errno));
		return;
	}
}

/* On the control worker: the sign comes only if its loop turns. */
static void systemd_alive(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	systemd_send("WATCHDOG=1", MSG_DONTWAIT);
}

static int systemd_start_watchdog(struct event_base *base)
{
	/* Twice as often as must be. */
	const uint64_t us = MAX(systemd.watchdog_us / 2, 1u);
	const struct timeval tv = { .tv_sec = (time_t)(us / 1000000),
				    .tv_usec = (suseconds_t)(us % 1000000) };

	if (!systemd.watchdog_us)
		return 0;
	systemd.watchdog = event_new(base, -1, EV_PERSIST, systemd_alive, NULL);
	return systemd.watchdog && !event_add(systemd.watchdog, &tv) ? 0 : -ENOMEM;
}

int daemon_systemd_ready(struct event_base *base, const char *status)
{
	char text[256];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s", status);
	systemd_send(text, 0);
	return systemd_start_watchdog(base);
}

void daemon_systemd_status(const char *status)
{
	char text[256];

	snprintf(text, sizeof(text), "STATUS=%s", status);
	systemd_send(text, MSG_DONTWAIT);
}

void daemon_systemd_stopping(void)
{
	systemd_send("STOPPING=1\nSTATUS=completing requests", MSG_DONTWAIT);
}
