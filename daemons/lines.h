/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A listening Unix socket with several clients who send lines and get text.
 *
 *   struct lines_server  the socket, and its clients.
 *   struct lines_client  one of them.
 *
 * All on one worker, which may be that of the data path: so it does one line at a time, whoever
 * has sent how many, and takes nothing more of a client who does not read his answers.
 */
#ifndef DAEMONS_LINES_H
#define DAEMONS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct event_base;
struct lines_client;
struct lines_server;

#define LINES_SIZE_MAX		65536u	/* of a line, bytes */
#define LINES_CLIENTS_MAX	32u	/* with one more, the one goes who was idle longest */
#define LINES_FDS_MAX		4u	/* file descriptors with one line; more are closed */

struct lines_ops {
	/* A line, len bytes with a NUL for the newline; it may be changed, and lives until then. */
	void (*line)(struct lines_client *client, char *line, size_t len);
	/* A line is longer than LINES_SIZE_MAX: the client will be closed.  May be NULL. */
	void (*too_long)(struct lines_client *client);
	/* The client sends nothing more; he is closed when he has got all.  May be NULL. */
	void (*end)(struct lines_client *client);
	/* The client is gone with this call.  May be NULL. */
	void (*gone)(struct lines_client *client);
};

/* The server owns fd, a listening socket, also when this fails. */
int lines_server_new(struct lines_server **server, struct event_base *base, int fd,
		     const struct lines_ops *ops, void *arg);
/* What can be sent without waiting is sent first. */
void lines_server_free(struct lines_server *server);

/* What was given to lines_server_new(). */
void *lines_arg(const struct lines_client *client);
/* A place for the user's own pointer, NULL at first. */
void **lines_own(struct lines_client *client);

void lines_write(struct lines_client *client, const char *text, size_t len);
/* No more lines until lines_go_on(); within line() only. */
void lines_wait(struct lines_client *client);
void lines_go_on(struct lines_client *client);
/* No more lines at all; close when all is sent. */
void lines_finish(struct lines_client *client);
/* A file descriptor which came with this line, the caller's from now on; -1: there is none. */
int lines_take_fd(struct lines_client *client);

#endif /* DAEMONS_LINES_H */
