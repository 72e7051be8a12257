/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One framed message with its file descriptors.
 *
 * Descriptors belong to the first byte of a message; there is room for as many as the
 * kernel can send at once, so that too many are noticed by their number rather than
 * by truncation.  Whatever goes wrong, each descriptor received is closed.
 */
#include "msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "iov.h"
#include "util.h"

/* The kernel's SCM_MAX_FD */
#define MSG_FDS_KERNEL 253

int msg_take_fd(struct msg *msg)
{
	int fd = msg->nfds ? msg->fds[0] : -1;

	if (msg->nfds)
		msg->fds[0] = -1;
	return fd;
}

void msg_close_fds(struct msg *msg)
{
	while (msg->nfds)
		close_fd(&msg->fds[--msg->nfds]);
}

/* Move the descriptors of one control message into msg; false: there are too many. */
static bool msg_keep_fds(struct msg *msg, struct cmsghdr *cmsg)
{
	size_t i, n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	bool fits = true;
	int fd;

	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
		if (msg->nfds < VU_FDS_MAX) {
			msg->fds[msg->nfds++] = fd;
		} else {
			close_fd(&fd);
			fits = false;
		}
	}
	return fits;
}

static const char *msg_keep_control(struct msg *msg, struct msghdr *mh, bool first)
{
	struct cmsghdr *cmsg;
	bool fits = true;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
			fits &= msg_keep_fds(msg, cmsg);
	}
	if (mh->msg_flags & MSG_CTRUNC)
		return "file descriptors were lost";
	if (!fits)
		return "too many file descriptors";
	if (!first && mh->msg_controllen)
		return "file descriptors behind the first byte of a message";
	return NULL;
}

/* Receive up to len bytes to buf; the number, or negative. */
static ssize_t msg_receive_part(struct msg *msg, int fd, void *buf, size_t len, bool first,
				const char **why)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MSG_FDS_KERNEL * sizeof(int))];
	} control;
	struct iovec iov = { buf, len };
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;

	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	*why = msg_keep_control(msg, &mh, first);
	return *why ? -EPROTO : n;
}

/* The header is complete: does it make sense? */
static const char *msg_check_header(const struct vu_header *h, bool reply)
{
	if ((h->flags & VU_VERSION_MASK) != VU_VERSION)
		return "a message of another protocol version";
	if (!!(h->flags & VU_REPLY) != reply)
		return reply ? "a message which is no reply" : "a reply to nothing";
	if (h->flags & ~VU_FLAGS_KNOWN)
		return "a message with unknown flags";
	if (h->size > VU_PAYLOAD_MAX)
		return "a message which is too long";
	return NULL;
}

/* The piece which is missing next: of the header, then of the payload. */
static size_t msg_missing(struct msg_stream *in, void **buf)
{
	const size_t header = sizeof(in->msg.header);

	if (in->done < header) {
		*buf = (uint8_t *)&in->msg.header + in->done;
		return header - in->done;
	}
	*buf = in->msg.payload.bytes + (in->done - header);
	return header + in->msg.header.size - in->done;
}

int msg_receive(struct msg_stream *in, int fd, const char **why)
{
	size_t missing;
	ssize_t n;
	void *buf;

	*why = NULL;
	while ((missing = msg_missing(in, &buf))) {
		n = msg_receive_part(&in->msg, fd, buf, missing, !in->done, why);
		if (n < 0)
			return (int)n;
		if (!n && in->done)
			*why = "the end within a message";
		if (!n)
			return in->done ? -EPROTO : 0;
		in->done += (size_t)n;
		if (in->done == sizeof(in->msg.header))
			*why = msg_check_header(&in->msg.header, in->replies);
		if (*why)
			return -EPROTO;
	}
	return 1;
}

/* Room for the message's descriptors, which go with the first byte. */
union msg_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(VU_FDS_MAX * sizeof(int))];
};

static void msg_attach_fds(const struct msg *msg, struct msghdr *mh, union msg_control *control)
{
	struct cmsghdr *cmsg;

	memset(control, 0, sizeof(*control));
	mh->msg_control = control->space;
	mh->msg_controllen = CMSG_SPACE(msg->nfds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(mh);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(msg->nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), msg->fds, msg->nfds * sizeof(int));
}

int msg_send(struct msg_stream *out, int fd)
{
	const struct iovec whole[2] = {
		{ &out->msg.header, sizeof(out->msg.header) },
		{ &out->msg.payload, out->msg.header.size },
	};
	size_t len = sizeof(out->msg.header) + out->msg.header.size;
	union msg_control control;
	struct iovec rest[2];
	ssize_t n;

	while (out->done < len) {
		struct msghdr mh = { .msg_iov = rest };

		mh.msg_iovlen = iov_slice(rest, 2, whole, 2, out->done, len - out->done);
		if (!out->done && out->msg.nfds)
			msg_attach_fds(&out->msg, &mh, &control);
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		out->done += (size_t)n;
	}
	return 0;
}
