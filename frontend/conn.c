/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections: sockets, and whole messages with file descriptors over them. */
#include "config.h"

#include "frontend/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frontend/deadline.h"

#define CONN_FDS_SPACE	CMSG_SPACE(FE_FDS_MAX * sizeof(int))

/* How long to wait before trying again to connect. */
#define CONN_RETRY_MS	2

/* The peer is gone, by whichever way the kernel says so. */
static int conn_errno(void)
{
	return errno == EPIPE ? -ECONNRESET : -errno;
}

int fe_conn_poll(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int n;

	do {
		n = poll(&pfd, 1, fe_deadline_left(deadline));
	} while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : -ETIMEDOUT;
}

static bool conn_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Attach fds to what is to be sent.  buf has CONN_FDS_SPACE bytes. */
static void conn_put_fds(struct msghdr *mh, void *buf, const int *fds, unsigned int nfds)
{
	struct cmsghdr *cmsg;

	mh->msg_control = buf;
	mh->msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
}

/* Send what fits; the first byte takes the fds along. */
static ssize_t conn_send_some(int fd, struct iovec *iov, size_t cnt, const int *fds,
			      unsigned int nfds)
{
	_Alignas(struct cmsghdr) char control[CONN_FDS_SPACE] = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = cnt };

	if (nfds)
		conn_put_fds(&mh, control, fds, nfds);
	return sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Send it all.  iov is used up. */
static int conn_sendv(int fd, int timeout_ms, struct iovec *iov, size_t cnt, const int *fds,
		      unsigned int nfds)
{
	int64_t deadline = fe_deadline(timeout_ms);
	ssize_t n;
	int err;

	if (nfds > FE_FDS_MAX)
		return -EINVAL;
	while (cnt) {
		n = conn_send_some(fd, iov, cnt, fds, nfds);
		if (n < 0 && !conn_again())
			return conn_errno();
		if (n < 0) {
			err = fe_conn_poll(fd, POLLOUT, deadline);
			if (err)
				return err;
			continue;
		}
		nfds = 0;
		for (; cnt && (size_t)n >= iov->iov_len; cnt--)
			n -= (ssize_t)iov++->iov_len;
		if (cnt) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int fe_conn_send(int fd, int timeout_ms, const struct vu_header *hdr, const void *payload,
		 size_t len, const int *fds, unsigned int nfds)
{
	struct vu_header copy = *hdr;
	struct iovec iov[2] = {
		{ .iov_base = &copy, .iov_len = sizeof(copy) },
		{ .iov_base = (void *)(uintptr_t)payload, .iov_len = len },
	};

	return conn_sendv(fd, timeout_ms, iov, len ? 2 : 1, fds, nfds);
}

/* Add the fds which came along; false: there were more than we have room for. */
static bool conn_take_fds(struct fe_msg *msg, struct msghdr *mh)
{
	bool fit = !(mh->msg_flags & MSG_CTRUNC);
	struct cmsghdr *cmsg;
	size_t n, i;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (msg->nfds < FE_FDS_MAX) {
				msg->fds[msg->nfds++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* Receive len bytes into buf, and fds into msg.  -ENODATA: the stream ends before them. */
static int conn_read(int fd, void *buf, size_t len, struct fe_msg *msg, int64_t deadline)
{
	_Alignas(struct cmsghdr) char control[CONN_FDS_SPACE];
	size_t done = 0;
	ssize_t n;
	int err;

	while (done < len) {
		struct iovec iov = { .iov_base = (char *)buf + done, .iov_len = len - done };
		struct msghdr mh = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};

		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && !conn_again())
			return conn_errno();
		if (n < 0) {
			err = fe_conn_poll(fd, POLLIN, deadline);
			if (err)
				return err;
			continue;
		}
		if (!conn_take_fds(msg, &mh))
			return -EPROTO;
		if (!n)
			return done ? -EPROTO : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

int fe_conn_recv(int fd, int timeout_ms, struct fe_msg *msg)
{
	int64_t deadline = fe_deadline(timeout_ms);
	int err;

	msg->nfds = 0;
	err = conn_read(fd, &msg->hdr, sizeof(msg->hdr), msg, deadline);
	if (!err && msg->hdr.size > sizeof(msg->u))
		err = -EPROTO;
	if (!err) {
		err = conn_read(fd, &msg->u, msg->hdr.size, msg, deadline);
		if (err == -ENODATA)
			err = -EPROTO;
	}
	if (err)
		fe_msg_close(msg);
	return err == -ENODATA ? -ECONNRESET : err;
}

void fe_msg_close(struct fe_msg *msg)
{
	while (msg->nfds)
		close(msg->fds[--msg->nfds]);
}

int fe_send_bytes(struct fe *fe, const void *buf, size_t len, const int *fds, unsigned int nfds)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };

	return conn_sendv(fe->fd, fe->timeout_ms, &iov, 1, fds, nfds);
}

int fe_send_raw(struct fe *fe, const struct vu_header *hdr, const void *payload, size_t len,
		const int *fds, unsigned int nfds)
{
	return fe_conn_send(fe->fd, fe->timeout_ms, hdr, payload, len, fds, nfds);
}

int fe_recv_raw(struct fe *fe, struct fe_msg *msg)
{
	return fe_conn_recv(fe->fd, fe->timeout_ms, msg);
}

int fe_wait_closed(struct fe *fe)
{
	struct fe_msg msg;
	int err = fe_recv_raw(fe, &msg);

	if (!err) {
		fe_msg_close(&msg);
		return -EPROTO;
	}
	return err == -ECONNRESET ? 0 : err;
}

void fe_attach(struct fe *fe, int fd)
{
	*fe = (struct fe){ .fd = fd, .backend_fd = -1, .timeout_ms = FE_TIMEOUT_MS };
}

int fe_pair(struct fe *fe, int *other)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	fe_attach(fe, fds[0]);
	*other = fds[1];
	return 0;
}

/* Try once; non-blocking, since the listener's queue may be full. */
static int conn_try(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int fe_connect_within(struct fe *fe, const char *path, int timeout_ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int64_t deadline = fe_deadline(timeout_ms);
	int fd;

	fe_attach(fe, -1);
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	for (;;) {
		fd = conn_try(&addr);
		if (fd >= 0)
			break;
		/* Nobody has made it, nobody listens yet, or its queue is full. */
		if (fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN)
			return fd;
		if (!fe_deadline_left(deadline))
			return timeout_ms ? -ETIMEDOUT : fd;
		poll(NULL, 0, CONN_RETRY_MS);
	}
	fe->fd = fd;
	return 0;
}

int fe_connect(struct fe *fe, const char *path)
{
	return fe_connect_within(fe, path, FE_TIMEOUT_MS);
}

void fe_close(struct fe *fe)
{
	if (fe->fd >= 0)
		close(fe->fd);
	if (fe->backend_fd >= 0)
		close(fe->backend_fd);
	fe->fd = fe->backend_fd = -1;
}
