/* SPDX-License-Identifier: BSD-3-Clause */
/* A listening Unix socket, where a stale one may be in the way. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvhost.h"
#include "util.h"

static int unix_address(struct sockaddr_un *addr, const char *path)
{
	size_t len = strlen(path);

	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!len)
		return -EINVAL;
	if (len >= sizeof(addr->sun_path))
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, path, len);
	return 0;
}

/* Remove what is at addr if it is a socket which nobody listens on. */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, ret = 0;

	if (lstat(addr->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: somebody listens whose backlog is full. */
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		ret = -EADDRINUSE;
	else if (errno != ECONNREFUSED || unlink(addr->sun_path))
		ret = -errno;
	close_fd(&fd);
	return ret;
}

int vhost_listen_unix(const char *path, mode_t mode)
{
	struct sockaddr_un addr;
	int fd, ret = unix_address(&addr, path);

	if (!ret)
		ret = remove_stale(&addr);
	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The mode of the socket is that of its file; nobody can connect before listen(). */
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr))) {
		ret = -errno;
		close_fd(&fd);
		return ret;
	}
	if (chmod(path, mode) || listen(fd, SOMAXCONN)) {
		ret = -errno;
		unlink(path);
		close_fd(&fd);
		return ret;
	}
	return fd;
}
