/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pipes and sockets of the peer's.
 *
 * The peer shares their O_NONBLOCK with us and could take it away at any time; RWF_NOWAIT
 * is ours alone, where the kernel has it.
 */
#include "pipe.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

bool fd_is_pipe(int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

ssize_t pipe_read(int fd, void *buf, size_t len)
{
	struct iovec iov = { buf, len };
	ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

	return n < 0 && errno == EOPNOTSUPP ? read(fd, buf, len) : n;
}

static ssize_t pipe_write_now(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)buf, len };
	ssize_t n = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);

	return n < 0 && errno == EOPNOTSUPP ? write(fd, buf, len) : n;
}

/* How the program treats SIGPIPE is its own business. */
ssize_t pipe_write(int fd, const void *buf, size_t len)
{
	static const struct timespec at_once;
	sigset_t pipe, old, pending;
	ssize_t n;
	int err;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	n = pipe_write_now(fd, buf, len);
	err = errno;
	if (n < 0 && err == EPIPE && !sigismember(&pending, SIGPIPE))
		sigtimedwait(&pipe, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return n;
}
