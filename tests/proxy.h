/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between a front-end and a device: passes messages on, shows them, and cuts the connection.
 *
 * It runs on a thread of its own.  A cut comes after a number of messages of the front-end, or
 * within the next one; then both sides see the end of their connection.
 */
#ifndef TESTS_PROXY_H
#define TESTS_PROXY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "libvhost/spec.h"

#define PROXY_FDS_MAX 16u

/* A message of the front-end's on its way. */
struct proxy_msg {
	struct vu_header header;
	unsigned char payload[VU_PAYLOAD_MAX];
	int fds[PROXY_FDS_MAX];
	unsigned int nfds;
};

struct proxy {
	int front_fd, back_fd;		/* owned */
	unsigned int cut_after;		/* messages; PROXY_NEVER */
	size_t cut_bytes;		/* of the next message are passed on before the cut, at most all */
	void (*seen)(void *arg, const struct proxy_msg *msg);	/* on the proxy's thread; or NULL */
	void *arg;
	/* the outcome, after proxy_join() */
	unsigned int messages;		/* passed on whole */
	bool cut;
	pthread_t thread;
};

#define PROXY_NEVER (~0u)

/* Pass messages between the connected sockets until one side closes or the cut comes. */
int proxy_start(struct proxy *p);
void proxy_join(struct proxy *p);

#endif /* TESTS_PROXY_H */
