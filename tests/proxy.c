/* SPDX-License-Identifier: BSD-3-Clause */
/* Between a front-end and a device. */
#include "proxy.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

union proxy_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(PROXY_FDS_MAX * sizeof(int))];
};

/* Receive up to len bytes and the fds which come along; all of them if whole. */
static ssize_t proxy_receive(int fd, void *buf, size_t len, bool whole, struct proxy_msg *msg)
{
	union proxy_control control;
	struct iovec iov = { buf, len };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.space, .msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC | (whole ? MSG_WAITALL : 0));
	struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;

	msg->nfds = 0;
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return n;
	msg->nfds = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(msg->fds, CMSG_DATA(cmsg), msg->nfds * sizeof(int));
	return n;
}

static bool proxy_send(int fd, const void *buf, size_t len, const struct proxy_msg *msg)
{
	union proxy_control control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (msg->nfds) {
		mh.msg_control = control.space;
		mh.msg_controllen = CMSG_SPACE(msg->nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(msg->nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), msg->fds, msg->nfds * sizeof(int));
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == (ssize_t)len;
}

static void proxy_close_fds(struct proxy_msg *msg)
{
	while (msg->nfds)
		close(msg->fds[--msg->nfds]);
}

/* One message of the front-end's.  False: it was the last one. */
static bool proxy_forward(struct proxy *p)
{
	struct proxy_msg msg, rest;
	size_t len = sizeof(msg.header);
	bool last = p->messages == p->cut_after, ok;

	if (proxy_receive(p->front_fd, &msg.header, len, true, &msg) != (ssize_t)len)
		return false;
	len += msg.header.size;
	ok = msg.header.size <= sizeof(msg.payload) &&
	     (!msg.header.size || proxy_receive(p->front_fd, msg.payload, msg.header.size, true,
						&rest) == (ssize_t)msg.header.size);
	if (ok && p->seen)
		p->seen(p->arg, &msg);
	if (last)
		len = MIN(len, p->cut_bytes);
	/* Header and payload lie one behind the other. */
	ok = ok && (!len || proxy_send(p->back_fd, &msg, len, &msg));
	proxy_close_fds(&msg);
	p->cut = last;
	p->messages += ok && !last;
	return ok && !last;
}

static bool proxy_return(struct proxy *p)
{
	char buf[VU_PAYLOAD_MAX];
	struct proxy_msg msg;
	ssize_t n = proxy_receive(p->back_fd, buf, sizeof(buf), false, &msg);
	bool ok = n > 0 && proxy_send(p->front_fd, buf, (size_t)n, &msg);

	proxy_close_fds(&msg);
	return ok;
}

static void *proxy_run(void *arg)
{
	struct proxy *p = arg;
	struct pollfd fds[2] = {
		{ .fd = p->front_fd, .events = POLLIN }, { .fd = p->back_fd, .events = POLLIN },
	};
	bool ok = true;

	while (ok) {
		if (poll(fds, 2, -1) < 0)
			break;
		if (fds[1].revents)
			ok = proxy_return(p);
		else if (fds[0].revents)
			ok = proxy_forward(p);
	}
	close_fd(&p->front_fd);
	close_fd(&p->back_fd);
	return NULL;
}

int proxy_start(struct proxy *p)
{
	p->messages = 0;
	p->cut = false;
	return -pthread_create(&p->thread, NULL, proxy_run, p);
}

void proxy_join(struct proxy *p)
{
	pthread_join(p->thread, NULL);
}
