/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back-end which does not do what it should, for tests of tools.
 *
 * usage: bad_backend SOCKET MODE
 *
 *   deaf     accepts a connection, and reads nothing
 *   hang     reads all messages, and answers none
 *   leave    ends each connection
 *   short    ends each connection in the middle of an answer
 *   liar     answers with the number of another message
 *   flags    answers with flags that no reply has
 *   empty    offers nothing at all
 *   late     answers GET_FEATURES, and then hangs
 *   idle     answers and acknowledges all it can, and serves no ring
 *
 * The others do so, too, and serve split rings with memory of one region:
 *
 *   alien    gives back what the ring does not have
 *   twice    gives each request back twice
 *   long     says that it has written more than there was room for
 *   mute     gives requests back without status
 *   jump     says that it has used more than the ring holds
 *   dies     ends the connection when it is kicked
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libvhost/spec.h"
#include "tests/tools/bad_ring.h"

/* VIRTIO 1 and protocol features, and what a disk has. */
#define FEATURES (UINT64_C(1) << 32 | UINT64_C(1) << 30 | UINT64_C(1) << 9)
#define PROTOCOL (1u << VU_PROTOCOL_F_MQ | 1u << VU_PROTOCOL_F_REPLY_ACK | \
		  1u << VU_PROTOCOL_F_CONFIG)

static const char *mode;

static int is(const char *name)
{
	return !strcmp(mode, name);
}

static void bad_reply(int fd, const struct vu_header *hdr, const void *payload, uint32_t size)
{
	struct {
		struct vu_header hdr;
		uint8_t payload[300];
	} __attribute__((packed)) m = { .hdr = *hdr };
	size_t len = sizeof(m.hdr) + size;

	m.hdr.flags = is("flags") ? 0xff : VU_VERSION | VU_REPLY;
	m.hdr.request += is("liar");
	m.hdr.size = size;
	memcpy(m.payload, payload, size);
	if (is("short"))
		len -= 3;
	if (send(fd, &m, len, MSG_NOSIGNAL) < 0)
		return;
}

static void bad_answer(int fd, const struct vu_header *hdr, const void *payload)
{
	uint64_t value = 0;

	switch (hdr->request) {
	case VU_GET_FEATURES:
		value = is("empty") ? 0 : FEATURES;
		break;
	case VU_GET_PROTOCOL_FEATURES:
		value = PROTOCOL;
		break;
	case VU_GET_QUEUE_NUM:
		value = 1;
		break;
	case VU_GET_CONFIG:
		/* A disk of many sectors. */
		bad_reply(fd, hdr, payload, hdr->size);
		return;
	case VU_GET_VRING_BASE:
		bad_reply(fd, hdr, payload, sizeof(struct vu_vring_state));
		return;
	default:
		if (!(hdr->flags & VU_NEED_REPLY))
			return;
	}
	bad_reply(fd, hdr, &value, sizeof(value));
}

/* The header, and the descriptor which came with it; -1: none. */
static int bad_header(int fd, struct vu_header *hdr, int *passed)
{
	struct iovec iov = { .iov_base = hdr, .iov_len = sizeof(*hdr) };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*passed = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	return got == (ssize_t)sizeof(*hdr);
}

/* One message; 0 when there is no more. */
static int bad_message(int fd)
{
	struct vu_header hdr;
	uint8_t payload[4096];
	uint64_t size = 16 * 1024;
	int passed, ok = bad_header(fd, &hdr, &passed);

	ok = ok && hdr.size <= sizeof(payload) &&
	     (!hdr.size || recv(fd, payload, hdr.size, MSG_WAITALL) == (ssize_t)hdr.size);
	if (ok && bad_ring_serves(mode))
		bad_ring_message(&hdr, payload, passed);
	else if (passed >= 0)
		close(passed);
	if (!ok)
		return 0;
	if (hdr.request == VU_GET_CONFIG && hdr.size >= VU_CONFIG_HEADER + sizeof(size))
		memcpy(payload + VU_CONFIG_HEADER, &size, sizeof(size));
	if (is("hang") || (is("late") && hdr.request != VU_GET_FEATURES))
		return 1;
	bad_answer(fd, &hdr, payload);
	return !is("short");
}

/* A message, or a kick; 0: it is over. */
static int bad_event(int fd)
{
	struct pollfd pfds[] = {
		{ .fd = fd, .events = POLLIN }, { .fd = bad_ring_kick_fd(), .events = POLLIN },
	};

	if (poll(pfds, 2, -1) < 0)
		return 0;
	if (pfds[0].revents)
		return bad_message(fd);
	return !pfds[1].revents || bad_ring_kicked(mode);
}

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;

	if (argc != 3 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return 2;
	mode = argv[2];
	strcpy(addr.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 8)) {
		perror(argv[1]);
		return 1;
	}
	for (;;) {
		conn = accept(fd, NULL, NULL);
		if (conn < 0)
			return 1;
		if (is("deaf"))
			pause();
		while (!is("leave") && bad_event(conn))
			;
		bad_ring_reset();
		close(conn);
	}
}
