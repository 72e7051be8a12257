/* SPDX-License-Identifier: BSD-3-Clause */
/* The language of the inputs of target_messages.c, which make_seeds.c writes too. */
#ifndef FUZZ_MESSAGES_H
#define FUZZ_MESSAGES_H

/* Guest memory: 16 pages of one memfd, of which ring i has three, beginning at 3 * i. */
#define MESSAGES_GUEST	(16u * 4096)
#define MESSAGES_GPA	0x100000u
#define MESSAGES_UVA	0x40000000u

#define MESSAGES_FDS_MAX 9u		/* one more than allowed */

/* The first byte of an input: VHOST_DEV_KICK_DISABLED and _IN_ORDER; then follow these. */
enum messages_op {
	MESSAGES_RAW,			/* u8 request, u8 flags, u16 size, u8 nfds, payload, kinds */
	MESSAGES_SHAPED,		/* u8 request, u8 how, u8 index, rest of the payload */
	MESSAGES_BYTES,			/* u8 count, bytes */
	MESSAGES_MEMORY,		/* u16 offset, u8 count, bytes */
	MESSAGES_KICK,			/* u8 which */
	MESSAGES_RUN,
	MESSAGES_TURN,
	MESSAGES_DEVICE,		/* u8 what, u8 n, more */
	MESSAGES_RECEIVE,
	MESSAGES_BACK,			/* u8 count, bytes */
	MESSAGES_CUT,			/* u16 bytes */
	MESSAGES_TRUNCATE,		/* u8 pages */
	MESSAGES_CONNECT,
	MESSAGES_ANSWER,		/* u8 how: to a message on the back-end channel */
	MESSAGES_PIPE,			/* u8 bytes to write to the latest pipe; 0: close, 0xff: read */
	MESSAGES_OPS
};

enum messages_fd {
	MESSAGES_FD_GUEST,
	MESSAGES_FD_MEMFD,		/* 4096 << (kind >> 4) bytes */
	MESSAGES_FD_EVENT,		/* 0x80: blocking */
	MESSAGES_FD_PIPE_READ,
	MESSAGES_FD_PIPE_WRITE,
	MESSAGES_FD_SOCKET,
	MESSAGES_FD_SHORT,
	MESSAGES_FD_NULL,
	MESSAGES_FD_INFLIGHT,		/* what the device has made last */
	MESSAGES_FD_EPOLL,
	MESSAGES_FD_KINDS
};

#endif /* FUZZ_MESSAGES_H */
