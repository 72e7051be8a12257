/* SPDX-License-Identifier: BSD-3-Clause */
/* One framed message with its file descriptors, to and from a socket. */
#ifndef VHOST_MSG_H
#define VHOST_MSG_H

#include <stdbool.h>
#include <stddef.h>

#include "spec.h"

struct msg {
	struct vu_header header;
	union {
		uint64_t u64;
		struct vu_vring_state state;
		struct vu_vring_addr addr;
		struct vu_memory memory;
		struct vu_mem_reg mem_reg;
		struct vu_config config;
		struct vu_log log;
		struct vu_iotlb iotlb;
		struct vu_vring_area area;
		struct vu_inflight inflight;
		struct vu_shared shared;
		struct vu_transfer_state transfer;
		struct vu_mmap mmap;
		struct vu_shmem_config shmem;
		uint8_t bytes[VU_PAYLOAD_MAX];
	} payload;
	int fds[VU_FDS_MAX];		/* owned by the message; -1: taken out */
	unsigned int nfds;
};

/* A message on its way, in pieces as the socket has them. */
struct msg_stream {
	struct msg msg;
	size_t done;			/* bytes of header and payload received or sent */
	bool replies;			/* received messages are to be replies, not requests */
};

/*
 * Receive what there is, without blocking.  1: the message is complete.  -EAGAIN: there will
 * be more.  0: the peer has closed, between two messages.  -EPROTO: not a message; *why is a
 * text for the log then.  Or what recvmsg() said.
 */
int msg_receive(struct msg_stream *in, int fd, const char **why);

/* Send the rest, without blocking.  0: all was sent.  -EAGAIN, or what sendmsg() said. */
int msg_send(struct msg_stream *out, int fd);

/* Take the message's only file descriptor out of it, or -1. */
int msg_take_fd(struct msg *msg);
/* Close what nobody took. */
void msg_close_fds(struct msg *msg);

#endif /* VHOST_MSG_H */
