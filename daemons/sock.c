/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where front-ends come from: a socket of our own at --socket-path, or one which was given to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "internal.h"

static int sock_option(int fd, int name, int *value)
{
	socklen_t len = sizeof(*value);

	return getsockopt(fd, SOL_SOCKET, name, value, &len) ? -errno : 0;
}

static bool sock_is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return !getpeername(fd, (struct sockaddr *)&peer, &len);
}

/* Why we cannot serve on fd, or NULL; whether it listens. */
static const char *sock_check(int fd, bool *listening)
{
	int domain, type, accepts, ret = sock_option(fd, SO_DOMAIN, &domain);

	if (ret == -EBADF)
		return "no such file descriptor";
	if (ret || sock_option(fd, SO_TYPE, &type) || sock_option(fd, SO_ACCEPTCONN, &accepts))
		return "not a socket";
	if (domain != AF_UNIX || type != SOCK_STREAM)
		return "not a Unix stream socket";
	*listening = accepts;
	if (!accepts && !sock_is_connected(fd))
		return "neither listening nor connected";
	return NULL;
}

int daemon_sock_adopt(struct daemon_sock *sock, const char *source, int fd)
{
	const char *why = sock_check(fd, &sock->listening);

	if (!why && fcntl(fd, F_SETFD, FD_CLOEXEC))
		why = strerror(errno);
	if (why) {
		daemon_err("%s=%d: %s", source, fd, why);
		return -EINVAL;
	}
	sock->fd = fd;
	return 0;
}

static const char *sock_reason(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "another process listens there";
	case EEXIST:
		return "there is something which is not a socket";
	case ENAMETOOLONG:
		return "too long for a socket";
	default:
		return strerror(err);
	}
}

/* Who may connect is said by the umask, as it is for files. */
static mode_t sock_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

int daemon_sock_listen(struct daemon_sock *sock, const char *option, const char *path)
{
	struct stat st;
	int fd;

	if (!path)
		return 0;
	fd = vhost_listen_unix(path, sock_mode());
	if (fd < 0) {
		daemon_err("--%s=%s: %s", option, path, sock_reason(-fd));
		return fd;
	}
	sock->fd = fd;
	sock->listening = true;
	if (!lstat(path, &st)) {
		sock->path = path;
		sock->dev = st.st_dev;
		sock->ino = st.st_ino;
	}
	return 0;
}

/* The path to which it is bound; false: to none. */
static bool sock_path(int fd, struct sockaddr_un *addr)
{
	socklen_t len = sizeof(*addr);

	memset(addr, 0, sizeof(*addr));
	return fd >= 0 && !getsockname(fd, (struct sockaddr *)addr, &len) &&
	       len > offsetof(struct sockaddr_un, sun_path) && *addr->sun_path;
}

void daemon_sock_name(const struct daemon_sock *sock, const char *path, const char *otherwise,
		      char *name, size_t size)
{
	/* With a NUL behind it in any case. */
	union {
		struct sockaddr_un un;
		char room[sizeof(struct sockaddr_un) + 1];
	} addr = { .room = { 0 } };
	const char *base = path ? path : sock_path(sock->fd, &addr.un) ? addr.un.sun_path : otherwise;
	size_t len;

	if (strrchr(base, '/'))
		base = strrchr(base, '/') + 1;
	len = strlen(base);
	if (len > 5 && !strcmp(base + len - 5, ".sock"))
		len -= 5;
	snprintf(name, size, "%.*s", (int)len, base);
}

void daemon_sock_remove(struct daemon_sock *sock)
{
	struct stat st;

	/* Somebody may have put his own socket there meanwhile. */
	if (sock->path && !lstat(sock->path, &st) && st.st_dev == sock->dev &&
	    st.st_ino == sock->ino)
		unlink(sock->path);
	sock->path = NULL;
}
